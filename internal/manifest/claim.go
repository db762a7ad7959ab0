package manifest

import "slices"

// claim enters into the managed fields, for FieldManager, what the object declares where the managed fields
// decide whose a value is and don't say that it is the user's.
func claim(rules *ruleset, o *object) {
	if o.origin == written {
		return
	}
	var claims [][]string
	for i := range rules.rules {
		if r := &rules.rules[i]; r.unless != nil {
			claims = r.claims(o, o.content, 0, nil, claims)
		}
	}
	if len(claims) == 0 {
		return
	}
	set := o.ownFields()
	for _, place := range claims {
		add(set, place)
	}
}

// claims lists the places at which Normalise would take away what is declared.
func (r *rule) claims(o *object, in map[string]any, i int, managed []string, claims [][]string) [][]string {
	s := &r.steps[i]
	value, ok := in[s.field]
	if !ok {
		return claims
	}
	managed = append(managed, s.managed)
	list, _ := value.([]any)
	switch {
	case s.items:
		for _, item := range list {
			if place := slices.Concat(managed, []string{itemValue(item)}); r.takes(o, item, place) {
				claims = append(claims, place)
			}
		}
	case i == len(r.steps)-1:
		if r.takes(o, value, managed) {
			claims = append(claims, slices.Clone(managed))
		}
	case s.keys != nil:
		for _, item := range list {
			fields, _ := item.(map[string]any)
			if key, ok := itemKey(fields, s.keys); ok {
				claims = r.claims(o, fields, i+1, append(managed, key), claims)
			}
		}
	default:
		if below, ok := value.(map[string]any); ok {
			claims = r.claims(o, below, i+1, managed, claims)
		}
	}
	return claims
}

// ownFields is the set of fields that FieldManager has in the object's managed fields, made where it is
// missing.
func (o *object) ownFields() map[string]any {
	apiVersion, _ := o.content["apiVersion"].(string)
	for _, entry := range o.managers {
		fields, _ := entry.(map[string]any)
		set, ok := fields["fieldsV1"].(map[string]any)
		if ok && fields["manager"] == FieldManager && fields["operation"] == "Update" &&
			fields["apiVersion"] == apiVersion && fields["subresource"] == nil {
			return set
		}
	}
	set := map[string]any{}
	metadata := o.content["metadata"].(map[string]any)
	metadata["managedFields"] = append(slices.Clone(o.managers), map[string]any{
		"apiVersion": apiVersion,
		"fieldsType": "FieldsV1",
		"fieldsV1":   set,
		"manager":    FieldManager,
		"operation":  "Update",
	})
	return set
}

func add(set map[string]any, place []string) {
	for _, element := range place {
		below, ok := set[element].(map[string]any)
		if !ok {
			below = map[string]any{}
			set[element] = below
		}
		set = below
	}
}
