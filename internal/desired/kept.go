package desired

import (
	"encoding/json"

	kjson "sigs.k8s.io/json"
)

// kept is the content of objects that were read lately, as JSON. Object is likely to be asked for them soon:
// decoding YAML, and decrypting it, takes several times as long as decoding JSON, and a decoded object several
// times the memory.
type kept struct {
	content map[place][]byte
	bytes   int
}

// maxKept bounds kept: some 15,000 objects.
const maxKept = 32 << 20

func (d *State) keep(at place, object map[string]any) {
	if d.kept.bytes > maxKept {
		return
	}
	if d.kept.content == nil {
		d.kept.content = map[place][]byte{}
	}
	if content, err := json.Marshal(object); err == nil {
		d.kept.content[at] = content
		d.kept.bytes += len(content)
	}
}

func (d *State) drop(at place) {
	d.kept.bytes -= len(d.kept.content[at])
	delete(d.kept.content, at)
}

func (d *State) recall(at place) (map[string]any, bool) {
	content, ok := d.kept.content[at]
	if !ok {
		return nil, false
	}
	var object map[string]any
	err := kjson.UnmarshalCaseSensitivePreserveInts(content, &object)
	return object, err == nil
}

// Rest gives back the memory that makes Object fast, once it isn't going to be asked for much.
func (d *State) Rest() { d.kept = kept{} }
