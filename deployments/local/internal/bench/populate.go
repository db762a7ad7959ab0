package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// populate creates the objects, and returns when the controllers have done
// what they do about them.
func populate(ctx context.Context, a *api, all []object, report func(string, ...any)) error {
	if err := a.post(ctx, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", widgetDefinition); err != nil {
		return err
	}
	if err := awaitWidgets(ctx, a); err != nil {
		return err
	}
	if err := createNamespaces(ctx, a, all); err != nil {
		return err
	}
	var created atomic.Int64
	err := concurrently(ctx, connections, all, func(ctx context.Context, o object) error {
		if n := created.Add(1); n%500 == 0 {
			report("created %d of %d objects", n, len(all))
		}
		return a.post(ctx, o.collection(), o.body())
	})
	if err != nil {
		return fmt.Errorf("create the objects: %w", err)
	}
	report("waiting until the controllers are done with them")
	return quiet(ctx, a)
}

// awaitWidgets returns when the custom resource is served.
func awaitWidgets(ctx context.Context, a *api) error {
	served := func(ctx context.Context) error { return a.get(ctx, "/apis/bench.example.com/v1/widgets", &struct{}{}) }
	if err := eventually(ctx, time.Minute, served); err != nil {
		return fmt.Errorf("the custom resource is not served: %w", err)
	}
	return nil
}

func createNamespaces(ctx context.Context, a *api, all []object) error {
	var names []string
	for i := 0; i < len(all); i += perNamespace {
		names = append(names, all[i].namespace)
	}
	err := concurrently(ctx, connections, names, func(ctx context.Context, name string) error {
		return a.post(ctx, "/api/v1/namespaces", map[string]any{
			"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
		})
	})
	if err != nil {
		return fmt.Errorf("create the namespaces: %w", err)
	}
	return nil
}

// edit changes each object as a person would; stamp makes one edit differ from
// the next.
func edit(ctx context.Context, a *api, all []object, stamp string) error {
	patch := fmt.Sprintf(`{"metadata":{"annotations":{"bench.example.com/edited":%q}}}`, stamp)
	err := concurrently(ctx, connections, all, func(ctx context.Context, o object) error {
		return a.mergePatch(ctx, o.path(), patch)
	})
	if err != nil {
		return fmt.Errorf("edit %d objects: %w", len(all), err)
	}
	return nil
}

// quiet returns when almost nothing is written to the cluster any more. The
// API server itself renews a lease now and then.
func quiet(ctx context.Context, a *api) error {
	const span, few = 3 * time.Second, 3
	last, err := revision(ctx, a)
	if err != nil {
		return err
	}
	return eventually(ctx, 20*time.Minute, func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(span):
		}
		now, err := revision(ctx, a)
		if err != nil {
			return err
		}
		writes := now - last
		last = now
		if writes > few {
			return fmt.Errorf("%d writes to the cluster within %s", writes, span)
		}
		return nil
	})
}

// revision is the cluster's, which goes up with each write.
func revision(ctx context.Context, a *api) (int64, error) {
	var list struct {
		Metadata struct {
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
	}
	if err := a.get(ctx, "/api/v1/namespaces?limit=1", &list); err != nil {
		return 0, err
	}
	return strconv.ParseInt(list.Metadata.ResourceVersion, 10, 64)
}

func concurrently[T any](ctx context.Context, limit int, all []T, do func(context.Context, T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(limit)
	for _, one := range all {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error { return do(ctx, one) })
	}
	return group.Wait()
}

// eventually repeats an attempt until it succeeds, and returns its last error
// when it doesn't within the limit.
func eventually(ctx context.Context, limit time.Duration, attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	for {
		err := attempt(ctx)
		if err == nil {
			return nil
		}
		if last == nil || !errors.Is(err, context.DeadlineExceeded) {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, last)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
