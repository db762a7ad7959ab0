package manifest

import "reflect"

// Declares reports whether one object says nothing that another one doesn't say, too: all fields that it has are
// the same there, and lists are as long. It is what can be told without the API server, which fills in more than
// that.
func Declares(partial, whole map[string]any) bool { return declares(partial, whole) }

func declares(partial, whole any) bool {
	switch p := partial.(type) {
	case map[string]any:
		w, ok := whole.(map[string]any)
		if !ok {
			return false
		}
		for field, value := range p {
			if there, ok := w[field]; !ok || !declares(value, there) {
				return false
			}
		}
		return true
	case []any:
		w, ok := whole.([]any)
		if !ok || len(w) != len(p) {
			return false
		}
		for i := range p {
			if !declares(p[i], w[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(partial, whole)
}
