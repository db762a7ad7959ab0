package workflows

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

// SetStrategy is the argument of set-strategy.
type SetStrategy struct {
	Strategy Strategy `json:"strategy"`
	// Adopt is Config.Adopt for this strategy; most senders leave it out. Setting push-pull again with it lets a
	// first sync go on that waits for it.
	Adopt AdoptPolicy `json:"adopt,omitempty"`
}

// Validate says what is wrong with it.
func (m SetStrategy) Validate() error {
	strategy, err := ParseStrategy(string(m.Strategy))
	if err != nil {
		return err
	}
	return validateAdopt(strategy, m.Adopt)
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
	SetStrategyMessage:          `Change the direction of the sync. Argument: {"strategy": "none" | "push" | "pull" | "push-pull"}; with push-pull also "adopt": "git" | "cluster", whose objects win where both sides hold some already`,
	SetIgnoredNamespacesMessage: `Replace the list of namespaces that are left out. Argument: {"namespaces": ["kube-system"]}`,
	SyncNowMessage:              "Sync at once instead of at the next tick. The update answers when that sync has ended.",
	PauseMessage:                "Stop syncing until resume, keeping everything as it is.",
	ResumeMessage:               "Go on syncing after pause.",
	ApproveMessage:              `Carry out the deletions that wait for approval. Argument: {"digest": "…"}, the one that status shows under pending`,
	HistoryQuery:                "The last syncs that changed something or could not do their work, newest first.",
	StatusQuery:                 "Strategy, state with reason, revision, lag, objects, failures and the last syncs.",
}
