package model

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

// Cluster is the one side, as people with kubectl see it.
type Cluster struct {
	API              dynamic.Interface
	Namespace, Label string
}

// contents are the objects, and their resource versions.
func (c Cluster) contents(ctx context.Context) (map[object]Fields, map[object]string, error) {
	all, versions := map[object]Fields{}, map[object]string{}
	for name, k := range kinds {
		list, err := c.API.Resource(k.resource).Namespace(c.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labelKey + "=" + c.Label})
		if err != nil {
			return nil, nil, err
		}
		for _, item := range list.Items {
			item.SetKind(name)
			o, fields := read(item.Object)
			all[o], versions[o] = fields, string(item.GetUID())+" "+item.GetResourceVersion()
			if generation := item.GetGeneration(); generation > 0 { // controllers write the status
				versions[o] = fmt.Sprint(item.GetUID(), generation, item.GetAnnotations())
			}
		}
	}
	return all, versions, nil
}

// put makes an object what is wanted. A nil one is deleted.
func (c Cluster) put(ctx context.Context, o object, fields Fields) error {
	k := kinds[o.kind]
	objects := c.API.Resource(k.resource).Namespace(c.Namespace)
	if fields == nil {
		return objects.Delete(ctx, o.name, noDelay)
	}
	as := "kubectl-edit"
	for {
		u, err := objects.Get(ctx, o.name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			content := map[string]any{}
			if err := yaml.Unmarshal([]byte(document(o, c.Namespace, c.Label, fields)), &content); err != nil {
				return err
			}
			_, err = objects.Create(ctx, &unstructured.Unstructured{Object: content}, metav1.CreateOptions{FieldManager: "kubectl-create"})
			return err
		case err != nil:
			return err
		}
		if err := write(u.Object, fields); err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
		if _, err = objects.Update(ctx, u, metav1.UpdateOptions{FieldManager: as}); !apierrors.IsConflict(err) {
			return err
		}
	}
}
