package workflows

import (
	"errors"
	"fmt"
	"slices"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// exchange makes both sides agree: Commit stores what was changed in the cluster and decides where both sides
// were changed, and then Apply carries out what Git holds. Where only one side moved, only one of them runs.
func (s *clusterSync) exchange(ctx workflow.Context, config Config, tree, revision string) error {
	settled, open, openCount := s.state.base(config)
	first := settled.Revision == ""
	if revision == "" && s.state.Settled.Revision != "" {
		return temporal.NewApplicationError(fmt.Sprintf(
			"branch %q of %s is gone, which held what both sides agreed on: restore it at revision %s, or unenroll and enroll to begin anew",
			config.Branch, config.Repository, short(s.state.Settled.Revision)), BranchNotFound)
	}
	unfinished := openCount > 0 || s.state.FailedCount > 0 || s.state.Pending.Count > 0 || s.state.Settled.Scope != config.Scope()
	apply := !first && (unfinished || revision != settled.Revision)
	var committed CommitResult
	if first || unfinished || tree != settled.Tree {
		input := CommitInput{
			Config: config, Revision: revision, Settled: settled,
			Tracked: s.state.Tracked, Waiting: s.state.Pending.Count > 0, Open: open, OpenCount: openCount,
		}
		err := execute(ctx, CommitActivity, "store what changed in "+config.Cluster, input).Get(ctx, &committed)
		if err != nil && apply && readOnly(err) {
			_, applied := s.apply(ctx, s.exchangeInput(config, revision, settled, open, openCount))
			return errors.Join(err, applied) // Git's changes get to the cluster all the same
		}
		if err != nil {
			return err
		}
		now := workflow.Now(ctx)
		s.state.saw(committed.Revision)
		s.state.shared(committed)
		s.recordPush(now, committed)
		if apply = apply || committed.Outstanding; !apply {
			s.state.committed(now, committed)
			s.state.Tracked = []string{committed.Revision}
			s.state.settle(now, Settled{Revision: committed.Revision, Tree: committed.Tree, Scope: config.Scope()})
			return nil
		}
		revision, open, openCount = committed.Revision, committed.Open, committed.OpenCount
	}
	now, err := s.apply(ctx, s.exchangeInput(config, revision, settled, open, openCount))
	if err != nil {
		return err
	}
	s.state.alsoFailed(now, committed)
	return nil
}

func (s *clusterSync) exchangeInput(config Config, revision string, settled Settled, open []Open, openCount int) ApplyInput {
	input := s.applyInput(config, revision)
	input.Settled, input.Open, input.OpenCount = settled, open, openCount
	return input
}

// readOnly reports whether the Git host lets the branch be read, and not be written.
func readOnly(err error) bool {
	return slices.Contains([]string{PushRejected, AuthFailed}, problemOf(err).Reason)
}
