package kube

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// SecretWatch keeps the content of one Secret current, so that reading it costs no request and a new
// token is seen without a restart.
type SecretWatch struct {
	cluster         *Cluster
	namespace, name string

	mu     sync.Mutex
	listed bool
	since  time.Time         // when the watch broke; zero while it is up
	data   map[string][]byte // nil: there is no such Secret
}

// WatchSecret starts to watch one Secret, until ctx ends. It needs the permissions to list, to watch and to get
// that Secret; without the first two, and as long as the API server doesn't answer, each Get reads it.
func (c *Cluster) WatchSecret(ctx context.Context, namespace, name string) *SecretWatch {
	w := &SecretWatch{cluster: c, namespace: namespace, name: name}
	source := &cache.ListWatch{ListWithContextFunc: w.list, WatchFuncWithContext: w.watch}
	backoff := reflectorBackoff
	reflector := cache.NewReflectorWithOptions(source, nil, (*secretStore)(w), cache.ReflectorOptions{Name: name, Backoff: &backoff})
	go reflector.RunWithContext(klog.NewContext(ctx, klog.New(nil)))
	return w
}

// Get returns the Secret's content, or ErrNoCredentials where there is no such Secret. That is asked for, and not
// taken from the watch: enrolling makes the Secret, and over a long way the watch tells of it after the enrolment's
// first tick has begun.
func (w *SecretWatch) Get(ctx context.Context) (map[string][]byte, error) {
	w.mu.Lock()
	current, data := w.listed && (w.since.IsZero() || time.Since(w.since) < patience), w.data
	w.mu.Unlock()
	if !current || data == nil {
		return w.cluster.ReadSecret(ctx, w.namespace, w.name)
	}
	return data, nil
}

func (w *SecretWatch) list(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	return w.cluster.streams.Resource(corev1.SchemeGroupVersion.WithResource("secrets")).Namespace(w.namespace).List(ctx, w.only(options))
}

func (w *SecretWatch) watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	secrets := w.cluster.streams.Resource(corev1.SchemeGroupVersion.WithResource("secrets")).Namespace(w.namespace)
	stream, err := secrets.Watch(ctx, w.only(options))
	if err == nil && reflect.TypeOf(stream) == emptyWatch {
		err = io.ErrUnexpectedEOF
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.since = time.Time{}
	} else if w.since.IsZero() {
		w.since = time.Now()
	}
	return stream, err
}

func (w *SecretWatch) only(options metav1.ListOptions) metav1.ListOptions {
	options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, w.name).String()
	return options
}

// secretStore is the side of a SecretWatch that its reflector writes to.
type secretStore SecretWatch

func (w *secretStore) Add(obj any) error { return w.Update(obj) }

func (w *secretStore) Update(obj any) error {
	data, err := secretData(obj)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.data = data
	return nil
}

func (w *secretStore) Delete(any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.data = nil
	return nil
}

func (w *secretStore) Replace(objects []any, _ string) error {
	var data map[string][]byte
	for _, obj := range objects { // one or none
		var err error
		if data, err = secretData(obj); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.data, w.listed = data, true
	return nil
}

func (w *secretStore) Resync() error { return nil }

// secretData is never nil without an error.
func secretData(obj any) (map[string][]byte, error) {
	var secret corev1.Secret
	content := obj.(*unstructured.Unstructured).Object
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, &secret); err != nil {
		return nil, fmt.Errorf("decode Secret: %w", err)
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	return secret.Data, nil
}
