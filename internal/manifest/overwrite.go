package manifest

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
)

// Overwrite is what a write changed in an object that had been as Git says.
type Overwrite struct {
	// Manager is the field manager that had made it something else; "" where the managed fields don't tell.
	Manager string
	// Fields are JSON pointers (RFC 6901) to what was changed.
	Fields []string
}

// Overwritten tells what a write of FieldManager changed, from the object before and after it, as the server
// said it. Neither is changed.
func Overwritten(before, after map[string]any) Overwrite {
	o := newObject(Resource{}, before, Surroundings{})
	c := comparison{}
	var all []claimant
	for _, entry := range o.managers {
		if fields, _ := entry.(map[string]any); fields["manager"] != FieldManager {
			set := &fieldset{}
			set.add(managedBy(entry))
			all = append(all, claimant{set, fields})
		}
	}
	for _, field := range []string{"labels", "annotations", "finalizers"} {
		pointer, below := "/metadata/"+field, descend(descend(all, "f:metadata"), "f:"+field)
		c.compare(o.at("metadata", field), (&object{content: after}).at("metadata", field), below, pointer)
	}
	for _, field := range fieldsIn(before, after) {
		if field != "metadata" && field != "status" {
			c.field(before, after, all, "", field)
		}
	}
	result := Overwrite{Fields: c.fields}
	if len(c.owners) == 0 { // it took something away, or left no trace
		c.owners = all
	}
	latest := ""
	for _, owner := range c.owners {
		if owner.entry["subresource"] == "status" {
			continue
		}
		if time, _ := owner.entry["time"].(string); time >= latest {
			latest = time
			result.Manager, _ = owner.entry["manager"].(string)
		}
	}
	return result
}

// claimant is an entry of the managed fields, with what it owns from some place on.
type claimant struct {
	*fieldset
	entry map[string]any
}

// comparison collects the fields that differ and who owned them.
type comparison struct {
	fields []string
	owners []claimant
}

func (c *comparison) compare(before, after any, owners []claimant, pointer string) {
	if reflect.DeepEqual(before, after) {
		return
	}
	switch b := before.(type) {
	case map[string]any:
		if a, ok := after.(map[string]any); ok {
			for _, field := range fieldsIn(b, a) {
				c.field(b, a, owners, pointer, field)
			}
			return
		}
	case []any:
		if a, ok := after.([]any); ok && len(a) == len(b) {
			for i := range b {
				c.compare(b[i], a[i], ofItem(owners, b[i]), pointer+"/"+strconv.Itoa(i))
			}
			return
		}
	}
	c.fields = append(c.fields, pointer)
	c.owners = append(c.owners, owners...)
}

func (c *comparison) field(before, after map[string]any, owners []claimant, pointer, field string) {
	b, inBefore := before[field]
	a, inAfter := after[field]
	pointer += "/" + pointerEscapes.Replace(field)
	if inBefore != inAfter {
		c.fields = append(c.fields, pointer)
		c.owners = append(c.owners, descend(owners, "f:"+field)...)
		return
	}
	c.compare(b, a, descend(owners, "f:"+field), pointer)
}

// descend is who owns something below an element. Who owns a place as a whole owns all below it.
func descend(owners []claimant, element string) []claimant {
	var below []claimant
	for _, owner := range owners {
		if owner.has() && !owner.splits() {
			below = append(below, owner)
		} else if set := owner.at(element); set != nil {
			below = append(below, claimant{set, owner.entry})
		}
	}
	return below
}

func ofItem(owners []claimant, item any) []claimant {
	var below []claimant
	for _, owner := range owners {
		below = append(below, descend([]claimant{owner}, itemElement(item, owner.itemKeys()))...)
	}
	return below
}

// fieldsIn are the names of the fields that either of two maps has.
func fieldsIn(a, b map[string]any) []string {
	both := maps.Clone(a)
	maps.Copy(both, b)
	return slices.Sorted(maps.Keys(both))
}
