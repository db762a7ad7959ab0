package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/serviceerror"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// checkPolicies looks at the flags that go with push-pull.
func (d *diffing) checkPolicies() error {
	switch d.adopt {
	case "", workflows.AdoptGit, workflows.AdoptCluster:
	default:
		return fmt.Errorf("either git or cluster can be adopted, not %q", d.adopt)
	}
	switch d.onConflict {
	case "", workflows.ConflictGit, workflows.ConflictCluster, workflows.ConflictHold:
	default:
		return fmt.Errorf("unknown policy %q for conflicts: use git, cluster or hold", d.onConflict)
	}
	if d.as != "" {
		return d.checkStrategy(d.as)
	}
	return nil
}

// checkStrategy refuses flags that the strategy has no use for.
func (d *diffing) checkStrategy(strategy workflows.Strategy) error {
	if strategy != workflows.PushPull && (d.adopt != "" || d.onConflict != "") {
		return misuse("--adopt and --on-conflict go with push-pull, not with %s: add --as push-pull, or leave them out", strategy)
	}
	return nil
}

// readEnrolment asks Temporal for the configuration and for what is settled.
func (d *diffing) readEnrolment(ctx context.Context) error {
	r, err := openRegistry(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	e, err := r.enrolled(ctx, d.cluster)
	if err != nil {
		return err
	}
	if d.config, err = r.config(ctx, e); err != nil {
		return err
	}
	d.status, err = r.status(ctx, d.cluster)
	var nobody *noWorkerError
	if errors.As(err, &nobody) {
		d.t.note("%s; this is what it would do, by what Temporal has on record", nobody)
	} else if err != nil {
		return err
	}
	d.config.Strategy, d.config.IgnoredNamespaces = d.status.Strategy, d.status.IgnoredNamespaces
	if nobody == nil {
		if d.agreement, err = r.agreement(ctx, d.cluster); err != nil {
			return err
		}
	}
	return d.preview(nobody)
}

// preview makes the configuration and what is remembered those of the strategy to preview.
func (d *diffing) preview(nobody *noWorkerError) error {
	now, strategy := d.config.Strategy, cmp.Or(d.as, d.config.Strategy)
	if err := d.checkStrategy(strategy); err != nil {
		return err
	}
	if strategy == workflows.PushPull && d.agreement.Config.Cluster == "" && d.status.Revision != "" {
		if nobody != nil {
			return fmt.Errorf("%w: only the worker knows where both sides have agreed, and push-pull goes by that", nobody)
		}
		return fmt.Errorf("the worker of cluster %s is of an earlier version and can't say where both sides have agreed: upgrade it", d.cluster)
	}
	if d.agreement.Config.Cluster != "" {
		d.config = d.agreement.Config
	}
	if strategy != now { // as set-strategy does
		d.config.Strategy, d.config.Adopt = strategy, ""
		d.agreement.Waiting, d.agreement.Approved, d.agreement.Mirrored = false, "", false
	}
	d.config.Adopt = cmp.Or(d.adopt, d.config.Adopt)
	d.config.OnConflict = cmp.Or(d.onConflict, d.config.OnConflict)
	return nil
}

// agreement asks the worker what the next sync goes by; one of an earlier version has no answer.
func (r *registry) agreement(ctx context.Context, cluster string) (a workflows.Agreement, err error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	answer, err := r.client.QueryWorkflow(ctx, workflows.WorkflowID(cluster), "", workflows.AgreementQuery)
	var unknown *serviceerror.QueryFailed
	switch {
	case errors.As(err, &unknown):
		return a, nil
	case err != nil:
		return a, r.explainQuery(cluster, err)
	}
	return a, answer.Get(&a)
}
