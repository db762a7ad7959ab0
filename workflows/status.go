package workflows

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

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
	// Cluster is the name of the enrolment.
	Cluster  string   `json:"cluster"`
	Strategy Strategy `json:"strategy"`
	// State is how the sync is doing, Reason is one word for why, Message is a sentence for people, with what to
	// do where that is known. Programs go by State and Reason.
	State   SyncState `json:"state"`
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	// Repository, Branch and Path are the place in Git.
	Repository string `json:"repository"`
	Branch     string `json:"branch"`
	Path       string `json:"path"`
	// IgnoredNamespaces are those that take no part.
	IgnoredNamespaces []string `json:"ignoredNamespaces"`
	// OnConflict and Adopt are those of the enrolment, while the strategy is push-pull.
	OnConflict ConflictPolicy `json:"onConflict,omitempty"`
	Adopt      AdoptPolicy    `json:"adopt,omitempty"`
	// Revision is the commit that both sides agreed on last; empty before the first time.
	Revision string `json:"revision"`
	// LastSyncTime is when both sides were last seen to agree; nil before the first time.
	LastSyncTime *time.Time `json:"lastSyncTime"`
	// LagSeconds is the age of the oldest change that one side has and the other hasn't; 0 in sync.
	LagSeconds int64 `json:"lagSeconds"`
	// Objects is the number of objects of the cluster that take part.
	Objects int `json:"objects"`
	// Failed are the first objects that could not be synced or read, FailedCount is the number of all.
	Failed      []Failure `json:"failed"`
	FailedCount int       `json:"failedCount"`
	// Conflicts are objects that both sides changed in different ways; always empty for push and pull.
	Conflicts []Conflict `json:"conflicts"`
	// PendingDeletions is the number of deletions that wait for approval.
	PendingDeletions int `json:"pendingDeletions"`
	// Pending are these deletions.
	Pending Pending `json:"pending,omitzero"`
	// Kept are objects that stay in the cluster although Git doesn't declare them any more, KeptCount is the
	// number of all.
	Kept      []Failure `json:"kept"`
	KeptCount int       `json:"keptCount"`
	// Excluded counts objects that are left out on purpose, by reason.
	Excluded map[string]int `json:"excluded"`
	// Ticks counts the rounds of the sync since enrolment.
	Ticks int64 `json:"ticks"`
	// Recent are the last syncs that changed something, newest first; the query "history" has more.
	Recent []Record `json:"recent"`
	// Tracked are the revisions whose objects Git has put into the cluster and that may have to go again.
	Tracked []string `json:"tracked,omitempty"`
	// BranchEvent is the last thing that somebody else did to the branch, but for new commits under pull.
	BranchEvent *BranchEvent `json:"branchEvent,omitempty"`
	// Lock says whether people are kept from editing synced objects.
	Lock LockStatus `json:"lock,omitzero"`
}

// With says how push-pull decides, where that is the strategy.
func (s Status) With(c Config) Status {
	if c.Strategy == PushPull {
		s.OnConflict, s.Adopt = c.Conflicts(), c.Adopt
	}
	return s
}

// LockStatus is the lock on the synced objects, with what a person should know of it.
type LockStatus struct {
	State Locking `json:"state"`
	// Message is what a person should know of it.
	Message string `json:"message,omitempty"`
}

// Locking says whether the synced objects are locked.
type Locking string

const (
	// LockingOn: people's edits are refused.
	LockingOn Locking = "On"
	// LockingOff: everybody can edit.
	LockingOff Locking = "Off"
	// LockingUnavailable: they shall be, and can't.
	LockingUnavailable Locking = "Unavailable"
)

// String is one line for people; "" where there is nothing to say.
func (s LockStatus) String() string {
	switch {
	case s.Message != "":
		return string(s.State) + ": " + s.Message
	case s.State == LockingOff:
		return ""
	}
	return string(s.State)
}

// BranchEvent is a move of the branch that isn't the sync's.
type BranchEvent struct {
	// Time is when the sync saw it.
	Time   time.Time    `json:"time"`
	Change BranchChange `json:"change"`
	// From and To are revisions, empty for a branch that doesn't exist.
	From string `json:"from"`
	To   string `json:"to"`
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
	// Object is resource, namespace and name: "deployments.apps shop/cart"; empty where it is about a whole file.
	Object string `json:"object"`
	// File is where Git has it, with the line where that is known: "shop/cart.yaml:12".
	File string `json:"file,omitempty"`
	// Message is the cause, and what to do.
	Message string `json:"message"`
}

// Conflict is an object that both sides changed in ways that can't both be kept.
type Conflict struct {
	// Time is when it was found.
	Time time.Time `json:"time"`
	// Object and File are those of a Failure.
	Object string `json:"object"`
	File   string `json:"file,omitempty"`
	// Winner is the side whose edit was kept, "git" or "cluster"; empty while both wait for somebody.
	Winner ConflictPolicy `json:"winner,omitempty"`
	// Fields are JSON pointers to what both changed; none where it is about the object as a whole.
	Fields []string `json:"fields,omitempty"`
	// Git is who changed it there, Cluster is which field manager did here, as far as known.
	Git     string `json:"git,omitempty"`
	Cluster string `json:"cluster,omitempty"`
	// Message is what happened, and what to do.
	Message string `json:"message"`
	// Revision is the commit that keeps the edit which lost, if that was the cluster's.
	Revision string `json:"revision,omitempty"`
}

// String says what happened and who had a part in it.
func (c Conflict) String() string {
	text := c.Message
	for _, detail := range []struct{ name, value string }{
		{"fields", strings.Join(c.Fields, " ")}, {"in Git", c.Git}, {"in the cluster", c.Cluster}, {"kept in", short(c.Revision)},
	} {
		if detail.value != "" {
			text += "; " + detail.name + ": " + detail.value
		}
	}
	return text
}

// Changes counts what one sync changed.
type Changes struct {
	// Added, Updated and Deleted are numbers of objects.
	Added   int `json:"added"`
	Updated int `json:"updated"`
	Deleted int `json:"deleted"`
	// Objects are the first of them.
	Objects []string `json:"objects,omitempty"`
}

// Total is the number of changed objects.
func (c Changes) Total() int { return c.Added + c.Updated + c.Deleted }

// Record is one sync that changed something, or one that could not do its work and its repetitions.
type Record struct {
	// Time is when it ended; of repetitions, when the first one did.
	Time time.Time `json:"time"`
	// Direction is the strategy at that time.
	Direction Strategy `json:"direction"`
	// Revision is what both sides agreed on then; empty for a sync that could not do its work.
	Revision string `json:"revision"`
	// Changes are those on the side that was written to.
	Changes Changes `json:"changes"`
	// Duration is from the look at both sides to the end.
	Duration metav1.Duration `json:"duration,omitzero"`
	// Failed is how many objects could not be synced.
	Failed int `json:"failed,omitempty"`
	// Problem is why a sync could not do its work at all, with its Times in a row and the Last of them.
	Problem *Problem   `json:"problem,omitempty"`
	Times   int        `json:"times,omitempty"`
	Last    *time.Time `json:"last,omitempty"`
}

// Until is when it ended the last time.
func (r Record) Until() time.Time {
	if r.Last != nil {
		return *r.Last
	}
	return r.Time
}

// MaxListed bounds every list in a payload; a count beside it tells the whole number.
const MaxListed = 100

// maxRecords is how many syncs are remembered. With maxRecordObjects names each, they are some 200 KB at the
// very most, and 20 KB usually; a payload may hold 2 MB.
const maxRecords = 50

// maxRecent is how many of them the status shows: it is the answer to each update, and so in the history.
const maxRecent = 10
