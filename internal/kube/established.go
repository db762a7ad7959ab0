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
// Resolve knows it. It gives up after 30 seconds; the error names each one that isn't served, and why.
func (x *Index) AwaitEstablished(ctx context.Context, definitions []string) error {
	ctx, cancel := context.WithTimeout(ctx, establishLimit)
	defer cancel()
	var missing []error
	x.await(ctx, func() bool {
		missing = x.unestablished(definitions)
		return len(missing) == 0
	})
	return errors.Join(missing...)
}

// unestablished needs x.mu.
func (x *Index) unestablished(definitions []string) []error {
	var missing []error
	for _, name := range definitions {
		switch c := x.facts.crds[name]; {
		case c == nil:
			missing = append(missing, fmt.Errorf("CustomResourceDefinition %s: does not exist", name))
		case !c.established:
			missing = append(missing, fmt.Errorf("CustomResourceDefinition %s: not established: %s", name, c.message))
		case !c.agrees(x.discovery.catalog):
			missing = append(missing, fmt.Errorf("CustomResourceDefinition %s: established, but not served yet", name))
		}
	}
	return missing
}
