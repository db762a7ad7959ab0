package kube

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

// logEvery is how often the log is compared with what is the case.
const logEvery = 5 * time.Second

// logLoop logs when something cannot be read and when it can be again: once, and in one line for all
// resources that share a cause, as they do when the API server is down.
func (x *Index) logLoop(ctx context.Context) {
	logged := map[string]error{}
	for sleep(ctx, logEvery) {
		now := x.problems(time.Now())
		x.logNew(logged, now)
		var recovered []string
		for name := range logged {
			if _, still := now[name]; !still {
				recovered = append(recovered, name)
			}
		}
		if slices.Sort(recovered); len(recovered) > 0 {
			x.log.Info("readable again", "resources", names(recovered), "count", len(recovered))
		}
		logged = now
	}
}

func (x *Index) logNew(logged, now map[string]error) {
	byKind := map[error][]string{}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if before, known := logged[name]; !known || !errors.Is(kindOf(before), kindOf(now[name])) {
			byKind[kindOf(now[name])] = append(byKind[kindOf(now[name])], name)
		}
	}
	for _, affected := range byKind {
		x.log.Warn("cannot be read", "resources", names(affected), "count", len(affected), "error", now[affected[0]])
	}
}

// problems are the resources that cannot be read or whose watch is down, and discovery, with the cause.
func (x *Index) problems(now time.Time) map[string]error {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := map[string]error{}
	for gr, r := range x.resources {
		if r.settled() && r.unreadable(now) != nil {
			all[gr.String()] = r.unreadable(now)
		} else if r.listed && r.broken(now) {
			all[gr.String()] = cmp.Or(r.err, errWatchDown)
		}
	}
	if x.discovery.err != nil {
		all["discovery"] = x.discovery.err
	} else if lack := x.lacking(); lack != "" && x.discovery.answered {
		all["discovery"] = errors.New(lack)
	}
	return all
}

var errWatchDown = errors.New("the watch is down")
