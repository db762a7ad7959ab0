package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// Audits are the safety net of the index: slowly, one resource after the other, they compare it with lists
// of metadata. What they find is a defect, of the index or of what lies between it and the API server: it
// is logged, counted, and corrected by reading the object. Lists of metadata cost the API server little,
// but they are requests, so that there are few: none for a resource that its reflector has listed within
// the period.

const (
	auditEvery = time.Hour
	// auditPatience is how long a watch that is up may be behind a list. A quiet one of few objects, which gets no
	// bookmarks, is behind the list for longer than that, but not behind its own resource.
	auditPatience = 5 * time.Minute
	auditPoll     = 200 * time.Millisecond
)

// audits say when to audit, and who wants to know.
type audits struct {
	every  time.Duration // negative: never
	defect func(resource string)
}

func newAudits(o IndexOptions) audits {
	a := audits{every: o.AuditEvery, defect: o.Defect}
	if a.every == 0 {
		a.every = auditEvery
	}
	if a.defect == nil {
		a.defect = func(string) {}
	}
	return a
}

// auditLoop audits one resource at a time, at even distances.
func (x *Index) auditLoop(ctx context.Context) {
	for x.audits.every > 0 && sleep(ctx, x.auditPace()) {
		a := x.dueAudit(time.Now())
		if a == nil {
			continue
		}
		if err := a.run(ctx); err != nil && ctx.Err() == nil {
			x.log.Debug("the index of a resource was not audited", "resource", a.kind.String(), "error", err)
		}
	}
}

// auditPace is the distance at which all resources have their turn within the period.
func (x *Index) auditPace() time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.audits.every / time.Duration(max(1, len(x.resources)))
}

// dueAudit is that of the resource which was not compared with a list for the longest time; nil when all
// were within the period. A resource that cannot be read now has its turn when it can.
func (x *Index) dueAudit(now time.Time) *audit {
	x.mu.Lock()
	defer x.mu.Unlock()
	var due *resource
	for _, r := range x.resources {
		ready := r.listed && r.missing == nil && r.since.IsZero() && now.Sub(r.compared) >= x.audits.every
		if ready && (due == nil || r.compared.Before(due.compared)) {
			due = r
		}
	}
	if due == nil {
		return nil
	}
	due.compared = now
	return &audit{index: x, r: due, kind: due.Resource, reflector: due.run}
}

// audit compares the index of one resource with a list of it.
type audit struct {
	index     *Index
	r         *resource
	kind      manifest.Resource
	reflector int    // the number of the reflector that is audited
	version   string // the resource version of the list
}

// suspect is an object on which the index and the list disagree.
type suspect struct {
	key
	uid             types.UID // the list's, or the index's where the list lacks the object
	resourceVersion string    // the list's; "" where it lacks the object
}

// run returns an error when the audit could not be made.
func (a *audit) run(ctx context.Context) error {
	suspects, err := a.compare(ctx)
	if err != nil || len(suspects) == 0 || !a.awaitWatch(ctx) {
		return err
	}
	for _, s := range suspects {
		alone := a.settle(ctx, s)
		if err = errors.Join(err, alone); unanswered(alone) {
			break
		}
	}
	return err
}

// compare lists the resource and returns what is to be looked at again once the watch has come as far as
// the list.
func (a *audit) compare(ctx context.Context) ([]suspect, error) {
	unlisted := map[key]types.UID{}
	a.do(func() {
		for k, e := range a.r.entries {
			unlisted[k] = e.uid
		}
	})
	var suspects []suspect
	note := func(s suspect) {
		if a.wrong(s) {
			suspects = append(suspects, s)
		}
	}
	options := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := a.index.cluster.metadata.Resource(a.kind.GVR()).List(ctx, options)
		if err != nil {
			return nil, explain(err)
		}
		a.version = page.ResourceVersion // all pages are of the same
		a.do(func() {
			for i := range page.Items {
				k := keyOf(&page.Items[i])
				delete(unlisted, k)
				note(suspect{k, page.Items[i].UID, page.Items[i].ResourceVersion})
			}
		})
		if options.Continue = page.Continue; options.Continue == "" {
			break
		}
	}
	a.do(func() {
		for k, uid := range unlisted {
			note(suspect{key: k, uid: uid})
		}
	})
	return suspects, nil
}

// wrong reports whether the index has an object otherwise than the list, and not in a later version. It
// needs the Index's mutex.
func (a *audit) wrong(s suspect) bool {
	switch e := a.r.entries[s.key]; {
	case e == nil:
		return s.resourceVersion != ""
	case newer(e.resourceVersion, a.version):
		return false
	case s.resourceVersion == "":
		return e.uid == s.uid
	default:
		return e.uid != s.uid || e.resourceVersion != s.resourceVersion
	}
}

// awaitWatch waits until the watch has told of everything that the list shows, or should have long ago;
// false when it broke, or when there is nothing to compare any more.
func (a *audit) awaitWatch(ctx context.Context) bool {
	for late := time.Now().Add(auditPatience); ; {
		up, passed := false, false
		a.do(func() {
			up = a.r.since.IsZero()
			order, err := resourceversion.CompareResourceVersion(a.r.seen, a.version)
			passed = err == nil && order >= 0
		})
		switch {
		case !up:
			return false
		case passed, time.Now().After(late):
			return true
		case !sleep(ctx, auditPoll):
			return false
		}
	}
}

// settle looks at a suspect again, now that the watch has come past the list. If the index is still wrong
// it takes in what the object itself says.
func (a *audit) settle(ctx context.Context, s suspect) error {
	var had *entry
	still := false
	a.do(func() { had, still = a.r.entries[s.key], a.wrong(s) })
	if !still {
		return nil
	}
	rec, err := a.read(ctx, s.key)
	if err != nil || rec != nil && rec.err != nil {
		return err // nil where the index does not take such an object, which it has said
	}
	defect := false
	a.do(func() {
		// Where the entry changed meanwhile, the watch is at work.
		if defect = a.r.entries[s.key] == had && contradicts(had, rec, s); defect {
			a.correct(s, had, rec)
		}
	})
	if defect {
		a.index.audits.defect(a.kind.GroupResource().String())
	}
	return nil
}

// read returns what the object is now; nil for none.
func (a *audit) read(ctx context.Context, k key) (*record, error) {
	live, err := a.index.cluster.of(a.kind, k.namespace).Get(ctx, k.name, metav1.GetOptions{})
	switch {
	case absent(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", k.path(a.kind), explain(err))
	}
	return a.index.record(a.kind, live, nil), nil
}

// contradicts reports whether what was read, nil for nothing, proves the entry, nil for none, wrong.
func contradicts(had *entry, rec *record, s suspect) bool {
	switch {
	case rec == nil:
		return had != nil
	case had == nil:
		return rec.UID == s.uid // it has been there since the list; another one was made after it
	case s.resourceVersion == "":
		return rec.UID != had.uid
	default:
		return rec.UID != had.uid || rec.ResourceVersion != had.resourceVersion
	}
}

// correct needs the Index's mutex.
func (a *audit) correct(s suspect, had *entry, rec *record) {
	was, is := "absent", "absent"
	if had != nil {
		was = had.resourceVersion
	}
	if rec != nil {
		is = rec.ResourceVersion
	}
	a.index.log.Error("the index was wrong about an object, and is corrected", "object", s.path(a.kind), "indexed", was, "actual", is)
	if rec == nil {
		a.index.forget(a.r, s.key)
		return
	}
	a.index.put(a.r, rec, newer(rec.ResourceVersion, a.r.seen))
}

// do works on the resource, unless another reflector has taken over, or the resource is gone.
func (a *audit) do(work func()) {
	a.index.mu.Lock()
	defer a.index.mu.Unlock()
	if a.r.run == a.reflector {
		work()
	}
}

// absent: the API server says that there is no such object. One that knows no such resource, or a proxy,
// answers 404 as well, but not in these terms.
func absent(err error) bool {
	return apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}
