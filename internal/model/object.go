// Package model drives a sync with random edits of people on both sides, and compares what becomes of them with a
// simple model of what shall. The tests of the activities in process and those end to end share it.
package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// object is one that people edit.
type object struct{ kind, name string }

// A kind is a few fields of a Kubernetes kind, required ones first, and where they are.
type kind struct {
	apiVersion string
	resource   schema.GroupVersionResource
	fields     []string
	required   int
}

var kinds = map[string]kind{
	"ConfigMap":  {"v1", schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, []string{"k0", "k1", "k2", "k3"}, 0},
	"Service":    {"v1", schema.GroupVersionResource{Version: "v1", Resource: "services"}, []string{"app", "port", "note"}, 2},
	"Deployment": {"apps/v1", schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, []string{"image", "A", "B", "note"}, 1},
}

// slots are the objects of a run, by the letter that steps name them by.
var slots = map[string]string{"a": "ConfigMap", "b": "ConfigMap", "c": "ConfigMap", "d": "Deployment", "s": "Service"}

// read finds the fields of an object.
func read(u map[string]any) (object, Fields) {
	item := unstructured.Unstructured{Object: u}
	o, fields := object{item.GetKind(), item.GetName()}, Fields{}
	if note := item.GetAnnotations()["note"]; note != "" {
		fields["note"] = note
	}
	switch o.kind {
	case "ConfigMap":
		data, _, _ := unstructured.NestedStringMap(u, "data")
		maps.Copy(fields, data)
	case "Service":
		fields["app"], _, _ = unstructured.NestedString(u, "spec", "selector", "app")
		fields["port"], _ = entry(u, "spec", "ports")["targetPort"].(string)
	case "Deployment":
		main := entry(u, "spec", "template", "spec", "containers")
		fields["image"], _ = main["image"].(string)
		env, _ := main["env"].([]any)
		for _, e := range env {
			variable, _ := e.(map[string]any)
			fields[fmt.Sprint(variable["name"])] = fmt.Sprint(variable["value"])
		}
	}
	return o, fields
}

// entry is the first of a list.
func entry(u map[string]any, path ...string) map[string]any {
	list, _, _ := unstructured.NestedSlice(u, path...) // a copy
	if len(list) == 0 {
		return nil
	}
	first, _ := list[0].(map[string]any)
	return first
}

// write makes the fields of an object what is wanted, and touches nothing else.
func write(u map[string]any, fields Fields) error {
	item := unstructured.Unstructured{Object: u}
	if annotations := item.GetAnnotations(); annotations["note"] != fields["note"] {
		if annotations == nil {
			annotations = map[string]string{}
		}
		if annotations["note"] = fields["note"]; fields["note"] == "" {
			delete(annotations, "note")
		}
		item.SetAnnotations(annotations)
	}
	switch item.GetKind() {
	case "ConfigMap":
		return unstructured.SetNestedStringMap(u, fields, "data")
	case "Service":
		port := entry(u, "spec", "ports")
		port["targetPort"] = fields["port"]
		if err := unstructured.SetNestedSlice(u, []any{port}, "spec", "ports"); err != nil {
			return err
		}
		return unstructured.SetNestedField(u, fields["app"], "spec", "selector", "app")
	}
	main := entry(u, "spec", "template", "spec", "containers")
	main["image"] = fields["image"]
	delete(main, "env")
	var env []any
	for _, name := range []string{"A", "B"} {
		if fields[name] != "" {
			env = append(env, map[string]any{"name": name, "value": fields[name]})
		}
	}
	if env != nil {
		main["env"] = env
	}
	return unstructured.SetNestedSlice(u, []any{main}, "spec", "template", "spec", "containers")
}

// document is an object as a person writes it: with comments, and without what the API server fills in.
func document(o object, namespace, label string, fields Fields) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# %s: ask its owner before you change it", o.name)
	line("apiVersion: %s", kinds[o.kind].apiVersion)
	line("kind: %s", o.kind)
	line("metadata:")
	line("    name: %s   # for ever", o.name)
	line("    namespace: %s", namespace)
	line("    labels: {acs: %s}", label)
	if fields["note"] != "" {
		line("    annotations:")
		line("        note: %s # says who", fields["note"])
	}
	switch o.kind {
	case "ConfigMap":
		line("# what it is set to")
		if len(fields) > 0 {
			line("data:")
		}
		for _, field := range slices.Sorted(maps.Keys(fields)) {
			line("    %s: \"%s\" # why %s is so", field, fields[field], field)
		}
	case "Service":
		line("spec:")
		line("    selector: {app: %s}", fields["app"])
		line("    ports:")
		line("    # the only one")
		line("    -   {port: 80, targetPort: %s}", fields["port"])
	case "Deployment":
		line("spec:")
		line("    replicas: 0   # nothing runs here")
		line("    paused: true\n")
		line("    selector: {matchLabels: {app: %s}}", o.name)
		line("    template:")
		line("        metadata: {labels: {app: %s}}", o.name)
		line("        spec:")
		line("            containers:")
		line("            # pinned, see the runbook")
		line("            -   name: main")
		line("                image: '%s'", fields["image"])
		if fields["A"] != "" || fields["B"] != "" {
			line("                env:")
		}
		for _, name := range []string{"A", "B"} {
			if fields[name] != "" {
				line("                -   name: %s\n                    value: %s # set by hand", name, fields[name])
			}
		}
	}
	return b.String()
}

// label names the objects of a sync.
const labelKey = "acs"

var noDelay = metav1.DeleteOptions{GracePeriodSeconds: new(int64)}
