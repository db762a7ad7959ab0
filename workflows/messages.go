package workflows

import (
	"errors"
	"fmt"
)

// Updates of ClusterSync. Each is also a signal of the same name and argument, for tools that can only
// signal. An update answers with the status that it led to.
const (
	SetStrategyMessage          = "set-strategy"
	SetIgnoredNamespacesMessage = "set-ignored-namespaces"
	SyncNowMessage              = "sync-now"
	PauseMessage                = "pause"
	ResumeMessage               = "resume"
	ApproveMessage              = "approve"
)

// StatusQuery answers with a Status.
const StatusQuery = "status"

// HistoryQuery answers with a list of Record, newest first: the last syncs that changed something, and those
// that could not do their work.
const HistoryQuery = "history"

// AgreementQuery answers with an Agreement.
const AgreementQuery = "agreement"

// Agreement is what a sync goes by beside the two sides: the enrolment as it is now, and what the earlier syncs left
// to be remembered.
type Agreement struct {
	Config Config `json:"config"`
	// Settled is the last agreement of both sides as push-pull may build on it; zero where there is none. Open are
	// the first objects for which it doesn't hold, OpenCount is the number of all.
	Settled   Settled `json:"settled,omitzero"`
	Open      []Open  `json:"open,omitempty"`
	OpenCount int     `json:"openCount,omitempty"`
	// Tracked, Waiting, Approved, Mirrored and Kept are those of ApplyInput.
	Tracked  []string `json:"tracked,omitempty"`
	Waiting  bool     `json:"waiting,omitempty"`
	Approved string   `json:"approved,omitempty"`
	Mirrored bool     `json:"mirrored,omitempty"`
	Kept     []Kept   `json:"kept,omitempty"`
}

// SetStrategy is the argument of set-strategy.
type SetStrategy struct {
	Strategy Strategy `json:"strategy"`
	// Adopt is Config.Adopt for this strategy; most senders leave it out. Setting push-pull again with it lets a
	// first sync go on that waits for it.
	Adopt AdoptPolicy `json:"adopt,omitempty"`
	// OnConflict is Config.OnConflict from now on; empty leaves it as it is. Conflicts that wait are decided by it.
	OnConflict ConflictPolicy `json:"onConflict,omitempty"`
}

// Validate says what is wrong with it.
func (m SetStrategy) Validate() error {
	strategy, err := ParseStrategy(string(m.Strategy))
	if err != nil {
		return err
	}
	if m.OnConflict != "" && strategy != PushPull {
		return fmt.Errorf("a policy for conflicts goes with strategy push-pull, not with %s: set push-pull, or leave it out", strategy)
	}
	return errors.Join(validateConflicts(m.OnConflict), validateAdopt(strategy, m.Adopt))
}

// SetIgnoredNamespaces is the argument of set-ignored-namespaces: the whole new list.
type SetIgnoredNamespaces struct {
	Namespaces []string `json:"namespaces"`
}

// Approve is the argument of approve. Digest names the set of deletions that was looked at
// (Status.Pending); when another set waits by now, the approval is refused.
type Approve struct {
	Digest string `json:"digest"`
}

// descriptions are what the Temporal Web UI shows beside the names.
var descriptions = map[string]string{
	SetStrategyMessage:          `Change the direction of the sync. Argument: {"strategy": "none" | "push" | "pull" | "push-pull"}; with push-pull also "adopt": "git" | "cluster", whose objects win where both sides hold some already, and "onConflict": "git" | "cluster" | "hold"`,
	SetIgnoredNamespacesMessage: `Replace the list of namespaces that are left out. Argument: {"namespaces": ["kube-system"]}`,
	SyncNowMessage:              "Sync at once instead of at the next tick. The update answers when that sync has ended.",
	PauseMessage:                "Stop syncing until resume, keeping everything as it is.",
	ResumeMessage:               "Go on syncing after pause.",
	ApproveMessage:              `Carry out the deletions that wait for approval. Argument: {"digest": "…"}, the one that status shows under pending`,
	AgreementQuery:              "What the next sync goes by beside the two sides: the enrolment, and what is remembered of earlier syncs.",
	HistoryQuery:                "The last syncs that changed something or could not do their work, newest first.",
	StatusQuery:                 "Strategy, state with reason, revision, lag, objects, failures and the last syncs.",
}
