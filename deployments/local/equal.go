package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// differences says which objects are not the same in two clusters, as far as a
// user has a say in them. Both lists are of the same manifests.
func differences(left, right []object) []string {
	have := map[string]object{}
	for _, o := range right {
		have[o.identity()] = o
	}
	var found []string
	for _, o := range left {
		other, ok := have[o.identity()]
		delete(have, o.identity())
		switch {
		case !ok:
			found = append(found, o.identity()+" is missing")
		case !reflect.DeepEqual(essence(o), essence(other)):
			found = append(found, o.identity()+" differs")
		}
	}
	for identity := range have {
		found = append(found, identity+" is too many")
	}
	slices.Sort(found)
	return found
}

// essence leaves out of an object what each cluster decides by itself.
func essence(o object) object {
	kept := maps.Clone(o)
	delete(kept, "status")
	metadata := object(o.child("metadata"))
	annotations := maps.Clone(metadata.child("annotations"))
	delete(annotations, "kubectl.kubernetes.io/last-applied-configuration")
	delete(annotations, "deployment.kubernetes.io/revision")
	kept["metadata"] = map[string]any{
		"name": metadata["name"], "namespace": metadata["namespace"],
		"labels": metadata.child("labels"), "annotations": annotations,
	}
	if len(annotations) == 0 {
		delete(kept["metadata"].(map[string]any), "annotations")
	}

	spec := maps.Clone(o.child("spec"))
	if o.identity() == "Deployment.apps lantern-shop/storefront" {
		delete(spec, "replicas") // its HorizontalPodAutoscaler decides
	}
	if o.text("kind") == "Service" && spec["clusterIP"] != "None" {
		delete(spec, "clusterIP")
		delete(spec, "clusterIPs")
	}
	if spec != nil {
		kept["spec"] = spec
	}
	return kept
}

// parseList reads what `kubectl get -o json` prints for several objects.
func parseList(text string) ([]object, error) {
	var list struct {
		Items []object `json:"items"`
	}
	if strings.TrimSpace(text) == "" { // it found none
		return nil, nil
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("read kubectl's list: %w", err)
	}
	return list.Items, nil
}
