package preview

import (
	"encoding/base64"
	"maps"
	"reflect"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
)

// What stands in the place of a secret value. Whether it changes can be seen, and nothing else of it.
const (
	concealed        = "***"
	concealedChanged = "*** (changed)"
)

// isSecret reports whether an object is a Secret. A kind of that name in any group counts as one.
func isSecret(object map[string]any) bool { return object["kind"] == "Secret" }

// conceal makes of an object, as it is and as it would become, what may be shown: values are replaced, and
// differ where the original ones do. Either may be nil. Only what says which object it is stays, and of a
// Secret what Git holds in clear.
func conceal(before, after map[string]any) (shownBefore, shownAfter map[string]any) {
	b, a := effective(before), effective(after)
	return shown(b, nil, b, a), shown(a, b, b, a)
}

// effective is a Secret with what stringData says in its place in data, as the API server stores it; other
// objects stay as they are.
func effective(object map[string]any) map[string]any {
	if !isSecret(object) {
		return object
	}
	texts, ok := object["stringData"].(map[string]any)
	if !ok {
		return object
	}
	out := maps.Clone(object)
	delete(out, "stringData")
	data, _ := out["data"].(map[string]any)
	merged := map[string]any{}
	maps.Copy(merged, data)
	for key, value := range texts {
		text, _ := value.(string)
		merged[key] = base64.StdEncoding.EncodeToString([]byte(text))
	}
	out["data"] = merged
	return out
}

// shown is an object with its values replaced. Was is the one that it is compared with; nil when there is
// none to compare with. The values of all of the secrets are taken out of annotations, too.
func shown(object, was map[string]any, secret ...map[string]any) map[string]any {
	if object == nil {
		return nil
	}
	out := make(map[string]any, len(object))
	for field, value := range object {
		switch {
		case field == "apiVersion" || field == "kind" || isSecret(object) && (field == "type" || field == "immutable"):
			out[field] = value
		case field == "metadata":
			out[field] = redactAnnotations(value, secret)
		default:
			old, compare := was[field]
			out[field] = replaced(value, old, compare)
		}
	}
	return out
}

// replaced is a value with all scalars in it replaced. It is compared with the old one if there is one.
func replaced(value, old any, compare bool) any {
	switch v := value.(type) {
	case map[string]any:
		before, _ := old.(map[string]any)
		out := make(map[string]any, len(v))
		for key, item := range v {
			was, there := before[key]
			out[key] = replaced(item, was, compare && there)
		}
		return out
	case []any:
		before, _ := old.([]any)
		out := make([]any, len(v))
		for i, item := range v {
			var was any
			if i < len(before) {
				was = before[i]
			}
			out[i] = replaced(item, was, compare && i < len(before))
		}
		return out
	}
	if compare && !reflect.DeepEqual(value, old) {
		return concealedChanged
	}
	return concealed
}

// lastApplied is where kubectl keeps the whole object.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// redactAnnotations takes secret values out of annotations: controllers and people copy them there.
func redactAnnotations(metadata any, secret []map[string]any) any {
	fields, ok := metadata.(map[string]any)
	if !ok {
		return concealed
	}
	annotations, ok := fields["annotations"].(map[string]any)
	if !ok {
		return metadata
	}
	out := runtime.DeepCopyJSON(fields)
	redacted := make(map[string]any, len(annotations))
	for key, value := range annotations {
		text, _ := value.(string)
		for _, s := range secret {
			text = secrets.Redact(text, s)
		}
		if key == lastApplied {
			text = concealed
		}
		redacted[key] = text
	}
	out["annotations"] = redacted
	return out
}
