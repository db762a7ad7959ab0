package kube

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// establishLimit bounds how long an API server may take to serve new definitions. It is a matter of
// milliseconds, and of some seconds where there are several API servers.
const establishLimit = 30 * time.Second

// AwaitEstablished waits until the API server serves what these CustomResourceDefinitions define, and
// Resolve knows it. It doesn't wait for those that the API server refuses to serve, and gives up after 30
// seconds; the error names each one that isn't served, and why.
func (x *Index) AwaitEstablished(ctx context.Context, definitions []string) error {
	ctx, cancel := context.WithTimeout(ctx, establishLimit)
	defer cancel()
	var missing []error
	x.await(ctx, func() bool {
		missing = nil
		waiting := false
		for _, name := range definitions {
			err := x.unestablished(name)
			if err == nil {
				continue
			}
			missing = append(missing, fmt.Errorf("CustomResourceDefinition %s: %w", name, err))
			waiting = waiting || !errors.Is(err, errRefused)
		}
		return !waiting
	})
	return errors.Join(missing...)
}

// Unserved is why the API server doesn't serve what a CustomResourceDefinition that it has defines; nil where
// it does, or has no such definition.
func (x *Index) Unserved(definition string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.unestablished(definition); !errors.Is(err, errAbsent) {
		return err
	}
	return nil
}

var (
	errAbsent  = errors.New("it does not exist")
	errRefused = errors.New("the API server does not serve it; give it names that no other kind has")
)

// unestablished needs x.mu.
func (x *Index) unestablished(definition string) error {
	switch c := x.facts.crds[definition]; {
	case c == nil:
		return errAbsent
	case c.refused:
		return fmt.Errorf("%w: %s", errRefused, c.message)
	case !c.established:
		return fmt.Errorf("it is not established yet: %s", c.message)
	case !c.agrees(x.discovery.catalog):
		return errors.New("it is established, but not served yet")
	}
	return nil
}
