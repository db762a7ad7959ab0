package manifest

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/util/validation"
)

// foreign recognises what belongs to another tool, and says so; "" for the rest.
func foreign(file string, obj map[string]any) string {
	apiVersion, _ := obj["apiVersion"].(string)
	kind, _ := obj["kind"].(string)
	base := path.Base(file)
	switch {
	case groupOf(apiVersion) == "kustomize.config.k8s.io",
		kind == "" && slices.Contains([]string{"kustomization.yaml", "kustomization.yml", "Kustomization"}, base):
		return "the file is a Kustomize overlay, which is not rendered: commit the output of kustomize build, and keep overlays outside of the synced path"
	case kind == "" && obj["name"] != nil && obj["version"] != nil && (apiVersion == "v1" || apiVersion == "v2"):
		return "the file is a Helm chart, which is not rendered: commit the output of helm template, and keep charts outside of the synced path"
	case kind == "" && apiVersion == "" && valuesFile.MatchString(base):
		return "the file holds values of a Helm chart, which is not rendered: commit the output of helm template, and keep charts outside of the synced path"
	case kind == "" && apiVersion == "":
		return "the document is not a Kubernetes object, it has neither apiVersion nor kind: keep the files of other tools outside of the synced path"
	}
	return ""
}

const (
	messageForeign      = "the file is another tool's"
	messageHelmTemplate = "the file is a template of a Helm chart, which is not rendered: commit the output of helm template, and keep charts outside of the synced path"
)

var (
	valuesFile = regexp.MustCompile(`^(.*[-.])?values([-.].*)?\.ya?ml$`)
	// helmAction is what only Helm gives a meaning to. Templates are also known to Alertmanager and others.
	helmAction = regexp.MustCompile(`\{\{[^}\n]*(\.(Values|Release|Chart|Capabilities)\b|\binclude\s+")`)
)

// helmTemplate finds the first line of a chart's template that must be rendered; 0 where there is none. In any
// other directory such text is somebody's data.
func helmTemplate(file string, data []byte) int {
	if !slices.Contains(strings.Split(path.Dir(file), "/"), "templates") {
		return 0
	}
	if found := helmAction.FindIndex(data); found != nil {
		return lineOf(data, found[0])
	}
	return 0
}

// claims tells what is meant to be an object, complete or not, from the JSON of other tools.
func claims(obj map[string]any) bool {
	_, metadata := obj["metadata"].(map[string]any)
	apiVersion, kind := obj["apiVersion"] != nil, obj["kind"] != nil
	return apiVersion && kind || metadata && (apiVersion || kind)
}

func isSOPS(obj map[string]any) bool {
	sops, _ := obj["sops"].(map[string]any)
	return sops["mac"] != nil || sops["lastmodified"] != nil || sops["version"] != nil
}

var (
	kindPattern    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{0,62}$`)
	versionPattern = regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)
)

// invalid says what an object lacks to be sent to an API server; "" when nothing. What depends on the kind
// is the server's to say.
func invalid(obj map[string]any) string {
	apiVersion, ok := obj["apiVersion"].(string)
	if !ok || !validAPIVersion(apiVersion) {
		return `apiVersion must be text like "v1" or "apps/v1"` + butIs(obj["apiVersion"])
	}
	kind, ok := obj["kind"].(string)
	if !ok || !kindPattern.MatchString(kind) {
		return `kind must be text like "Deployment"` + butIs(obj["kind"])
	}
	metadata, ok := obj["metadata"].(map[string]any)
	if !ok {
		return "metadata must be a map with a name" + butIs(obj["metadata"])
	}
	if message := invalidName(metadata); message != "" {
		return message
	}
	for _, field := range []string{"labels", "annotations"} {
		if message := invalidTexts(field, metadata[field]); message != "" {
			return message
		}
	}
	return ""
}

func butIs(value any) string {
	if value == nil {
		return ", but is missing"
	}
	if _, text := value.(string); text {
		return ""
	}
	return ", but is " + typeName(value)
}

func validAPIVersion(apiVersion string) bool {
	group, version, ok := strings.Cut(apiVersion, "/")
	if !ok {
		group, version = "", apiVersion
	}
	return versionPattern.MatchString(version) && (!ok || len(validation.IsDNS1123Subdomain(group)) == 0)
}

func invalidName(metadata map[string]any) string {
	name, ok := metadata["name"].(string)
	switch {
	case (!ok || name == "") && metadata["generateName"] != nil:
		return "the object has generateName instead of a name, each apply would make another one: give it metadata.name"
	case !ok || name == "":
		return "metadata.name must be text" + butIs(metadata["name"])
	case strings.Contains(name, "{{"):
		return "metadata.name is not a name: " + messageTemplate
	case len(content.IsPathSegmentName(name)) > 0:
		return fmt.Sprintf("metadata.name %q is not a valid name: %s", shorten(name), content.IsPathSegmentName(name)[0])
	}
	namespace, ok := metadata["namespace"].(string)
	switch {
	case !ok && metadata["namespace"] != nil:
		return "metadata.namespace must be text" + butIs(metadata["namespace"])
	case strings.Contains(namespace, "{{"):
		return "metadata.namespace is not a name: " + messageTemplate
	case namespace != "" && len(validation.IsDNS1123Label(namespace)) > 0:
		return fmt.Sprintf("metadata.namespace %q is not a valid namespace: lower case letters, digits and dashes", shorten(namespace))
	}
	return ""
}

// invalidTexts finds the usual mistake in labels and annotations: true or 1 without quotes.
func invalidTexts(field string, value any) string {
	texts, ok := value.(map[string]any)
	if !ok {
		if value == nil {
			return ""
		}
		return fmt.Sprintf("metadata.%s must be a map, but is %s", field, typeName(value))
	}
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		if _, ok := texts[key].(string); !ok && texts[key] != nil {
			return fmt.Sprintf("metadata.%s[%q] must be text, but is %s: put it in quotes", field, shorten(key), typeName(texts[key]))
		}
	}
	return ""
}
