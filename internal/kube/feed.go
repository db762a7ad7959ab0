package kube

import (
	"context"
	"errors"
	"io"
	"reflect"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// feed is what a reflector of one resource works on: it reads from the API server, turning objects into
// records as they arrive, and writes to the index (store.go). On the way it notices whether the watch is
// up, which a reflector doesn't tell.
type feed struct {
	index *Index
	r     *resource
	kind  manifest.Resource // the version that is watched; r may have moved on
	run   int
	// release lets the next resource be listed. It is called at the first outcome, good or bad.
	release func()
	// streaming: the list being read is a stream that goes on as the watch. The reflector, which lists and
	// watches in turn, is the only one to use it.
	streaming bool
}

// reflectorBackoff is between the attempts of a reflector whose API server doesn't answer. It stays below
// patience, so that what counts as stale has failed, and not just waited.
var reflectorBackoff = wait.Backoff{Duration: 800 * time.Millisecond, Factor: 2, Jitter: 0.3, Cap: 10 * time.Second, Steps: 10}

// listTimeout bounds a list that isn't a stream. A large one takes a while.
const listTimeout = 5 * time.Minute

// follow starts a reflector for the resource, in place of the one that it has. It needs x.mu.
func (x *Index) follow(ctx context.Context, r *resource) {
	if r.stop != nil {
		r.stop()
	}
	ctx, r.stop = context.WithCancel(ctx)
	r.run++
	f := &feed{index: x, r: r, kind: r.Resource, run: r.run}
	x.running.Go(func() { f.follow(ctx) })
}

func (f *feed) follow(ctx context.Context) {
	select {
	case f.index.slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	f.release = sync.OnceFunc(func() { <-f.index.slots })
	defer f.release()
	defer time.AfterFunc(enoughTime, f.release).Stop()
	f.do(f.r.begin)
	backoff := reflectorBackoff
	source := &cache.ListWatch{ListWithContextFunc: f.list, WatchFuncWithContext: f.watch}
	options := cache.ReflectorOptions{Name: f.kind.String(), Backoff: &backoff}
	cache.NewReflectorWithOptions(source, nil, f, options).RunWithContext(ctx)
}

// list is what reflectors fall back to where the API server doesn't stream lists.
func (f *feed) list(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	f.streaming = false
	list, err := f.index.cluster.streams.Resource(f.kind.GVR()).List(ctx, options)
	if err != nil {
		f.down(ctx, err)
		return nil, err
	}
	records := &internalversion.List{Items: make([]runtime.Object, len(list.Items))}
	records.SetResourceVersion(list.GetResourceVersion())
	records.SetContinue(list.GetContinue())
	for i := range list.Items {
		records.Items[i] = f.index.recordNew(f.kind, &list.Items[i], nil)
		list.Items[i].Object = nil
	}
	return records, nil
}

// fewObjects is how many objects of a resource are listed anew without regret. API servers send a bookmark a
// minute to each watch that wants them, so that it can go on where it was after it broke. Most resources of most
// clusters are small and quiet, and half of what a worker wakes up for would be their bookmarks.
const fewObjects = 500

func (f *feed) watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	f.streaming = options.SendInitialEvents != nil && *options.SendInitialEvents
	options.AllowWatchBookmarks = f.streaming || f.hasMany()
	w, err := f.open(ctx, options)
	if err != nil {
		f.down(ctx, err)
		if f.streaming && (utilnet.IsConnectionRefused(err) || apierrors.IsTooManyRequests(err)) {
			// After these errors of a streamed list a reflector waits without regard to its context. After
			// one that it doesn't know it tries a plain list, and waits properly when that fails too.
			err = errors.New(err.Error())
		}
		return nil, err
	}
	if !f.streaming {
		f.up()
	}
	return f.records(ctx, w, options), nil
}

func (f *feed) hasMany() (many bool) {
	f.do(func() { many = len(f.r.entries) > fewObjects })
	return many
}

func (f *feed) open(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.Watch = true
	w, err := f.index.cluster.watcher.Get().AbsPath(resourcePath(f.kind)).
		SpecificallyVersionedParams(&options, metav1.ParameterCodec, metav1.SchemeGroupVersion).Watch(ctx)
	if err == nil && reflect.TypeOf(w) == emptyWatch {
		err = io.ErrUnexpectedEOF
	}
	return w, err
}

// emptyWatch is what client-go hands out, without an error, when the connection broke before an answer.
var emptyWatch = reflect.TypeOf(watch.NewEmptyWatch())

func expired(err error) bool { return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) }

// up and down tell the index how the watch does.
func (f *feed) up() { f.do(f.r.up) }

func (f *feed) down(ctx context.Context, err error) {
	if errors.Is(ctx.Err(), context.Canceled) || expired(err) {
		return // nobody listens any more; or a new list follows, which is no failure
	}
	f.do(func() {
		f.r.down(err)
		f.index.signal()
		if err != nil && notServed(err) {
			f.index.askDiscovery()
		}
	})
	if err != nil {
		f.release()
	}
}

// recordWatch turns the objects of a watch into records.
type recordWatch struct {
	out  chan watch.Event
	done chan struct{} // closed by stop
	stop func()

	mu     sync.Mutex
	source watch.Interface
}

func (w *recordWatch) ResultChan() <-chan watch.Event { return w.out }

func (w *recordWatch) Stop() {
	w.stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.source.Stop()
}

// goOn takes what follows from another source.
func (w *recordWatch) goOn(source watch.Interface) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.source.Stop()
	w.source = source
	select {
	case <-w.done:
		source.Stop()
	default:
	}
}

func (f *feed) records(ctx context.Context, source watch.Interface, options metav1.ListOptions) watch.Interface {
	w := &recordWatch{source: source, out: make(chan watch.Event), done: make(chan struct{})}
	w.stop = sync.OnceFunc(func() { close(w.done) })
	listing := f.streaming
	f.index.running.Go(func() { f.forward(ctx, w, listing, options) })
	return w
}

func (f *feed) forward(ctx context.Context, w *recordWatch, listing bool, options metav1.ListOptions) {
	defer close(w.out)
	defer w.Stop()
	listed := 0
	for events := w.source.ResultChan(); ; {
		event, open := <-events
		if !open {
			break
		}
		object, _ := event.Object.(*arrived)
		switch event.Type {
		case watch.Added:
			listed++
			event.Object = f.index.recordNew(f.kind, &object.Unstructured, nil)
		case watch.Modified:
			rec := f.index.recordNew(f.kind, &object.Unstructured, nil)
			rec.json = object.json
			event.Object = rec
		case watch.Deleted:
			event.Object = &record{ObjectMeta: metaOf(&object.Unstructured)}
		case watch.Error:
			f.down(ctx, apierrors.FromObject(event.Object))
		}
		select {
		case w.out <- event:
		case <-w.done:
			return
		}
		if listing && endsList(event) && listed <= fewObjects {
			if source := f.unmarked(ctx, options, object.GetResourceVersion()); source != nil {
				w.goOn(source)
				events = source.ResultChan()
			}
		}
	}
	var err error
	f.do(func() {
		if listing && !f.r.listed {
			err = io.ErrUnexpectedEOF // a list that broke off: the same as one that failed
		}
	})
	f.down(ctx, err)
}

// endsList tells the bookmark after which the stream of a list goes on as a watch.
func endsList(event watch.Event) bool {
	object, ok := event.Object.(*arrived)
	return ok && event.Type == watch.Bookmark && object.GetAnnotations()[metav1.InitialEventsAnnotationKey] == "true"
}

// unmarked opens the watch that goes on after a streamed list, without the bookmarks that such a list needs; nil if
// that can't be done.
func (f *feed) unmarked(ctx context.Context, options metav1.ListOptions, resourceVersion string) watch.Interface {
	options.SendInitialEvents, options.ResourceVersionMatch, options.AllowWatchBookmarks = nil, "", false
	options.ResourceVersion = resourceVersion
	source, err := f.open(ctx, options)
	if err != nil {
		return nil
	}
	return source
}
