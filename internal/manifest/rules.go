package manifest

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// rule names one place in the objects of a resource whose content isn't the user's. Normalise takes it out
// there, Denormalise takes it over from the live object: both read the same tables.
type rule struct {
	// at is a path of field names, "spec.claimRef.uid". Keys that hold dots stand in brackets and quotes,
	// `metadata.annotations["a.b/c"]`. A list on the way names the fields that tell its items apart,
	// "spec.ports[port,protocol].nodePort", and [*] at the end means single items of a list.
	at string
	// why it isn't the user's.
	why string
	// when tells the values, or the objects, that the rule is for. Without it: all.
	when func(o *object, value any) bool
	// unless tells by the managed fields that this value is the user's after all.
	unless keeper
	// never are values that are not the user's whatever the managed fields say.
	never func(o *object, value any) bool
	// fits tells whether the live value suits what is going to be written; in is the map there that it would
	// be in. Without it: always.
	fits func(out, live *object, in map[string]any, value any) bool
	// emptied: the rule is for a map or a list that holds nothing, which the others may leave behind.
	emptied bool

	steps []step
}

// step is one field of a rule's path.
type step struct {
	field string
	// path up to and with the field, "spec.ports".
	path string
	// managed is the field as managed fields write it, "f:spec".
	managed string
	// keys tell the items of the list that the field holds apart; each may be a path, "metadata.name".
	keys []string
	// items: the rule is for single items of the list that the field holds.
	items bool
}

// takes reports whether Normalise takes the value at the place away.
func (r *rule) takes(o *object, value any, managed []string) bool {
	if r.emptied && !isEmpty(value) || r.when != nil && !r.when(o, value) {
		return false
	}
	return r.unless == nil || r.never != nil && r.never(o, value) || !r.unless(o, managed)
}

// isEmpty is true for a map or a list without content, and for null.
func isEmpty(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return value == nil
}

// ruleset is what applies to the objects of one resource, in the order in which Normalise goes through it:
// a rule may look at what later ones take. Denormalise goes backwards.
type ruleset struct {
	rules []rule
	// server is where those begin that only the server writes, among them what tells where the object is
	// from and who set what.
	server int
	// emptied are the paths of the maps and lists that are taken out when they hold nothing.
	emptied map[string]bool
}

var (
	rulesets       = compileKinds()
	defaultRuleset = compileRuleset(nil)
)

func rulesOf(r Resource) *ruleset {
	if set, ok := rulesets[r.GroupResource()]; ok {
		return set
	}
	return defaultRuleset
}

func compileKinds() map[schema.GroupResource]*ruleset {
	sets := map[schema.GroupResource]*ruleset{}
	for resource, rules := range kindRules() {
		sets[schema.ParseGroupResource(resource)] = compileRuleset(rules)
	}
	return sets
}

func compileRuleset(kind []rule) *ruleset {
	set := &ruleset{emptied: map[string]bool{}}
	var emptied []rule
	for _, r := range slices.Concat(kind, commonRules()) {
		if r = compile(r); r.emptied {
			emptied = append(emptied, r)
			set.emptied[r.at] = true
		} else {
			set.rules = append(set.rules, r)
		}
	}
	// What is inside is emptied before what it is in.
	slices.SortStableFunc(emptied, func(a, b rule) int { return len(b.steps) - len(a.steps) })
	set.rules = append(set.rules, emptied...)
	set.server = len(set.rules)
	for _, r := range serverRules() {
		set.rules = append(set.rules, compile(r))
	}
	return set
}

// compile cuts the path into its steps. It panics where the path is malformed, which a test shows.
func compile(r rule) rule {
	rest := r.at
	for rest != "" {
		s := step{}
		if quoted, ok := strings.CutPrefix(rest, `["`); ok {
			s.field, rest, ok = strings.Cut(quoted, `"]`)
			if !ok {
				panic(fmt.Sprintf("rule %s: a quoted key doesn't end", r.at))
			}
		} else if end := strings.IndexAny(rest, ".["); end >= 0 {
			s.field, rest = rest[:end], rest[end:]
		} else {
			s.field, rest = rest, ""
		}
		s.path = strings.TrimSuffix(r.at, rest)
		if list, ok := strings.CutPrefix(rest, "["); ok && !strings.HasPrefix(list, `"`) {
			keys, after, ok := strings.Cut(list, "]")
			if !ok {
				panic(fmt.Sprintf("rule %s: a list doesn't end", r.at))
			}
			if s.items = keys == "*"; !s.items {
				s.keys = strings.Split(keys, ",")
			}
			rest = after
		}
		s.managed = "f:" + s.field
		r.steps = append(r.steps, s)
		rest = strings.TrimPrefix(rest, ".")
	}
	for i, s := range r.steps {
		if last := i == len(r.steps)-1; s.field == "" || s.items && !last || s.keys != nil && last {
			panic(fmt.Sprintf("rule %s: malformed at %s", r.at, s.path))
		}
	}
	return r
}
