package workflows

import (
	"slices"
	"time"
)

// Names of the activities, in the order of a tick.
const (
	ExportActivity = "Export"
	FetchActivity  = "Fetch"
	CommitActivity = "Commit"
	ApplyActivity  = "Apply"
	LockActivity   = "Lock"
)

// Types of the application errors that activities fail with. The workflow decides by them; they are also
// the reasons in the status.
const (
	// AuthFailed: the Git host or the API server refused the credentials.
	AuthFailed = "AuthFailed"
	// RepositoryNotEmpty: the first push found content that isn't this cluster's.
	RepositoryNotEmpty = "RepositoryNotEmpty"
	// RepositoryNotFound: the Git host doesn't know the repository, or not for this token.
	RepositoryNotFound = "RepositoryNotFound"
	// BranchNotFound: there is nothing to pull.
	BranchNotFound = "BranchNotFound"
	// PathOwned: another cluster pushes to this path.
	PathOwned = "PathOwned"
	// PushRejected: a rule of the Git host, such as a protected branch, refused the commit.
	PushRejected = "PushRejected"
	// RemoteMoved: somebody else moved the branch meanwhile; benign, the next tick plans again.
	RemoteMoved = "RemoteMoved"
	// RateLimited: the other side asked to wait; benign.
	RateLimited = "RateLimited"
	// ClusterMismatch: the worker is connected to another cluster than the enrolled one.
	ClusterMismatch = "ClusterMismatch"
	// ClusterUnreachable: the API server doesn't answer.
	ClusterUnreachable = "ClusterUnreachable"
	// RemoteUnreachable: the Git host doesn't answer.
	RemoteUnreachable = "RemoteUnreachable"
	// InvalidConfig: the enrolment can't work as it is.
	InvalidConfig = "InvalidConfig"
	// CredentialsMissing: the Secret with the Git credentials isn't there.
	CredentialsMissing = "CredentialsMissing"
	// DiskFull: the worker can't write to its data directory.
	DiskFull = "DiskFull"
)

// Further reasons in the status.
const (
	InitialSyncCanceled = "InitialSyncCanceled"
	MassDeletion        = "MassDeletion"
	MirrorDeletion      = "MirrorDeletion"
	ObjectsFailed       = "ObjectsFailed"
	ResourcesUnreadable = "ResourcesUnreadable"
	AdoptionRequired    = "AdoptionRequired"
	ConflictsHeld       = "ConflictsHeld"
	// WorkerTimeout: the worker stopped answering in the middle of an activity.
	WorkerTimeout = "WorkerTimeout"
	// ActivityFailed: an error without a type of its own.
	ActivityFailed = "ActivityFailed"
	StrategyNone   = "StrategyNone"
	PausedByUser   = "PausedByUser"
	FirstSync      = "FirstSync"
	RulesChanged   = "RulesChanged"
	ChangesSeen    = "ChangesSeen"
	SidesAgree     = "Settled"
)

// Settled is a point at which both sides agreed: the commit, and the tree of the cluster as it was then.
// They are different hashes of equivalent content, because the API server fills in defaults.
type Settled struct {
	Revision string `json:"revision"`
	// Tree is the Git hash of the cluster's exportable objects, without ignored namespaces.
	Tree string `json:"tree"`
	// Scope is the strategy and the ignored namespaces that it holds for.
	Scope string `json:"scope"`
}

// ExportInput asks for the cluster's state.
type ExportInput struct {
	Config Config `json:"config"`
}

// ExportResult is the cluster's state as a hash.
type ExportResult struct {
	Tree    string `json:"tree"`
	Objects int    `json:"objects"`
	// Unread are resources that can't be read now. Nothing is concluded from their absence.
	Unread      []Failure `json:"unread,omitempty"`
	UnreadCount int       `json:"unreadCount,omitempty"`
	// StaleSince is set while the API server doesn't answer: the tree is as of then.
	StaleSince   *time.Time     `json:"staleSince,omitempty"`
	StaleMessage string         `json:"staleMessage,omitempty"`
	Excluded     map[string]int `json:"excluded,omitempty"`
	// Locked: the synced objects are locked as the enrolment wants it.
	Locked bool `json:"locked,omitempty"`
}

// FetchInput asks for the tip of the branch.
type FetchInput struct {
	Config Config `json:"config"`
	// Seen is the tip as it was last; empty before the first time.
	Seen string `json:"seen,omitempty"`
}

// FetchResult is the tip, whose content the worker then has; empty where the branch doesn't exist.
type FetchResult struct {
	Revision string `json:"revision"`
	// Branch is what happened to the branch since Seen; empty when nothing did.
	Branch BranchChange `json:"branch,omitempty"`
}

// BranchChange is what somebody else did to the branch.
type BranchChange string

const (
	// BranchMoved: there are new commits on top of the tip that was seen.
	BranchMoved BranchChange = "moved"
	// BranchRewound: the tip is an earlier revision.
	BranchRewound BranchChange = "rewound"
	// BranchDeleted: there is no such branch any more.
	BranchDeleted BranchChange = "deleted"
	// BranchReplaced: the tip has another history, as after a forced push or in another repository.
	BranchReplaced BranchChange = "replaced"
)

// CommitInput asks to make Git equal to the cluster.
type CommitInput struct {
	Config Config `json:"config"`
	// Revision is the tip that the commit goes on top of; empty makes the branch.
	Revision string `json:"revision"`
	// Settled is the last agreement, empty before the first.
	Settled Settled `json:"settled"`
	// Tracked, Waiting, Open and OpenCount are those of ApplyInput. Only push-pull needs them.
	Tracked   []string `json:"tracked,omitempty"`
	Waiting   bool     `json:"waiting,omitempty"`
	Open      []Open   `json:"open,omitempty"`
	OpenCount int      `json:"openCount,omitempty"`
}

// MaxOpen bounds the open objects that are remembered one by one. Beyond it, a worker that has lost its memory
// knows of no agreement at all: then nothing is deleted, and what differs is decided by the policy for conflicts.
const MaxOpen = 500

// Open is an object that both sides don't agree on, with the revision at which they did.
type Open struct {
	Path string `json:"path"` // canonical
	// Base is empty where they never did.
	Base string `json:"base,omitempty"`
	// Git and Live are set when it was decided that the cluster gets what Git holds although both had changed
	// it: these are the contents which that is about. Without Git the object is to be deleted.
	Git  string `json:"git,omitempty"`
	Live string `json:"live,omitempty"`
}

// CommitResult is what Git and the cluster agree on now.
type CommitResult struct {
	Revision string  `json:"revision"`
	Tree     string  `json:"tree"`
	Changes  Changes `json:"changes"`
	// Failed are objects that could not be stored; the others were.
	Failed      []Failure `json:"failed,omitempty"`
	FailedCount int       `json:"failedCount,omitempty"`
	// RetryAfter is when the first of them is worth another try; 0 where nobody can tell.
	RetryAfter time.Duration `json:"retryAfter,omitempty"`
	// Conflicts are objects that both sides changed; the first MaxListed that wait for somebody, then those that
	// were decided.
	Conflicts []Conflict `json:"conflicts,omitempty"`
	// Waiting is how many conflicts wait for somebody.
	Waiting int `json:"waiting,omitempty"`
	// Open are the first MaxOpen objects that both sides don't agree on now, OpenCount is the number of all.
	Open      []Open `json:"open,omitempty"`
	OpenCount int    `json:"openCount,omitempty"`
	// Outstanding: the cluster is still to get something that Git holds.
	Outstanding bool `json:"outstanding,omitempty"`
}

// ApplyInput asks to make the cluster equal to Git.
type ApplyInput struct {
	Config   Config  `json:"config"`
	Revision string  `json:"revision"`
	Settled  Settled `json:"settled"`
	// Tracked are the revisions whose objects Git has put into the cluster and that may still have to be
	// removed again: the last one that was carried out in full, then those whose deletions were withheld
	// or failed, or whose Apply has not come to an end.
	Tracked []string `json:"tracked,omitempty"`
	// Approved is the digest of the set of deletions that a person approved.
	Approved string `json:"approved,omitempty"`
	// Waiting says that deletions wait for approval.
	Waiting bool `json:"waiting,omitempty"`
	// Mirrored says that objects which Git never held were deleted before, after a person approved it.
	Mirrored bool `json:"mirrored,omitempty"`
	// Kept are the first MaxListed objects of the last ApplyResult, KeptCount is the number of all.
	Kept      []Kept `json:"kept,omitempty"`
	KeptCount int    `json:"keptCount,omitempty"`
	// Open are the first MaxOpen objects of the last result, OpenCount is the number of all. Settled holds for
	// all others.
	Open      []Open `json:"open,omitempty"`
	OpenCount int    `json:"openCount,omitempty"`
}

// maxTracked bounds the revisions that are remembered for deletions that are yet to be made. The oldest is
// kept whatever comes: it is the one that was carried out in full.
const maxTracked = 20

// Track adds a revision to the tracked ones.
func Track(tracked []string, revision string) []string {
	if slices.Contains(tracked, revision) {
		return tracked
	}
	next := append(slices.Clone(tracked), revision)
	if len(next) > maxTracked {
		next = slices.Delete(next, 1, len(next)-maxTracked+1)
	}
	return next
}

// Kept is an object that stays in the cluster although Git doesn't declare it.
type Kept struct {
	Path   string `json:"path"` // canonical
	Reason string `json:"reason"`
}

// ApplyResult is what Git and the cluster agree on now, but for the failures.
type ApplyResult struct {
	Tree        string    `json:"tree"`
	Changes     Changes   `json:"changes"`
	Failed      []Failure `json:"failed,omitempty"`
	FailedCount int       `json:"failedCount,omitempty"`
	// RetryAfter is when the first of the failed objects is worth another try; 0 without failures.
	RetryAfter time.Duration `json:"retryAfter,omitempty"`
	// Tracked is what the next ApplyInput shall carry.
	Tracked []string `json:"tracked,omitempty"`
	// Withheld are deletions that wait for approval.
	Withheld Pending `json:"withheld,omitzero"`
	// Undecided: nobody can tell for now what is to be deleted, because a file can't be read. What waited for
	// approval goes on waiting.
	Undecided bool `json:"undecided,omitempty"`
	// Mirrored says that objects which Git never held were deleted.
	Mirrored bool `json:"mirrored,omitempty"`
	// Kept are objects that shall stay in the cluster although Git doesn't declare them, the first MaxListed of
	// KeptCount.
	Kept      []Kept `json:"kept,omitempty"`
	KeptCount int    `json:"keptCount,omitempty"`
	// Open are the first MaxOpen objects that the cluster doesn't have as Git says, OpenCount is the number of
	// all. Objects that are to be deleted, and wait for approval, aren't among them: Tracked tells of those.
	Open      []Open `json:"open,omitempty"`
	OpenCount int    `json:"openCount,omitempty"`
}

// LockInput asks to lock the synced objects, or to unlock them.
type LockInput struct {
	Config Config `json:"config"`
	On     bool   `json:"on"`
}

// LockResult is the lock as it was left.
type LockResult struct {
	InPlace bool `json:"inPlace"`
	// Present: some of it is in the cluster.
	Present bool `json:"present,omitempty"`
	// Message is why it can't be as asked for, or what weakens it.
	Message string `json:"message,omitempty"`
}

// Pending is a set of deletions that wait for approval. Approving it allows no other.
type Pending struct {
	// Digest is the name of this set, Count is how many they are, Objects are the first of them.
	Digest  string   `json:"digest,omitempty"`
	Count   int      `json:"count,omitempty"`
	Objects []string `json:"objects,omitempty"`
	// Reason is why they wait.
	Reason string `json:"reason,omitempty"`
	// Strays says that there are objects among them that Git never held, and that no such were approved before.
	Strays bool `json:"strays,omitempty"`
}
