package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
)

// share is how many objects kubectl applies, farShare how many from a distance:
// some ten seconds of work.
const share, farShare = 1500, 200

// raw creates the objects by requests that cost the client nothing but sending
// them: the API server's own speed.
func (r *run) raw(ctx context.Context, name string, bodies []body) (Rate, error) {
	on, err := r.fresh(ctx, name, 0)
	if err != nil {
		return Rate{}, err
	}
	defer on.discard()
	client, err := on.user(rawUser)
	if err != nil {
		return Rate{}, err
	}
	r.Step("%s, creating %d objects", name, len(bodies))
	began := time.Now()
	created, err := create(ctx, client, bodies)
	if err != nil {
		return Rate{}, err
	}
	rate := Rate{Objects: float64(created), Seconds: time.Since(began).Seconds()}
	r.Note("%s: %s objects/s", name, digits(rate.perSecond()))
	return rate, nil
}

// create goes stage by stage and returns how many objects were not there yet: a
// few every cluster makes for itself.
func create(ctx context.Context, a *api, bodies []body) (created int64, err error) {
	var count atomic.Int64
	for stage := foundations; stage <= others; stage++ {
		batch := slices.DeleteFunc(slices.Clone(bodies), func(b body) bool { return b.stage != stage })
		err := concurrently(ctx, rawConnections, batch, func(ctx context.Context, b body) error {
			err := a.create(ctx, b.collection, b.json)
			if err == nil {
				count.Add(1)
			}
			return unlessThere(err)
		})
		if err != nil {
			return 0, fmt.Errorf("create the objects: %w", err)
		}
		if stage == foundations {
			if err := awaitWidgets(ctx, a); err != nil {
				return 0, err
			}
		}
	}
	return count.Load(), nil
}

// kubectlApply measures kubectl on a share of the objects: those of the first
// namespaces. What these need is there already, and kubectl knows the resources.
func (r *run) kubectlApply(ctx context.Context, name string, bodies []body, roundTrip time.Duration) (Rate, error) {
	on, err := r.fresh(ctx, name, roundTrip)
	if err != nil {
		return Rate{}, err
	}
	defer on.discard()
	foundation := slices.DeleteFunc(slices.Clone(bodies), func(b body) bool { return b.stage != foundations })
	if _, err := create(ctx, on.api, foundation); err != nil {
		return Rate{}, err
	}
	files := filepath.Join(r.Dir, name+".files")
	most := share
	if roundTrip > 0 {
		most = farShare
	}
	n, err := writeShare(files, bodies, most)
	if err != nil {
		return Rate{}, err
	}
	s := &script{run: r, env: append(r.environment(), "KUBECONFIG="+on.kubeconfig(kubectlUser), "KUBECACHEDIR="+filepath.Join(r.Dir, name+".kube-cache"))}
	if err := s.execute(ctx, nil, r.Kubectl, "api-resources"); err != nil {
		return Rate{}, err
	}
	r.Step("%s, applying %d objects", name, n)
	s.wall, s.cpu, s.peak = 0, 0, 0
	if err := s.execute(ctx, nil, r.Kubectl, "apply", "--server-side", "--recursive", "--filename", files); err != nil {
		return Rate{}, err
	}
	rate := Rate{Objects: float64(n), Seconds: s.wall.Seconds(), CPU: s.cpu.Seconds()}
	r.Note("%s: %s objects/s", name, digits(rate.perSecond()))
	return rate, nil
}

// writeShare writes the first objects that lie in a namespace to a directory.
func writeShare(directory string, bodies []body, most int) (n int, err error) {
	for _, b := range bodies {
		if !b.namespaced || n == most {
			continue
		}
		folder := filepath.Join(directory, filepath.FromSlash(b.collection))
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return n, err
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%d.json", n)), b.json, 0o600); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
