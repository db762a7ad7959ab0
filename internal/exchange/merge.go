package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/active-cluster-sync/active-cluster-sync/internal/desired"
	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/merge"
	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// merge puts together what both sides changed, field by field.
func (s *Sharing) merge(ctx context.Context, o *Subject) error {
	policy := s.policy(o)
	merged, fields, err := s.fields(ctx, o, policy)
	apart := errors.Is(err, errIncomparable)
	if err != nil && !apart {
		return err
	}
	switch {
	case apart && policy == plan.ClusterWins:
		s.report(o, workflows.ConflictCluster, nil)
		return s.store(ctx, o)
	case apart && policy == plan.GitWins:
		return s.yield(ctx, o, nil)
	case apart, len(fields) > 0 && policy == plan.Hold:
		o.Step = plan.Step{Action: plan.Wait, Conflict: true}
		s.report(o, "", fields)
		return nil
	}
	want, err := s.revise(ctx, o, s.Ours, merged)
	if err != nil {
		return err
	}
	if err := s.Ours.put(o.Path, want); err != nil {
		return err
	}
	o.Merged = merged
	if err := s.rememberMerged(o); err != nil {
		return err
	}
	switch {
	case len(fields) > 0 && policy == plan.GitWins:
		return s.yield(ctx, o, fields)
	case len(fields) > 0:
		s.report(o, workflows.ConflictCluster, fields)
	}
	s.Decided = append(s.Decided, o)
	return nil
}

// rememberMerged keeps what the cluster held: until it has got the result, that and not the last agreement is what
// further edits in the cluster began with.
func (s *Sharing) rememberMerged(o *Subject) error {
	live, err := objectOf(o.ByGit.Before)
	if err != nil {
		return err
	}
	resource, _, err := s.Memory.Desired.Object(o.Path, s.Kinds)
	s.merged[o.Path] = desired.Former{Resource: resource, Object: live, Hash: o.Live}
	return err
}

// errIncomparable: there is no common ground for a merge by fields.
var errIncomparable = errors.New("the two sides can't be merged field by field")

func (s *Sharing) fields(ctx context.Context, o *Subject, policy plan.Policy) (merged map[string]any, conflicts []string, err error) {
	if o.ByGit.Before == nil || o.ByBase.After == nil || o.ByGit.After == nil {
		return nil, nil, errIncomparable
	}
	var sides [3]map[string]any
	for i, content := range [][]byte{o.ByBase.After, o.ByGit.After, o.ByGit.Before} {
		if sides[i], err = objectOf(content); err != nil {
			return nil, nil, err
		}
	}
	if sides[0]["apiVersion"] != sides[1]["apiVersion"] {
		return nil, nil, errIncomparable
	}
	resource, _, err := s.Memory.Desired.Object(o.Path, s.Kinds)
	if err != nil {
		return nil, nil, err
	}
	lists, err := s.Index.MergeType(ctx, resource)
	if err != nil {
		return nil, nil, err
	}
	prefer := merge.Git
	if policy == plan.ClusterWins {
		prefer = merge.Cluster
	}
	if merged, conflicts, err = merge.ThreeWay(lists, sides[0], sides[1], sides[2], prefer); err != nil {
		return nil, nil, err
	}
	written := s.Index.DryRun(ctx, kube.Write{
		Path: o.Path, Resource: resource, Object: merged, Live: o.Live, Scaled: s.Memory.Desired.IsScaled(manifest.IDOf(merged)),
	})
	switch {
	case errors.Is(written.Err, kube.ErrUnreachable):
		return nil, nil, written.Err
	case written.Err != nil:
		return nil, nil, fmt.Errorf("%w: %w", errIncomparable, written.Err) // fields may exclude each other
	}
	return merged, conflicts, nil
}

// revise is an object's document as it has to be for the cluster to be as wanted: only what differs from what the
// document leads to now gets into it.
func (s *Sharing) revise(ctx context.Context, o *Subject, in *Drafts, wanted map[string]any) (map[string]any, error) {
	now, err := in.document(o.Path)
	if err != nil || now == nil || o.ByGit.After == nil {
		return wanted, err
	}
	leadsTo, err := objectOf(o.ByGit.After)
	if err != nil {
		return nil, err
	}
	resource, _, err := s.Memory.Desired.Object(o.Path, s.Kinds)
	if err != nil {
		return nil, err
	}
	lists, err := s.Index.MergeType(ctx, resource)
	if err != nil {
		return nil, err
	}
	revised, err := merge.Carry(lists, now, leadsTo, wanted)
	if err == nil {
		var right bool
		if right, err = s.leadsTo(ctx, o, resource, revised, wanted); right {
			return revised, nil
		}
	}
	if err != nil && (ctx.Err() != nil || errors.Is(err, kube.ErrUnreachable)) {
		return nil, err
	}
	whole := runtime.DeepCopyJSON(wanted)
	s.Selection.KeepIgnored(resource, whole, now)
	return whole, nil
}

// leadsTo reports whether applying a document makes the object what is wanted.
func (s *Sharing) leadsTo(ctx context.Context, o *Subject, resource manifest.Resource, document, wanted map[string]any) (bool, error) {
	want, err := manifest.Encode(wanted)
	if err != nil {
		return false, err
	}
	content := runtime.DeepCopyJSON(document)
	if s.Memory.Desired.Normalise(resource, content) != "" {
		return false, nil
	}
	if same, err := manifest.Encode(content); err != nil || bytes.Equal(same, want) {
		return err == nil, err
	}
	written := s.Index.DryRun(ctx, kube.Write{
		Path: o.Path, Resource: resource, Object: content, Live: o.Live, Scaled: s.Memory.Desired.IsScaled(manifest.IDOf(content)),
	})
	switch written.Action {
	case kube.Unchanged:
		return bytes.Equal(o.ByGit.Before, want), nil
	case kube.Updated:
		return bytes.Equal(written.After, want), nil
	}
	return false, written.Err
}
