package merge

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/yaml"
)

// typeOf is the type of a kind, by the schemas that client-go has for the built-in ones. Tests of internal/kube
// merge by those of a real API server.
func typeOf(t testing.TB, apiVersion, kind string) Type {
	converter := applyconfigurations.NewTypeConverter(scheme.Scheme)
	if kind == "Widget" {
		converter = widgetTypes(t)
	}
	blank := &unstructured.Unstructured{}
	blank.SetGroupVersionKind(schema.FromAPIVersionAndKind(apiVersion, kind))
	typed, err := converter.ObjectToTyped(blank)
	require.NoError(t, err)
	return TypeOf(typed.Schema(), typed.TypeRef())
}

// widgetSchema is what an API server makes of a CustomResourceDefinition.
const widgetSchema = `
widget:
  type: object
  x-kubernetes-group-version-kind: [{group: example.com, version: v1, kind: Widget}]
  properties:
    apiVersion: {type: string}
    kind: {type: string}
    metadata:
      type: object
      properties:
        labels: {type: object, additionalProperties: {type: string}}
    spec:
      type: object
      properties:
        size: {type: integer}
        image: {type: string}
        secret: {type: string}
        tags: {type: array, x-kubernetes-list-type: set, items: {type: string}}
        steps: {type: array, x-kubernetes-list-type: atomic, items: {type: string}}
        colour: {type: object, x-kubernetes-map-type: atomic, properties: {red: {type: integer}, green: {type: integer}}}
        ports:
          type: array
          x-kubernetes-list-type: map
          x-kubernetes-list-map-keys: [port, protocol]
          items:
            type: object
            properties:
              port: {type: integer}
              protocol: {type: string, default: TCP}
              target: {type: string}
              hosts: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name], items: {type: object, properties: {name: {type: string}, weight: {type: number}}}}
        env: {type: object, properties: {value: {type: string}, valueFrom: {type: object, x-kubernetes-preserve-unknown-fields: true}, "a~b/c": {type: string}}}
        strategy: {type: object, properties: {type: {type: string}, rollingUpdate: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
        free: {type: object, x-kubernetes-preserve-unknown-fields: true}
`

func widgetTypes(t testing.TB) managedfields.TypeConverter {
	text, err := yaml.YAMLToJSON([]byte(widgetSchema))
	require.NoError(t, err)
	var models map[string]*spec.Schema
	require.NoError(t, json.Unmarshal(text, &models))
	converter, err := managedfields.NewTypeConverter(models, false)
	require.NoError(t, err)
	return converter
}

// parse reads an object as manifest.Decode does.
func parse(t testing.TB, text string) map[string]any {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err)
	u := new(unstructured.Unstructured)
	require.NoError(t, u.UnmarshalJSON(data), text)
	return u.Object
}
