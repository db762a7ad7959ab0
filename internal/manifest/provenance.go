package manifest

import "slices"

// A keeper tells by managed fields whether the value at a place is the user's.
type keeper func(o *object, place []string) bool

// setByAnyone keeps what any client sent: for values that the server allocates while it stores the object,
// after it has noted who sent what.
func setByAnyone(o *object, place []string) bool {
	return o.origin == written || o.origin == tracked && o.anyManager(place, func(string) bool { return true })
}

// setByPerson keeps what came through a tool that people work with: for values that controllers write in
// the same way as people do.
func setByPerson(o *object, place []string) bool {
	return o.origin == written || o.origin == tracked && o.anyManager(place, IsPerson)
}

// notInjected keeps a value unless it was put by one manager beside what another one wrote, who is then
// not a person. Where that can't be told the value stays.
func notInjected(o *object, place []string) bool {
	if o.origin != tracked || o.anyManager(place, IsPerson) {
		return true
	}
	beside := place[:len(place)-1]
	injected := false
	for _, entry := range o.managers {
		fields := managedBy(entry)
		if !owns(fields, place) {
			continue
		}
		injected = true
		if owns(fields, slices.Concat(beside, []string{"f:service"})) || owns(fields, slices.Concat(beside, []string{"f:url"})) {
			return true
		}
	}
	return !injected
}

// anyManager reports whether a manager of that kind owns the place.
func (o *object) anyManager(place []string, is func(manager string) bool) bool {
	for _, entry := range o.managers {
		fields, _ := entry.(map[string]any)
		manager, _ := fields["manager"].(string)
		if is(manager) && owns(managedBy(entry), place) {
			return true
		}
	}
	return false
}

func managedBy(entry any) map[string]any {
	fields, _ := entry.(map[string]any)
	set, _ := fields["fieldsV1"].(map[string]any)
	return set
}

// owns reports whether a set in the form FieldsV1 (KEP-555) holds the place. One that holds only what the
// place is in, a list without its items, doesn't: a manager may be left with that when others took over.
func owns(set map[string]any, place []string) bool {
	for _, element := range place {
		below, ok := set[element].(map[string]any)
		if !ok {
			return false
		}
		set = below
	}
	return true
}
