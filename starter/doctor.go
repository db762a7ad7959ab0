package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/urfave/cli/v2"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func doctorCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "doctor",
		Usage:     "check every link of a cluster's sync, and say how to mend what is broken",
		UsageText: "starter doctor CLUSTER [--kubeconfig FILE] [--context NAME] [-o table|json|yaml]",
		Description: `Looks at Temporal, the workflow, its worker, the cluster, permissions, credentials, the Git repository, age
identity, clocks and the lock, and changes nothing. It does so from here: with your connection to Temporal, with
your kubeconfig, and with the Git credentials that the cluster holds. A worker that runs elsewhere, or as somebody
else, may fare differently; run it where the worker runs, with the worker's kubeconfig, to see what that sees.

Each check is a line with ✓, ! or ✗, or ok, warn, FAIL and skip when no terminal shows it, and what to do beneath.
A check that needs what a failed one should have found is skipped.

In -o json, .healthy is true when no check failed, and .checks is a list of {name, result, message, remedy}: the
results are passed, warning, failed and skipped, remedy is a list of sentences.

Exit status: 0 nothing failed, 1 a check failed, 2 wrong usage.

Examples:
  starter doctor primary
  starter doctor standby --context standby
  starter doctor standby -o json | jq -r '.checks[] | select(.result == "failed") | .name'`,
		Flags: append(targetFlags(), outputFlags()...),
		Action: func(c *cli.Context) error {
			cluster, err := clusterArgument(c)
			if err != nil {
				return err
			}
			output, err := formatOf(c)
			if err != nil {
				return err
			}
			d := &doctor{cluster: cluster, flags: targetOf(c)}
			defer d.close()
			return d.run(c.Context, t, output)
		},
	}
}

// doctor is one run of the command, with what its checks have found out for each other.
type doctor struct {
	cluster string
	flags   target

	registry   *registry
	enrolment  enrolment
	config     workflows.Config // with the strategy that is set
	status     workflows.Status
	connection *kube.Cluster
	target     target
	uid        string
	stored     map[string][]byte // the Secret with the credentials
	repository *repo.Repository
	tip        plumbing.Hash
	fetched    bool // the content of the tip can be read

	mu       sync.Mutex
	findings map[string]finding
	closers  []func()
	closed   bool
}

// check is one link to look at.
type check struct {
	name string
	// needs are the checks without whose findings this one can't be made, after are those that it takes into
	// account if there is something. All of them come earlier in the table.
	needs, after []string
	limit        time.Duration // 0: checkTime
	look         func(context.Context) finding
}

// checkTime is how long a check may take, placeTime where the content of the branch is fetched for it.
const (
	checkTime = 20 * time.Second
	placeTime = 2 * time.Minute
)

// checks are all links, in the order in which people hear of them.
func (d *doctor) checks() []check {
	return []check{
		{name: "Temporal", look: d.checkTemporal},
		{name: "search attributes", needs: []string{"Temporal"}, look: d.checkAttributes},
		{name: "enrolment", needs: []string{"Temporal"}, look: d.checkEnrolment},
		{name: "workflow", needs: []string{"enrolment"}, look: d.checkWorkflow},
		{name: "worker", needs: []string{"Temporal"}, look: d.checkWorker},
		{name: "sync", needs: []string{"workflow", "worker"}, look: d.checkSync},
		{name: "cluster", look: d.checkCluster},
		{name: "identity", needs: []string{"enrolment", "cluster"}, look: d.checkIdentity},
		{name: "permissions", needs: []string{"identity"}, after: []string{"sync"}, look: d.checkPermissions},
		{name: "credentials", needs: []string{"identity"}, after: []string{"sync"}, look: d.checkCredentials},
		{name: "lock", needs: []string{"identity"}, after: []string{"sync"}, look: d.checkLock},
		{name: "repository", needs: []string{"credentials"}, look: d.checkRepository},
		{name: "branch", needs: []string{"repository"}, look: d.checkBranch},
		{name: "write access", needs: []string{"repository"}, look: d.checkWriteAccess},
		{name: "place", needs: []string{"branch"}, after: []string{"sync"}, limit: placeTime, look: d.checkPlace},
		{name: "age identity", needs: []string{"credentials"}, after: []string{"place"}, look: d.checkAgeIdentity},
		{name: "clocks", after: []string{"Temporal", "cluster", "repository"}, look: d.checkClocks},
	}
}

func (d *doctor) run(ctx context.Context, t *terminal, output format) error {
	result := diagnosis{Cluster: d.cluster, Healthy: true}
	var failing []string
	d.examine(ctx, t, func(f finding) {
		if output == table {
			t.finding(f)
		}
		if f.Result == isWrong {
			failing = append(failing, f.Name)
			result.Healthy = false
		}
		result.Checks = append(result.Checks, f)
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	if output != table {
		if err := encode(t.out, output, result); err != nil {
			return err
		}
	}
	if len(failing) > 0 {
		return fmt.Errorf("%d of %d checks of cluster %s failed: %s", len(failing), len(result.Checks), d.cluster, strings.Join(failing, ", "))
	}
	if output == table {
		t.say("\nNothing is broken at cluster %s.", d.cluster)
	}
	return nil
}

// examine carries the checks out at the same time, each as soon as what it needs is known, and reports the
// findings in the order of the table, until it is interrupted.
func (d *doctor) examine(ctx context.Context, t *terminal, report func(finding)) {
	checks := d.checks()
	d.findings = map[string]finding{}
	done := map[string]chan struct{}{}
	for _, c := range checks {
		done[c.name] = make(chan struct{})
	}
	for _, c := range checks {
		go func() {
			defer close(done[c.name])
			for _, name := range slices.Concat(c.needs, c.after) {
				<-done[name]
			}
			d.conclude(c.name, d.carryOut(ctx, c))
		}()
	}
	for _, c := range checks {
		if t.waitFor(ctx, c.name, done[c.name]); ctx.Err() != nil {
			return
		}
		report(d.finding(c.name))
	}
}

// carryOut makes one check, within its time even if what it calls doesn't keep to that.
func (d *doctor) carryOut(ctx context.Context, c check) finding {
	for _, name := range c.needs {
		if f := d.finding(name); !f.usable() {
			return finding{Result: isSkipped, Message: "skipped because of " + f.cause, cause: f.cause}
		}
	}
	limit := c.limit
	if limit == 0 {
		limit = checkTime
	}
	const grace = 2 * time.Second // for a check that keeps to it, to say what it was waiting for
	waiting, stop := context.WithTimeout(ctx, limit+grace)
	defer stop()
	looking, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	f, err := await(waiting, func() (finding, error) { return c.look(looking), nil })
	if err != nil {
		return wrong(fmt.Sprintf("there was no answer within %s", limit), "try again; if that doesn't help, look at what stands between here and there")
	}
	return f
}

func (d *doctor) conclude(name string, f finding) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f.Name = name
	if f.cause == "" {
		f.cause = name
	}
	if f.Remedy == nil {
		f.Remedy = []string{}
	}
	d.findings[name] = f
}

func (d *doctor) finding(name string) finding {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.findings[name]
}

// knows tells whether a check has found what others want of it.
func (d *doctor) knows(name string) bool { return d.finding(name).usable() }

// inSync: the worker does its work, so what is missing from here isn't missing to it.
func (d *doctor) inSync() bool { return d.knows("sync") && d.status.State == workflows.InSync }

// later is called at the end; at once by a check that is still at it then.
func (d *doctor) later(closer func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		closer()
		return
	}
	d.closers = append(d.closers, closer)
}

func (d *doctor) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for _, closer := range d.closers {
		closer()
	}
}
