package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// step is one scene. It tells what happens while it happens, and fails when
// what should happen doesn't.
type step struct {
	name  string
	title string
	text  string
	run   func(*demo, context.Context, context.CancelCauseFunc) error
}

// Limits for what the sync should do. A tick comes every 10 seconds, and a
// change needs at most one on each side.
const (
	tick      = 10 * time.Second
	patience  = time.Minute
	idleTicks = 2
)

// shop is the namespace in which the story plays.
const shop = "lantern-shop"

var story = []step{
	{"workers", "Two workers, one for each cluster",
		"Workers run beside each cluster, in different networks or continents.\nHere they are two processes that know nothing of each other.",
		(*demo).runWorkers},
	{"sample", "A shop for lanterns opens on the cluster primary",
		"Two namespaces, Deployments, Services, an autoscaler, RBAC, a CRD with promotions: all by plain kubectl.\nThe clusters have API servers and controllers, and no nodes: nothing becomes ready. The sync is about the objects.",
		(*demo).applySample},
	{"enroll-push", "primary is enrolled with the strategy push: the cluster wins",
		"From now on a Temporal workflow stores every change of the cluster in Git, each 10 seconds.",
		(*demo).enrollPrimary},
	{"clone", "What is in Git",
		"One file for each object. The token comes from a file: it is in no argument, URL or log.",
		(*demo).showRepository},
	{"wrong-token", "Who has another token gets nothing",
		"Git refuses it, and an enrolment with it stops before anything is written.",
		(*demo).tryWrongToken},
	{"enroll-pull", "standby is enrolled with the strategy pull: Git wins",
		"An empty cluster follows the repository. Nobody applies anything to it.",
		(*demo).enrollStandby},
	{"lock", "Somebody edits the standby by hand, and is refused",
		"Where Git wins, the API server keeps people from editing what is synced, administrators among them.",
		(*demo).refuseEdits},
	{"drift", "Somebody edits it all the same",
		"Members of a break-glass group get through. A Deployment gets a variable, more replicas and a label,\nand a ConfigMap is deleted.",
		(*demo).repairDrift},
	{"change", "A change on primary travels to standby",
		"A new version of the storefront and a better promotion.",
		(*demo).travel},
	{"idle", "Nothing changes, so nothing happens",
		"Controllers are at work in both clusters all the time. No commit may come from that.",
		(*demo).stayIdle},
	{"no-leak", "The token stayed where it belongs",
		"It went from its file into a Secret of each cluster. It may be nowhere else.",
		(*demo).findNoToken},
}

func (d *demo) runWorkers(ctx context.Context, end context.CancelCauseFunc) error {
	for _, cluster := range d.stack.options.Clusters {
		if err := d.startWorker(cluster, end); err != nil {
			return err
		}
	}
	for _, cluster := range d.stack.options.Clusters {
		err := eventually(ctx, func(ctx context.Context) error { return d.stack.temporal.Polled(ctx, "cluster-sync-"+cluster) })
		if err != nil {
			return fmt.Errorf("the worker of %s does not ask Temporal for work: %w", cluster, err)
		}
		d.say.ok("the worker of %s waits for work on its task queue", cluster)
	}
	return nil
}

func (d *demo) applySample(ctx context.Context, _ context.CancelCauseFunc) error {
	sample := d.stack.path("sample")
	if err := writeSample(sample); err != nil {
		return err
	}
	err := d.kubectl(ctx, "primary",
		[]string{"apply", "-f", filepath.Join(sample, sampleCRD)},
		[]string{"wait", "--for=condition=Established", "--timeout=60s", "-f", filepath.Join(sample, sampleCRD)},
		[]string{"apply", "-f", sample},
	)
	if err != nil {
		return err
	}
	objects, err := d.sampleOn(ctx, "primary")
	if err != nil {
		return err
	}
	d.say.ok("%d objects are on primary", len(objects))
	return nil
}

func (d *demo) enrollPrimary(ctx context.Context, _ context.CancelCauseFunc) error {
	began := time.Now()
	if err := os.Remove(d.ageKeyFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := d.enroll(ctx, "primary", "push", d.tokenFile(), "--age-key-out", d.ageKeyFile()); err != nil {
		return err
	}
	status, err := d.waitInSync(ctx, "primary")
	if err != nil {
		return err
	}
	took := time.Since(began)
	if _, err := d.typed(ctx, nil, "starter", "status", "primary"); err != nil {
		return err
	}
	d.say.ok("in sync %s after the enrolment began: %d objects at revision %.7s",
		took.Round(100*time.Millisecond), status.Objects, status.Revision)
	return nil
}

func (d *demo) showRepository(ctx context.Context, _ context.CancelCauseFunc) error {
	if err := d.writeAskpass(); err != nil {
		return err
	}
	clone := d.stack.path("clone")
	if _, err := d.typed(ctx, d.gitEnv(), "git", "clone", "--quiet", d.repository(), clone); err != nil {
		return err
	}
	if _, err := d.typed(ctx, nil, "git", "-C", clone, "log", "-1"); err != nil {
		return err
	}
	if _, err := d.typed(ctx, nil, "git", "-C", clone, "ls-tree", "-r", "--name-only", "HEAD"); err != nil {
		return err
	}
	return d.checkClone(ctx, clone)
}

func (d *demo) tryWrongToken(ctx context.Context, _ context.CancelCauseFunc) error {
	wrong := d.stack.path("wrong-token")
	if err := os.WriteFile(wrong, []byte("acs_not-the-token\n"), 0o600); err != nil {
		return err
	}
	defer os.Remove(wrong)
	env := append(d.gitEnv(), "TOKEN_FILE="+wrong)
	printed, err := d.typed(ctx, env, "git", "ls-remote", d.repository())
	if err == nil {
		return errors.New("the Git server let a wrong token in")
	}
	if !strings.Contains(printed, "Authentication failed") {
		return fmt.Errorf("refused, but not for the token: %s", printed)
	}
	if _, err := d.enroll(ctx, "standby", "pull", wrong); err == nil {
		return errors.New("starter enrolled standby with a wrong token")
	}
	if _, err := d.status(ctx, "standby"); err == nil {
		return errors.New("standby is enrolled although its token is wrong")
	}
	d.say.ok("both refused, and standby is not enrolled")
	return nil
}

func (d *demo) enrollStandby(ctx context.Context, _ context.CancelCauseFunc) error {
	began := time.Now()
	if _, err := d.enroll(ctx, "standby", "pull", d.tokenFile(), "--age-key-file", d.ageKeyFile()); err != nil {
		return err
	}
	if _, err := d.waitInSync(ctx, "standby"); err != nil {
		return err
	}
	same, err := d.waitSame(ctx)
	if err != nil {
		return err
	}
	took := time.Since(began)
	if err := d.kubectl(ctx, "standby", []string{"-n", shop, "get", "deployments,services,promotions"}); err != nil {
		return err
	}
	d.say.ok("%d objects are the same on both clusters, %s after the enrolment began", same, took.Round(100*time.Millisecond))
	return nil
}

func (d *demo) refuseEdits(ctx context.Context, _ context.CancelCauseFunc) error {
	scale := []string{"kubectl", "--context", "standby", "-n", shop, "scale", "deployment/checkout", "--replicas=5"}
	// The API server needs a moment to hear of the lock. Scaling to what there is does no harm where it gets through.
	harmless := append(slices.Clone(scale[:len(scale)-1]), "--replicas=2")
	err := eventually(ctx, func(ctx context.Context) error {
		if _, err := d.ask(ctx, nil, harmless...); err == nil {
			return errors.New("the standby isn't locked")
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, edit := range [][]string{scale, {"kubectl", "--context", "standby", "-n", shop, "delete", "configmap", "storefront-texts"}} {
		printed, err := d.typed(ctx, nil, edit...)
		if err == nil {
			return errors.New("the API server of standby let a person's edit through")
		}
		if !strings.Contains(printed, d.repository()) {
			return fmt.Errorf("refused, but it isn't said where to make the change: %s", printed)
		}
	}
	d.say.ok("both refused, and the message says where to make the change")
	return nil
}

func (d *demo) repairDrift(ctx context.Context, _ context.CancelCauseFunc) error {
	// The deleted one comes back as another object, with a UID of its own.
	uid := []string{"kubectl", "--context", "standby", "-n", shop, "get", "configmap", "storefront-texts", "-o", "jsonpath={.metadata.uid}"}
	before, err := d.ask(ctx, nil, uid...)
	if err != nil {
		return err
	}
	rescuer := []string{"-n", shop, "--as=rescuer", "--as-group=system:masters", "--as-group=active-cluster-sync:break-glass"}
	err = d.kubectl(ctx, "standby",
		slices.Concat(rescuer, []string{"set", "env", "deployment/checkout", "LOG_LEVEL=debug"}),
		slices.Concat(rescuer, []string{"scale", "deployment/checkout", "--replicas=5"}),
		slices.Concat(rescuer, []string{"label", "deployment/checkout", "edited-by=somebody"}),
		slices.Concat(rescuer, []string{"delete", "configmap", "storefront-texts"}),
	)
	if err != nil {
		return err
	}
	began := time.Now()
	if _, err := d.waitSame(ctx); err != nil {
		return err
	}
	took := time.Since(began)
	after, err := d.ask(ctx, nil, uid...)
	if err != nil {
		return err
	}
	if after == before {
		return errors.New("the ConfigMap was never gone")
	}
	d.say.ok("the Deployment is as in Git again and the ConfigMap is back, after %s", took.Round(100*time.Millisecond))
	return nil
}

func (d *demo) travel(ctx context.Context, _ context.CancelCauseFunc) error {
	const image = "registry.lantern.example/storefront:2.5.0"
	err := d.kubectl(ctx, "primary",
		[]string{"-n", shop, "patch", "promotion", "midsummer", "--type=merge", `--patch={"spec":{"discount":{"percent":25}}}`},
		[]string{"-n", shop, "set", "image", "deployment/storefront", "web=" + image},
	)
	if err != nil {
		return err
	}
	began := time.Now()
	timeout := "--timeout=" + patience.String()
	err = d.kubectl(ctx, "standby",
		[]string{"-n", shop, "wait", "deployment/storefront", "--for=jsonpath={.spec.template.spec.containers[0].image}=" + image, timeout},
		[]string{"-n", shop, "wait", "promotion/midsummer", "--for=jsonpath={.spec.discount.percent}=25", timeout},
	)
	if err != nil {
		return err
	}
	d.say.ok("from kubectl on primary to the object on standby: %s", time.Since(began).Round(100*time.Millisecond))

	clone := d.stack.path("clone")
	if _, err := d.ask(ctx, d.gitEnv(), "git", "-C", clone, "pull", "--quiet", "--ff-only"); err != nil {
		return err
	}
	_, err = d.typed(ctx, nil, "git", "-C", clone, "log", "--stat", "--format=%h %s", "-1")
	return err
}

func (d *demo) stayIdle(ctx context.Context, _ context.CancelCauseFunc) error {
	var tip string
	err := eventually(ctx, func(ctx context.Context) error {
		primary, err := d.status(ctx, "primary")
		if err != nil {
			return err
		}
		standby, err := d.status(ctx, "standby")
		if err != nil {
			return err
		}
		if tip, err = d.tip(ctx); err != nil {
			return err
		}
		if primary.State != "InSync" || standby.State != "InSync" || primary.Revision != tip || standby.Revision != tip {
			return fmt.Errorf("primary is %s at %.7s, standby %s at %.7s, Git at %.7s",
				primary.State, primary.Revision, standby.State, standby.Revision, tip)
		}
		return nil
	})
	if err != nil {
		return err
	}
	watch := idleTicks*tick + time.Second
	d.say.text(fmt.Sprintf("Both clusters and Git are at %.7s. Watching for %s.", tip, watch))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(watch):
	}
	now, err := d.tip(ctx)
	if err != nil {
		return err
	}
	if now != tip {
		return fmt.Errorf("the branch went from %.7s to %.7s although nobody changed anything", tip, now)
	}
	d.say.ok("no commit in %d ticks", idleTicks)
	return nil
}

// ageKeyFile is where the identity that opens the Secrets in Git goes from primary to standby.
func (d *demo) ageKeyFile() string { return d.stack.path("primary.agekey") }

func (d *demo) enroll(ctx context.Context, cluster, strategy, tokenFile string, flags ...string) (printed string, err error) {
	return d.typed(ctx, nil, append([]string{
		"starter", "enroll", cluster,
		"--repo", d.repository(), "--branch", "main", "--strategy", strategy,
		"--pat-file", tokenFile,
		"--kubeconfig", d.stack.kubeconfig(cluster), "--context", cluster,
	}, flags...)...)
}
