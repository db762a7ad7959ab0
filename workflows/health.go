package workflows

import (
	"fmt"
	"slices"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// needPerson are the reasons that time alone doesn't mend. They are tried again all the same, slowly.
var needPerson = []string{
	AuthFailed, InitialSyncCanceled, RepositoryNotFound, BranchNotFound, PathOwned, PushRejected,
	ClusterMismatch, InvalidConfig, CredentialsMissing, AdoptionRequired,
}

// health is the state with its reason and message.
func (s *State) health() (SyncState, string, string) {
	switch {
	case s.Config.Strategy == None:
		return Stopped, StrategyNone, "nothing runs: choose a direction with set-strategy"
	case s.Paused:
		return Paused, PausedByUser, "nothing runs until resume"
	case s.Problem != nil && slices.Contains(needPerson, s.Problem.Reason):
		return Blocked, s.Problem.Reason, s.Problem.Message
	case s.Problem != nil:
		return Degraded, s.Problem.Reason, s.Problem.Message
	case s.Pending.Strays:
		return Blocked, MirrorDeletion, fmt.Sprintf("%d deletions wait for `starter approve`, or for Git to declare the objects: %s", s.Pending.Count, s.Pending.Reason)
	case s.Pending.Count > 0:
		return Blocked, MassDeletion, fmt.Sprintf("%d deletions wait for `starter approve`, or for the objects to return to Git: %s", s.Pending.Count, s.Pending.Reason)
	case s.Waiting > 0:
		return Blocked, ConflictsHeld, fmt.Sprintf("%d objects were changed on both sides and wait for somebody to make the two agree; everything else is in sync", s.Waiting)
	case s.FailedCount > 0:
		return Degraded, ObjectsFailed, fmt.Sprintf("%d objects could not be synced; they are tried again, the others are in sync", s.FailedCount)
	case s.UnreadCount > 0:
		return Degraded, ResourcesUnreadable, fmt.Sprintf("%d resources of the cluster can't be read; they are left as they are in Git", s.UnreadCount)
	case s.Settled.Revision == "":
		return Syncing, FirstSync, "the first sync is under way"
	case s.Settled.Scope != s.Config.Scope():
		return Syncing, RulesChanged, "the first sync with the new strategy or namespaces is under way"
	case s.BehindSince != nil:
		return Syncing, ChangesSeen, "changes are being transferred"
	}
	return InSync, SidesAgree, s.exclusions()
}

// exclusions says in words which objects are left out of the sync though a user may expect them in it.
func (s *State) exclusions() string {
	agreed := "cluster and Git agree"
	if n := s.KeptCount; n > 0 && s.Config.Strategy == Pull {
		agreed += fmt.Sprintf("; left in the cluster although Git no longer declares them: %d", n)
	}
	if n := s.Excluded[SecretsWithoutKey]; n > 0 {
		return agreed + fmt.Sprintf("; %s not synced, for there is no age identity to encrypt with: give one with `starter enroll %s --age-key-file`", secretsAre(n), s.Config.Cluster)
	}
	if n := s.Excluded[ExcludedSecrets]; n > 0 {
		return agreed + fmt.Sprintf("; %s not synced (secrets policy: %s)", secretsAre(n), s.Config.Secrets)
	}
	return agreed
}

func secretsAre(n int) string {
	if n == 1 {
		return "1 Secret is"
	}
	return fmt.Sprintf("%d Secrets are", n)
}

// Keys of Status.Excluded that count Secrets: those that the policy leaves out, and those that should be
// encrypted and can't be, because there is no age identity.
const (
	ExcludedSecrets   = "secrets-excluded"
	SecretsWithoutKey = "secrets-without-key"
)

// status answers the query.
func (s *State) status(now time.Time) Status {
	state, reason, message := s.health()
	status := Status{
		Cluster: s.Config.Cluster, Strategy: s.Config.Strategy,
		State: state, Reason: reason, Message: message,
		Repository: s.Config.Repository, Branch: s.Config.Branch, Path: s.Config.Path,
		IgnoredNamespaces: nonNil(s.Config.IgnoredNamespaces),
		Revision:          s.Settled.Revision,
		LastSyncTime:      s.SettledTime,
		Objects:           s.Objects,
		Failed:            nonNil(slices.Concat(s.Failed, s.Unread)),
		FailedCount:       s.FailedCount + s.UnreadCount,
		Conflicts:         nonNil(s.Conflicts),
		PendingDeletions:  s.Pending.Count,
		Pending:           s.Pending,
		Kept:              []Failure{},
		Excluded:          s.Excluded,
		Ticks:             s.Ticks,
		Recent:            s.changed(),
		Tracked:           s.Tracked,
		BranchEvent:       s.BranchEvent,
		Lock:              s.lockStatus(),
	}
	if s.Config.Strategy == Pull {
		status.KeptCount = s.KeptCount
		for _, k := range s.Kept {
			status.Kept = append(status.Kept, Failure{Object: manifest.ObjectName(k.Path), Message: k.Reason})
		}
	}
	if s.BehindSince != nil && s.running() {
		status.LagSeconds = int64(now.Sub(*s.BehindSince) / time.Second)
	}
	return status
}

// nonNil makes JSON show an empty list rather than null.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
