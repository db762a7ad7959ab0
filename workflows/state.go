package workflows

import (
	"errors"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
)

// State is what ClusterSync carries from one run to the next when it continues as new. A fresh enrolment
// has only a Config.
type State struct {
	Config Config `json:"config"`
	Paused bool   `json:"paused,omitempty"`
	Ticks  int64  `json:"ticks,omitempty"`

	// Settled is the last agreement of both sides; zero before the first.
	Settled Settled `json:"settled,omitzero"`
	// SettledTime is when both sides were last seen to agree.
	SettledTime *time.Time `json:"settledTime,omitempty"`
	// BehindSince is when a difference was first seen that isn't settled yet.
	BehindSince *time.Time `json:"behindSince,omitempty"`

	// Problem is why the last tick could not do its work; nil when it could.
	Problem *Problem `json:"problem,omitempty"`
	// Streak counts the ticks in a row that ended in a problem.
	Streak int `json:"streak,omitempty"`

	// Tips are where the branch was, the last one first; "" is a branch that doesn't exist.
	Tips        []string     `json:"tips,omitempty"`
	BranchEvent *BranchEvent `json:"branchEvent,omitempty"`

	Failed      []Failure `json:"failed,omitempty"`
	FailedCount int       `json:"failedCount,omitempty"`
	// RetryAt is when failed objects are tried again although nothing changed.
	RetryAt     *time.Time `json:"retryAt,omitempty"`
	Unread      []Failure  `json:"unread,omitempty"`
	UnreadCount int        `json:"unreadCount,omitempty"`
	Tracked     []string   `json:"tracked,omitempty"`
	Pending     Pending    `json:"pending,omitzero"`
	Approved    string     `json:"approved,omitempty"`
	// Mirrored is the scope in which a person approved the first deletion of objects that Git never held.
	Mirrored  string `json:"mirrored,omitempty"`
	Kept      []Kept `json:"kept,omitempty"`
	KeptCount int    `json:"keptCount,omitempty"`
	// Open are the first objects for which Settled doesn't hold, OpenCount is the number of all.
	Open      []Open `json:"open,omitempty"`
	OpenCount int    `json:"openCount,omitempty"`
	// Reconsider: the policy for conflicts has changed since some were held.
	Reconsider bool `json:"reconsider,omitempty"`
	// Conflicts are the objects that wait for somebody, Waiting is the number of all, and then those that were
	// decided last.
	Conflicts []Conflict     `json:"conflicts,omitempty"`
	Waiting   int            `json:"waiting,omitempty"`
	Objects   int            `json:"objects,omitempty"`
	Excluded  map[string]int `json:"excluded,omitempty"`
	// Recent are the last syncs that are worth to be remembered, newest first.
	Recent []Record  `json:"recent,omitempty"`
	Lock   LockState `json:"lock,omitzero"`
}

// Problem is an error as the status shows it.
type Problem struct {
	// Reason and Message are those that the status had then.
	Reason  string `json:"reason"`
	Message string `json:"message"`
	// Wait is how long the other side asked to be left alone.
	Wait time.Duration `json:"wait,omitempty"`
}

func (s *State) running() bool { return s.Config.Strategy != None && !s.Paused }

// settledFor tells whether the two sides are as they were when they last agreed.
func (s *State) settledFor(config Config, tree, revision string) bool {
	return s.Settled == Settled{Revision: revision, Tree: tree, Scope: config.Scope()}
}

// observe takes over what Export said.
func (s *State) observe(exported ExportResult) {
	s.Objects, s.Excluded = exported.Objects, exported.Excluded
	s.Unread, s.UnreadCount = exported.Unread, exported.UnreadCount
}

// maxTips is how many of the branch's tips are remembered, to know one when the branch is set back to it.
const maxTips = 20

// tip is where the branch was last; empty before the first time.
func (s *State) tip() string {
	if len(s.Tips) == 0 {
		return ""
	}
	return s.Tips[0]
}

// saw remembers where the branch is.
func (s *State) saw(tip string) {
	if tip != s.tip() {
		s.Tips = slices.Insert(s.Tips, 0, tip)
		s.Tips = s.Tips[:min(len(s.Tips), maxTips)]
	}
}

// observeBranch takes over where the branch is, and notes what somebody else did to it. Under pull, new
// commits are what is expected.
func (s *State) observeBranch(now time.Time, fetched FetchResult) {
	happened := fetched.Branch
	if happened == BranchReplaced && slices.Contains(s.Tips, fetched.Revision) {
		happened = BranchRewound // whether or not the Git host still knows what came after it
	}
	if happened != "" && !(happened == BranchMoved && s.Config.Strategy == Pull) {
		s.BranchEvent = &BranchEvent{Time: now, Change: happened, From: s.tip(), To: fetched.Revision}
	}
	s.saw(fetched.Revision)
}

// behind notes that the sides differ.
func (s *State) behind(now time.Time) {
	if s.BehindSince == nil {
		s.BehindSince = &now
	}
}

// settle notes that the sides agree, at this point.
func (s *State) settle(now time.Time, at Settled) {
	s.Settled = at
	s.agree(now)
}

// agree notes that the sides still agree.
func (s *State) agree(now time.Time) {
	s.Problem, s.Streak = nil, 0
	if s.FailedCount == 0 && s.Pending.Count == 0 && s.Waiting == 0 {
		s.SettledTime, s.BehindSince = &now, nil
	}
}

// committed takes over what Commit said.
func (s *State) committed(now time.Time, result CommitResult) {
	s.Failed, s.FailedCount, s.RetryAt, s.Pending = result.Failed, result.FailedCount, nil, Pending{}
	if result.FailedCount > 0 {
		at := now.Add(result.retryAfter())
		s.RetryAt = &at
	}
}

// shared takes over what Commit said under push-pull.
func (s *State) shared(result CommitResult) {
	s.Open, s.OpenCount, s.Waiting = result.Open, result.OpenCount, result.Waiting
	s.Reconsider = false
	var waiting, decided []Conflict
	for _, c := range result.Conflicts {
		if c.Winner == "" {
			waiting = append(waiting, c)
		} else {
			decided = append(decided, c)
		}
	}
	for _, c := range s.Conflicts {
		if c.Winner != "" {
			decided = append(decided, c)
		}
	}
	s.Conflicts = slices.Concat(waiting, decided[:min(len(decided), maxDecided)])
}

// decided forgets the conflicts that waited for somebody: one side was made what the other is.
func (s *State) decided() {
	s.Waiting, s.Reconsider = 0, false
	s.Conflicts = slices.DeleteFunc(s.Conflicts, func(c Conflict) bool { return c.Winner == "" })
}

// maxDecided is how many conflicts that were decided are remembered.
const maxDecided = 10

// alsoFailed adds what Commit could not do to what Apply said.
func (s *State) alsoFailed(now time.Time, committed CommitResult) {
	if committed.FailedCount == 0 {
		return
	}
	s.Failed = append(s.Failed, committed.Failed...)
	s.Failed = s.Failed[:min(len(s.Failed), MaxListed)]
	s.FailedCount += committed.FailedCount
	if at := now.Add(committed.retryAfter()); s.RetryAt == nil || at.Before(*s.RetryAt) {
		s.RetryAt = &at
	}
}

// base is the last agreement as push-pull may build on it: of whatever strategy, but about the same objects.
func (s *State) base(config Config) (settled Settled, open []Open, count int) {
	_, selected, _ := strings.Cut(s.Settled.Scope, " ")
	for _, prune := range []PrunePolicy{PruneMirror, PruneOff} {
		selected = strings.TrimSuffix(selected, " prune="+string(prune))
	}
	if selected != config.Selected() {
		return Settled{}, nil, 0
	}
	return s.Settled, s.Open, s.OpenCount
}

// agreement answers the query.
func (s *State) agreement() Agreement {
	a := Agreement{
		Config: s.Config, Tracked: s.Tracked, Waiting: s.Pending.Count > 0, Approved: s.Approved,
		Mirrored: s.Mirrored == s.Config.Scope(), Kept: s.Kept,
	}
	a.Settled, a.Open, a.OpenCount = s.base(s.Config)
	return a
}

// commitRetry is when objects that could not be stored are tried again though they are the same.
const commitRetry = 5 * time.Minute

func (r CommitResult) retryAfter() time.Duration {
	if r.RetryAfter > 0 {
		return min(r.RetryAfter, commitRetry)
	}
	return commitRetry
}

// applied takes over what Apply said.
func (s *State) applied(now time.Time, result ApplyResult) {
	s.Failed, s.FailedCount, s.RetryAt = result.Failed, result.FailedCount, nil
	if result.FailedCount > 0 {
		at := now.Add(max(result.RetryAfter, time.Second))
		s.RetryAt = &at
	}
	s.Tracked, s.Kept, s.KeptCount = result.Tracked, result.Kept, result.KeptCount
	s.Open, s.OpenCount = result.Open, result.OpenCount
	if !result.Undecided {
		s.Pending = result.Withheld
	}
	if s.Approved != s.Pending.Digest {
		s.Approved = ""
	}
}

// retryDue tells whether failed objects, an approval, or another policy ask for an Apply although nothing changed.
func (s *State) retryDue(now time.Time) bool {
	approved := s.Approved != "" && s.Approved == s.Pending.Digest
	return approved || s.Reconsider || s.FailedCount > 0 && (s.RetryAt == nil || !now.Before(*s.RetryAt))
}

// record remembers a sync that changed something.
func (s *State) record(r Record) {
	if r.Changes.Total() == 0 {
		return
	}
	r.Changes.Objects = r.Changes.Objects[:min(len(r.Changes.Objects), maxRecordObjects)]
	r.Duration.Duration = r.Duration.Round(time.Millisecond)
	s.remember(r)
}

func (s *State) remember(r Record) {
	s.Recent = slices.Insert(s.Recent, 0, r)
	s.Recent = s.Recent[:min(len(s.Recent), maxRecords)]
}

// maxRecordObjects is how many objects of a sync are remembered by name.
const maxRecordObjects = 10

// recordProblem remembers a sync that could not do its work. Since the last one that changed something, the
// same problem is one record: a Git host that is down for a night must not push everything else out.
func (s *State) recordProblem(now time.Time) {
	problem := *s.Problem
	problem.Message = problem.Message[:min(len(problem.Message), maxRecordMessage)]
	problem.Message = strings.ToValidUTF8(problem.Message, "")
	for i := range s.Recent {
		r := &s.Recent[i]
		if r.Problem == nil {
			break
		}
		if r.Problem.Reason == problem.Reason && r.Direction == s.Config.Strategy {
			r.Problem, r.Last = &problem, &now
			r.Times++
			return
		}
	}
	s.remember(Record{Time: now, Direction: s.Config.Strategy, Problem: &problem, Times: 1})
}

// maxRecordMessage bounds the words of a problem that are remembered, in bytes.
const maxRecordMessage = 300

// changed are the last syncs that changed something.
func (s *State) changed() []Record {
	records := []Record{}
	for _, r := range s.Recent {
		if r.Problem == nil && len(records) < maxRecent {
			records = append(records, r)
		}
	}
	return records
}

// fail notes why the tick could not do its work.
func (s *State) fail(err error) {
	problem := problemOf(err)
	if problem.Reason == RepositoryNotEmpty {
		problem.Reason = InitialSyncCanceled
	}
	s.Problem = &problem
	s.Streak++
}

// problemOf finds the innermost error that an activity failed with.
func problemOf(err error) Problem {
	var application *temporal.ApplicationError
	if errors.As(err, &application) {
		return Problem{Reason: application.Type(), Message: application.Message(), Wait: application.NextRetryDelay()}
	}
	var timeout *temporal.TimeoutError
	if errors.As(err, &timeout) {
		return Problem{Reason: WorkerTimeout, Message: "the worker stopped answering in the middle of an activity; it is tried again"}
	}
	return Problem{Reason: ActivityFailed, Message: err.Error()}
}

// maxBackoff is how long a failing sync waits at most between two ticks, unless its interval is longer.
const maxBackoff = time.Minute

// pauseAfter is the time from the end of a tick, which took this long, to the next one.
func (s *State) pauseAfter(took time.Duration) time.Duration {
	interval := s.Config.Interval.Duration
	wait := max(interval-took, interval/10)
	if s.Problem != nil {
		backoff := interval << min(max(s.Streak-1, 0), 6)
		wait = max(wait, min(backoff, max(maxBackoff, interval)), s.Problem.Wait)
	}
	return wait
}

// short is a revision as people read it.
func short(revision string) string {
	return strings.TrimSpace(revision[:min(len(revision), 12)])
}
