package manifest

// Surroundings is what the rest of the cluster says about an object.
type Surroundings struct {
	// Scaled: a HorizontalPodAutoscaler targets the object, so spec.replicas isn't its own.
	Scaled bool
}

// Normalise takes out of an object, in place, what isn't the user's: what the server and the controllers
// write, at exactly the places that the tables of rules name. Everything else stays as it is, empty values
// included.
//
// The object is either what an API server said, or what a file holds. A file without the server's marks
// (managed fields, UID, resource version) is taken at its word where the server would only allocate: the
// nodePort that a person wrote stays.
//
// What is left no longer says where it came from, so Normalise is for whole objects, once: Skip and
// ScaleTargets look at an object before it.
func Normalise(r Resource, obj map[string]any, s Surroundings) {
	o := newObject(r, obj, s)
	rules := rulesOf(r).rules
	for i := range rules {
		rules[i].strip(o, obj, 0, nil)
	}
	settle(r, obj)
}

// strip takes out what the rule is for, from the given map that the rule's i-th step is in. The place of the
// map is given as managed fields write it, for the rules that need it.
func (r *rule) strip(o *object, in map[string]any, i int, managed []string) {
	s := &r.steps[i]
	value, ok := in[s.field]
	if !ok {
		return
	}
	if r.unless != nil {
		managed = append(managed, s.managed)
	}
	switch {
	case s.items:
		if list, ok := value.([]any); ok {
			r.stripItems(o, in, s.field, list, managed)
		}
	case i == len(r.steps)-1:
		if r.takes(o, value, managed) {
			delete(in, s.field)
		}
	case s.keys != nil:
		list, _ := value.([]any)
		for _, item := range list {
			fields, ok := item.(map[string]any)
			if !ok {
				continue
			}
			if r.unless == nil {
				r.strip(o, fields, i+1, nil)
			} else if key, ok := itemKey(fields, s.keys); ok {
				r.strip(o, fields, i+1, append(managed, key))
			}
		}
	default:
		if below, ok := value.(map[string]any); ok {
			r.strip(o, below, i+1, managed)
		}
	}
}

func (r *rule) stripItems(o *object, in map[string]any, field string, list []any, managed []string) {
	kept := list[:0:0]
	for _, item := range list {
		if !r.takes(o, item, r.itemPlace(managed, item)) {
			kept = append(kept, item)
		}
	}
	if len(kept) < len(list) {
		in[field] = kept
	}
}

func (r *rule) itemPlace(managed []string, item any) []string {
	if r.unless == nil {
		return nil
	}
	return append(managed, itemValue(item))
}

// settle makes the namespace what an API server makes of it: none for what has none, and "default" where a
// file for a namespaced resource leaves it out, as kubectl does.
func settle(r Resource, obj map[string]any) {
	metadata, ok := obj["metadata"].(map[string]any)
	if !ok {
		return
	}
	if !r.Namespaced {
		delete(metadata, "namespace")
	} else if namespace, ok := metadata["namespace"]; !ok || namespace == nil || namespace == "" {
		metadata["namespace"] = "default"
	}
}
