package workflows

import "time"

// SyncState is the first thing that an operator reads.
type SyncState string

const (
	// Stopped: the strategy is none.
	Stopped SyncState = "Stopped"
	// Paused: a person stopped the sync for a while.
	Paused SyncState = "Paused"
	// Syncing: the first agreement of both sides is still to be reached.
	Syncing SyncState = "Syncing"
	// InSync: both sides agree.
	InSync SyncState = "InSync"
	// Degraded: some objects or one side fail; it is tried again.
	Degraded SyncState = "Degraded"
	// Blocked: a person is needed; the message says for what.
	Blocked SyncState = "Blocked"
)

// Status is the answer to the query "status" and the JSON of `starter status -o json`.
type Status struct {
	Cluster           string    `json:"cluster"`
	Strategy          Strategy  `json:"strategy"`
	State             SyncState `json:"state"`
	Reason            string    `json:"reason"`
	Message           string    `json:"message"`
	Repository        string    `json:"repository"`
	Branch            string    `json:"branch"`
	Path              string    `json:"path"`
	IgnoredNamespaces []string  `json:"ignoredNamespaces"`
	// Revision is the commit that both sides agreed on last; empty before the first time.
	Revision string `json:"revision"`
	// LastSyncTime is when both sides were last seen to agree; nil before the first time.
	LastSyncTime *time.Time `json:"lastSyncTime"`
	// LagSeconds is the age of the oldest change that one side has and the other hasn't; 0 in sync.
	LagSeconds int64 `json:"lagSeconds"`
	// Objects is the number of objects of the cluster that take part.
	Objects     int       `json:"objects"`
	Failed      []Failure `json:"failed"`
	FailedCount int       `json:"failedCount"`
	// Conflicts are objects that both sides changed in different ways; always empty for push and pull.
	Conflicts []Failure `json:"conflicts"`
	// PendingDeletions is the number of deletions that wait for approval.
	PendingDeletions int `json:"pendingDeletions"`
	// Pending are these deletions.
	Pending Pending `json:"pending,omitzero"`
	// Excluded counts objects that are left out on purpose, by reason.
	Excluded map[string]int `json:"excluded"`
	// Ticks counts the rounds of the sync since enrolment.
	Ticks int64 `json:"ticks"`
	// Recent are the last syncs that changed something, newest first.
	Recent []Record `json:"recent"`
	// BranchEvent is the last thing that somebody else did to the branch, but for new commits under pull.
	BranchEvent *BranchEvent `json:"branchEvent,omitempty"`
}

// BranchEvent is a move of the branch that isn't the sync's. From and To are revisions, empty for a branch
// that doesn't exist.
type BranchEvent struct {
	Time   time.Time    `json:"time"`
	Change BranchChange `json:"change"`
	From   string       `json:"from"`
	To     string       `json:"to"`
}

// String is one line for people.
func (e BranchEvent) String() string {
	text := "the branch was " + string(e.Change)
	if e.Change == BranchMoved {
		text = "somebody else moved the branch"
	}
	if e.From != "" {
		text += " from " + short(e.From)
	}
	if e.To != "" {
		text += " to " + short(e.To)
	}
	return text
}

// Failure is one object that could not be synced.
type Failure struct {
	Object  string `json:"object"`
	File    string `json:"file,omitempty"`
	Message string `json:"message"`
}

// Changes counts what one sync changed and names the first MaxListed objects.
type Changes struct {
	Added   int      `json:"added"`
	Updated int      `json:"updated"`
	Deleted int      `json:"deleted"`
	Objects []string `json:"objects,omitempty"`
}

// Total is the number of changed objects.
func (c Changes) Total() int { return c.Added + c.Updated + c.Deleted }

// Record is one sync that changed something.
type Record struct {
	Time      time.Time `json:"time"`
	Direction Strategy  `json:"direction"`
	Revision  string    `json:"revision"`
	Changes   Changes   `json:"changes"`
}

// MaxListed bounds every list in a payload; a count beside it tells the whole number.
const MaxListed = 100

// maxRecords is how many syncs the status remembers.
const maxRecords = 10
