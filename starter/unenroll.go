package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"
	"go.temporal.io/api/serviceerror"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func unenrollCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "unenroll",
		Usage:     "end the sync of a cluster",
		UsageText: "starter unenroll CLUSTER [--kubeconfig FILE] [--context NAME] [--yes]",
		Description: `The branch in Git and the objects in the cluster are left as they are. With --kubeconfig or --context the Secret
with the Git credentials is removed from the cluster too, but for the age keys that open the Secrets in Git.
A lock on the synced objects is taken away by the worker, or with --context by this command.
Repeating it is safe.

Examples:
  starter unenroll standby
  starter unenroll standby --context standby --yes`,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "don't ask"},
		}, targetFlags()...),
		Action: func(c *cli.Context) error {
			cluster, err := clusterArgument(c)
			if err != nil {
				return err
			}
			if !c.Bool("yes") {
				if !t.inTTY {
					return misuse("unenroll needs --yes when nobody can be asked")
				}
				yes, err := t.ask(c.Context, fmt.Sprintf("End the sync of cluster %s?", cluster))
				if err != nil || !yes {
					return errors.Join(err, errors.New("nothing was changed"))
				}
			}
			return unenroll(c.Context, t, cluster, targetOf(c))
		},
	}
}

func unenroll(ctx context.Context, t *terminal, cluster string, at target) error {
	r, err := openRegistry(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	e, err := r.find(ctx, cluster)
	if err != nil {
		return err
	}
	holder, err := r.credentialsHolder(ctx, e, at)
	if err != nil {
		return err
	}
	if e.running {
		how, err := r.end(ctx, cluster)
		if err != nil {
			return err
		}
		t.say("The sync of cluster %s has ended%s. What is in Git and in the cluster is left as it is.", cluster, how)
	} else {
		t.say("Cluster %s is not enrolled, so there is no sync to end.", cluster)
	}
	if err := r.unlock(ctx, t, e, holder); err != nil {
		return err
	}
	switch {
	case holder != nil:
		ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
		defer cancel()
		left, err := holder.DropSecretKeys(ctx, workflows.CredentialsNamespace, workflows.CredentialsSecret,
			workflows.UsernameKey, workflows.PasswordKey, workflows.CAKey)
		if err != nil {
			return fmt.Errorf("the Secret %s/%s is still in the cluster: %w", workflows.CredentialsNamespace, workflows.CredentialsSecret, explainCluster(holder.Host(), err))
		}
		t.say("The Git credentials were removed from the cluster (Secret %s/%s).", workflows.CredentialsNamespace, workflows.CredentialsSecret)
		if left {
			t.say("The age keys are still in there: without them nobody can read the Secrets in Git. Delete the Secret when you don't need these any more.")
		}
	case at != target{}:
		t.say("Temporal does not remember cluster %s, so the Git credentials of the cluster that you named were left alone.", cluster)
	case e.running:
		t.say("The Git credentials are still in the cluster (Secret %s/%s): repeat this with --context to remove them.", workflows.CredentialsNamespace, workflows.CredentialsSecret)
	}
	return nil
}

// credentialsHolder is the cluster to remove the credentials from: the one that the user named, after
// making sure that it is the enrolled one. It is nil when none was named, or when there is nothing to
// compare it with.
func (r *registry) credentialsHolder(ctx context.Context, e enrolment, at target) (*kube.Cluster, error) {
	if (at == target{}) || e.runID == "" {
		return nil, nil
	}
	at, err := at.resolve(e.cluster)
	if err != nil {
		return nil, err
	}
	cluster, err := at.connect()
	if err != nil {
		return nil, err
	}
	config, err := r.config(ctx, e)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	uid, err := cluster.UID(ctx)
	if err != nil {
		return nil, explainCluster(cluster.Host(), err)
	}
	if uid != config.ClusterUID {
		return nil, fmt.Errorf("the cluster at %s is not the one that is enrolled as %s, so nothing was changed: give the right --context", cluster.Host(), e.cluster)
	}
	return cluster, nil
}

// unlock sees to it that nobody is kept from editing what isn't synced any more. The worker takes the lock away
// when the sync ends in good order; otherwise it is done here, or a person is told how to.
func (r *registry) unlock(ctx context.Context, t *terminal, e enrolment, holder *kube.Cluster) error {
	if holder == nil {
		left, err := r.lockLeft(ctx, e)
		if left {
			t.say("People may still be kept from editing what was synced: repeat this with --context, or remove the lock with `%s`.", kube.LockRemoval(e.cluster))
		}
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	if err := holder.RemoveLock(ctx, e.cluster); err != nil {
		return fmt.Errorf("people may still be kept from editing what was synced: remove the lock with `%s`: %w", kube.LockRemoval(e.cluster), explainCluster(holder.Host(), err))
	}
	return nil
}

// lockLeft reports whether the lock may still be in the cluster of an enrolment that has just ended.
func (r *registry) lockLeft(ctx context.Context, e enrolment) (bool, error) {
	if !e.running {
		return false, nil
	}
	config, err := r.config(ctx, e)
	if err != nil || config.Lock != workflows.LockOn {
		return false, err
	}
	if status, err := r.answer(ctx, e.cluster); err == nil {
		return status.Lock.State == workflows.LockingOn, nil
	}
	return e.strategy == workflows.Pull, nil
}

// endTime is how long a worker gets to end a sync in good order, taking the lock away among it.
const endTime = 45 * time.Second

// end cancels the workflow. Where no worker does its part, it is terminated; it tells which way it
// went, in words.
func (r *registry) end(ctx context.Context, cluster string) (how string, err error) {
	if _, err := r.answer(ctx, cluster); err == nil {
		if err := gone(r.client.CancelWorkflow(ctx, workflows.WorkflowID(cluster), "")); err != nil {
			return "", r.explain(err)
		}
		ended, err := r.awaitEnd(ctx, cluster)
		if ended || err != nil {
			return "", err
		}
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	err = r.client.TerminateWorkflow(ctx, workflows.WorkflowID(cluster), "", "starter unenroll: no worker carried out the cancellation")
	return "; it was terminated, because no worker answers", r.explain(gone(err))
}

// awaitEnd tells whether the workflow ended in time.
func (r *registry) awaitEnd(ctx context.Context, cluster string) (bool, error) {
	deadline := time.After(endTime)
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for {
		e, err := r.find(ctx, cluster)
		if err != nil || !e.running {
			return err == nil, err
		}
		select {
		case <-look.C:
		case <-deadline:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// gone takes it for success that a workflow is not there any more.
func gone(err error) error {
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return nil
	}
	return err
}
