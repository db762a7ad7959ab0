package activities

import (
	"fmt"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/internal/exchange"
	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// contest is an object that something else changes, too, with what is reported while the sync gives way.
type contest struct {
	plan.Contest
	failure workflows.Failure
}

// overwritten remembers that an object which had been as Git says had to be made that again, and reports who
// changed it when that happens again and again.
func (r *application) overwritten(w plan.Write, written kube.Written) {
	memory := &r.pulled
	if written.Action != kube.Created && written.Action != kube.Updated || memory.Agreed[w.Path].Git != w.Git {
		return
	}
	rival, now := written.Overwrote, time.Now()
	c := memory.contests[w.Path]
	c.Contest = c.Overwritten(w.Git, now, rival.Manager != "" && !manifest.IsPerson(rival.Manager))
	c.failure = r.failure(w.Path, contested(w.Path, written, c.Times()))
	memory.contests[w.Path] = c
	if r.yields(w) {
		until, _ := c.Yields(w.Git, now)
		r.Logger.Warn("something else writes the object again and again; the sync gives way for a while", "cluster", r.Cluster,
			"object", c.failure.Object, "manager", rival.Manager, "fields", rival.Fields, "until", until.UTC().Format(time.RFC3339))
	}
}

// yields reports whether an object is left to somebody else for now. That counts as a failure.
func (r *application) yields(w plan.Write) bool {
	c := r.pulled.contests[w.Path]
	until, yields := c.Yields(w.Git, time.Now())
	if yields {
		r.pulled.failing[w.Path] = &failing{Write: w, next: until, failure: c.failure}
	}
	return yields
}

// forgetContests forgets the objects that have been left in peace.
func (r *application) forgetContests() {
	for path, contest := range r.pulled.contests {
		if contest.Over(time.Now()) {
			delete(r.pulled.contests, path)
		}
	}
}

// contested says who changes an object again and again, and what to do.
func contested(path string, written kube.Written, times int) error {
	who, flags := exchange.Rival(path, written.Overwrote)
	if written.Action == kube.Created {
		return fmt.Errorf("%s deletes it again and again, %d times lately: stop that, or take it out of Git; until then it is created at growing intervals", who, times)
	}
	return fmt.Errorf("%s changes it back again and again, %d times lately: stop that, take the field out of Git, or leave it to the cluster with %s; until then it is made what Git says at growing intervals",
		who, times, flags)
}
