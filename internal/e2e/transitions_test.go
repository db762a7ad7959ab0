package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// sides are what the ConfigMaps of the test hold: as both sides agreed last, in Git, and in the cluster.
type sides struct{ base, git, live map[string]string }

func (s sides) clone() sides { return sides{maps.Clone(s.base), maps.Clone(s.git), maps.Clone(s.live)} }

// after is the outcome of a sync under a strategy, as docs/strategies.md says.
func (s sides) after(strategy workflows.Strategy) sides {
	now := s.clone()
	switch strategy {
	case workflows.Push:
		now.git = maps.Clone(s.live)
		now.base = maps.Clone(s.live)
	case workflows.Pull:
		for name := range s.base {
			if _, held := s.git[name]; !held {
				delete(now.live, name)
			}
		}
		maps.Copy(now.live, s.git)
		now.base = maps.Clone(s.git)
	case workflows.PushPull:
		names := maps.Clone(s.base)
		maps.Copy(names, s.git)
		maps.Copy(names, s.live)
		now.base = map[string]string{}
		for name := range names {
			value := s.git[name]
			if s.git[name] == s.base[name] { // Git hasn't moved; where both have, Git wins
				value = s.live[name]
			}
			for _, side := range []map[string]string{now.base, now.git, now.live} {
				if delete(side, name); value != "" {
					side[name] = value
				}
			}
		}
	case workflows.None:
	}
	return now
}

// changing is an enrolment whose strategy is changed again and again, with edits on both sides before each change.
type changing struct {
	t       *testing.T
	on      *cluster
	repo    string
	worker  *worker
	git     *stacktest.Gate
	api     *stacktest.Gate
	want    sides
	step    int
	current workflows.Strategy
}

const (
	changingName = "changing"
	changingNS   = "changing"
)

// kept are the objects that nobody ever edits: a change of the strategy is to leave them alone, whatever it is.
const kept = 20

// tour is every change between two strategies, once.
var tour = []workflows.Strategy{
	workflows.Push, workflows.Pull, workflows.Push, workflows.PushPull, workflows.Pull, workflows.PushPull, workflows.Push,
	workflows.None, workflows.Pull, workflows.None, workflows.PushPull, workflows.None, workflows.Push,
}

func newChanging(t *testing.T) *changing {
	c := &changing{t: t, repo: newRepo(t), want: sides{map[string]string{}, map[string]string{}, map[string]string{}}}
	standby := clusters["standby"]
	dropAfter(t, standby, changingNS)
	create(t, standby, namespaces, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+changingNS+", labels: {acs: "+changingNS+"}}")
	for n := range kept {
		c.set(standby, fmt.Sprintf("kept-%03d", n), "one")
	}
	for n := range 2 * len(tour) {
		for _, what := range []string{"cluster", "git", "both", "gone-cluster", "gone-git"} {
			c.set(standby, c.name(what, n), "one")
		}
	}
	var through *cluster
	through, c.api = gated(t, standby)
	c.on = standby
	c.git = stacktest.NewGate(t, stack.Env["GIT_URL"], http.DefaultTransport, nil)
	c.worker = startWorker(t, changingName, through, t.TempDir())
	enroll(t, changingName, standby, c.repo, workflows.Push, "--repo", c.git.URL()+"/"+c.repo+".git",
		"--selector", "acs="+changingNS, "--secrets", "exclude")
	c.current = workflows.Push
	c.want = c.want.after(workflows.Push)
	c.settled()
	return c
}

func (c *changing) name(what string, step int) string { return fmt.Sprintf("%s-%02d", what, step) }

// set writes a value to the cluster.
func (c *changing) set(on *cluster, name, value string) {
	c.t.Helper()
	if _, there := c.want.live[name]; there {
		changeAs(c.t, "kubectl-edit", on, configMaps, changingNS, name, setKey(value))
	} else {
		eventually(c.t, func() bool { // the lock of a moment ago may still be in force
			_, err := on.objects.Resource(configMaps).Namespace(changingNS).Create(c.t.Context(), object(c.t, declaring(name, value)), metav1.CreateOptions{FieldManager: "kubectl"})
			return err == nil
		}, func() string { return "could not create " + name })
	}
	c.want.live[name] = value
}

func declaring(name, value string) string {
	return strings.Replace(labelled(changingNS, name, ""), "key: one", "key: "+value, 1)
}

// editBoth does to both sides all that can be done to them.
func (c *changing) editBoth() {
	c.t.Helper()
	name := func(what string) string { return c.name(what, c.step) }
	c.set(c.on, name("cluster"), "by-cluster")
	c.set(c.on, name("both"), "by-cluster")
	c.set(c.on, name("new-cluster"), "by-cluster")
	eventually(c.t, func() bool {
		err := c.on.objects.Resource(configMaps).Namespace(changingNS).Delete(context.Background(), name("gone-cluster"), metav1.DeleteOptions{})
		return err == nil || apierrors.IsNotFound(err)
	}, func() string { return "could not delete" })
	delete(c.want.live, name("gone-cluster"))
	edit(c.t, c.repo, fmt.Sprint("step ", c.step), func(dir string) {
		path := func(what string) string { return "namespaces/" + changingNS + "/configmaps/" + name(what) + ".yaml" }
		for _, what := range []string{"git", "both", "new-git"} {
			write(c.t, dir, path(what), declaring(name(what), "by-git"))
			c.want.git[name(what)] = "by-git"
		}
		require.NoError(c.t, os.Remove(filepath.Join(dir, path("gone-git"))))
		delete(c.want.git, name("gone-git"))
	})
}

var keyInFile = regexp.MustCompile(`/configmaps/([a-z0-9-]+)\.yaml:.*\bkey: "?([a-z-]+)`)

// now is what both sides hold.
func (c *changing) now() (inGit, live map[string]string) {
	c.t.Helper()
	inGit, live = map[string]string{}, map[string]string{}
	for line := range strings.Lines(git(c.t, c.repo, "grep", "key: ", "main", "--", "namespaces/"+changingNS+"/configmaps")) {
		found := keyInFile.FindStringSubmatch(line)
		require.NotNil(c.t, found, line)
		inGit[found[1]] = found[2]
	}
	list, err := c.on.objects.Resource(configMaps).Namespace(changingNS).List(c.t.Context(), metav1.ListOptions{LabelSelector: "acs=" + changingNS})
	require.NoError(c.t, err)
	for _, o := range list.Items {
		live[o.GetName()], _, _ = unstructured.NestedString(o.Object, "data", "key")
	}
	return inGit, live
}

// settled waits until a sync under the current strategy has nothing left to do.
func (c *changing) settled() workflows.Status {
	c.t.Helper()
	if c.current == workflows.None {
		eventually(c.t, func() bool { // what the sync that was stopped is in the middle of comes to its end
			d, err := temporal.DescribeWorkflowExecution(c.t.Context(), workflows.WorkflowID(changingName), "")
			return err == nil && len(d.GetPendingActivities()) == 0
		}, func() string { return tail(c.worker.log.String()) })
		return reaches(c.t, changingName, func(s workflows.Status) bool { return s.State == workflows.Stopped })
	}
	syncNow(c.t, changingName)
	return reaches(c.t, changingName, func(s workflows.Status) bool {
		return inSync(s) && s.Revision == git(c.t, c.repo, "rev-parse", "main")
	})
}

// change sets the next strategy.
func (c *changing) change(to workflows.Strategy) {
	c.t.Helper()
	update(c.t, changingName, workflows.SetStrategyMessage, workflows.SetStrategy{Strategy: to})
	c.current = to
}

// lockFits waits until people are kept from editing under pull, and nowhere else.
func (c *changing) lockFits() {
	c.t.Helper()
	if c.current == workflows.Pull {
		reaches(c.t, changingName, lockedAs(workflows.LockingOn))
		require.NotNil(c.t, get(c.t, c.on, policies, "", kube.LockName(changingName)))
		return
	}
	unlocked(c.t, c.on, changingName)
}

// holds makes the worker's requests that write wait, on either side, until they are let go.
func (c *changing) holds() (held <-chan struct{}, release func()) {
	reached, free := make(chan struct{}), make(chan struct{})
	var once sync.Once
	wait := func() int {
		once.Do(func() { close(reached) })
		<-free
		return 0
	}
	c.git.Refuse(func(r *http.Request) int {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/git-receive-pack") {
			return wait()
		}
		return 0
	})
	c.api.Refuse(func(r *http.Request) int {
		writes := r.Method != http.MethodGet && !r.URL.Query().Has("dryRun")
		if writes && strings.Contains(r.URL.Path, "/namespaces/"+changingNS+"/configmaps") {
			return wait()
		}
		return 0
	})
	var letGo sync.Once
	release = func() {
		letGo.Do(func() {
			close(free)
			c.git.Refuse(nil)
			c.api.Refuse(nil)
		})
	}
	c.t.Cleanup(release)
	return reached, release
}

func TestEveryChangeOfTheStrategyDoesWhatItsRowSays(t *testing.T) {
	c := newChanging(t)
	outer := c.t
	for i, to := range tour[1:] {
		from := tour[i]
		t.Run(fmt.Sprintf("paused, %s to %s", from, to), func(t *testing.T) {
			c.t = t
			defer func() { c.t = outer }()
			update(t, changingName, workflows.PauseMessage)
			c.editBoth()
			c.step++
			c.change(to)
			before := c.want.clone()
			gotGit, gotLive := c.now()
			require.Equal(t, before.git, gotGit, "nothing is written while it is paused")
			require.Equal(t, before.live, gotLive)
			update(t, changingName, workflows.ResumeMessage)
			c.want = c.want.after(to)
			s := c.settled()
			gotGit, gotLive = c.now()
			require.Equal(t, c.want.git, gotGit, "Git\n%s", describe(s, nil))
			require.Equal(t, c.want.live, gotLive, "the cluster\n%s", describe(s, nil))
			c.lockFits()
		})
		if t.Failed() {
			return
		}
	}
	for i, to := range tour[1:] {
		from := tour[i]
		if from == workflows.None { // nothing is under way, and the first round has shown that
			c.change(to)
			c.want = c.want.after(to)
			c.settled()
			continue
		}
		t.Run(fmt.Sprintf("in mid-sync, %s to %s", from, to), func(t *testing.T) {
			c.t = t
			defer func() { c.t = outer }()
			update(t, changingName, workflows.PauseMessage) // so that the sync sees all edits, or none
			c.editBoth()
			c.step++
			held, release := c.holds()
			update(t, changingName, workflows.ResumeMessage)
			select {
			case <-held:
			case <-time.After(time.Minute):
				require.Fail(t, "no sync is under way")
			}
			c.change(to)
			release()
			s := c.settled()
			gotGit, gotLive := c.now()
			// What the sync that was stopped has done already, object by object, or not.
			direct, through := c.want.after(to), c.want.after(from).after(to)
			for name := range everyName(direct, through, sides{git: gotGit, live: gotLive}) {
				require.Contains(t, []string{direct.git[name], through.git[name]}, gotGit[name], "%s in Git\n%s", name, describe(s, nil))
				require.Contains(t, []string{direct.live[name], through.live[name]}, gotLive[name], "%s in the cluster\n%s", name, describe(s, nil))
			}
			c.want.git, c.want.live = gotGit, gotLive
			if to != workflows.None {
				c.want = c.want.after(to)
			}
			c.lockFits()
		})
		if t.Failed() {
			return
		}
	}
}

// everyName are the names of all objects.
func everyName(all ...sides) map[string]bool {
	names := map[string]bool{}
	for _, s := range all {
		for name := range s.git {
			names[name] = true
		}
		for name := range s.live {
			names[name] = true
		}
	}
	return names
}
