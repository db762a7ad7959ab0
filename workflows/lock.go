package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// LockState is what ClusterSync knows of the lock on the cluster's synced objects.
type LockState struct {
	// Up: some of it may be in the cluster, so it has to be taken away when it isn't wanted any more.
	Up bool `json:"up,omitempty"`
	// InPlace: it was as it should be when it was last looked at.
	InPlace bool `json:"inPlace,omitempty"`
	// Message is what a person should know of it; empty when all is well.
	Message string `json:"message,omitempty"`
	// RetryAt is when to try again what can't be done now.
	RetryAt *time.Time `json:"retryAt,omitempty"`
}

const (
	// lockRetry is after what only a person can mend, like a missing permission.
	lockRetry = 5 * time.Minute
	// unlockRetry is after an error while the lock was to be taken away.
	unlockRetry = 30 * time.Second
	// unlockLimit bounds the removal of the lock when the enrolment ends.
	unlockLimit = 30 * time.Second
)

// asks reports whether the lock has to be seen to under a configuration, given what Export saw of it.
func (l LockState) asks(now time.Time, config Config, inPlace bool) bool {
	return config.Locks() && !(inPlace && l.InPlace) && l.due(now)
}

func (l LockState) due(now time.Time) bool { return l.RetryAt == nil || !now.Before(*l.RetryAt) }

// wait is how long it is until the next try.
func (l LockState) wait(now time.Time) time.Duration {
	if l.RetryAt == nil {
		return time.Second
	}
	return max(l.RetryAt.Sub(now), time.Second)
}

// took takes over what became of an attempt.
func (l *LockState) took(now time.Time, result LockResult) {
	*l = LockState{Up: result.Present, InPlace: result.InPlace, Message: result.Message}
	if !result.InPlace && result.Message != "" {
		at := now.Add(lockRetry)
		l.RetryAt = &at
	}
}

// unlocking reports whether there is a lock that isn't wanted any more.
func (s *State) unlocking() bool { return s.Lock.Up && !s.Config.Locks() }

// lock puts the lock up, or back, unless it is there. That it can't be is no error.
func (s *clusterSync) lock(ctx workflow.Context, config Config, inPlace bool) error {
	lock := &s.state.Lock
	if !lock.asks(workflow.Now(ctx), config, inPlace) {
		return nil
	}
	before := lock.Up
	lock.Up, lock.InPlace, lock.RetryAt = true, false, nil
	var result LockResult
	err := execute(ctx, LockActivity, "lock the synced objects of "+config.Cluster, LockInput{Config: config, On: true}).Get(ctx, &result)
	if err == nil {
		lock.took(workflow.Now(ctx), result)
		lock.Up = lock.Up || before
	}
	return err
}

// unlock takes away a lock that isn't wanted any more, whatever the strategy is by now.
func (s *clusterSync) unlock(ctx workflow.Context) {
	if !s.state.unlocking() || !s.state.Lock.due(workflow.Now(ctx)) {
		return
	}
	err := s.removeLock(ctx, 0)
	if err == nil || temporal.IsCanceledError(err) {
		return
	}
	at := workflow.Now(ctx).Add(unlockRetry)
	s.state.Lock.RetryAt, s.state.Lock.Message = &at, problemOf(err).Message
	workflow.GetLogger(ctx).Warn("Lock not removed", "message", s.state.Lock.Message)
}

// unlockAtEnd takes the lock away when the enrolment ends, if that can be done in time.
func (s *clusterSync) unlockAtEnd(ctx workflow.Context) {
	if !s.state.Lock.Up {
		return
	}
	s.state.Config.Lock = LockOff // so that the status of what has ended tells of a lock that stayed
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	if err := s.removeLock(ctx, unlockLimit); err != nil {
		s.state.Lock.Message = problemOf(err).Message
	}
}

// removeLock takes no longer than the limit; 0 is none.
func (s *clusterSync) removeLock(ctx workflow.Context, limit time.Duration) error {
	config := s.state.Config
	options := activityOptions("unlock the objects of " + config.Cluster)
	options.ScheduleToCloseTimeout = limit
	var result LockResult
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, options), LockActivity, LockInput{Config: config}).Get(ctx, &result)
	if err == nil {
		s.state.Lock.took(workflow.Now(ctx), result)
	}
	return err
}

// lockStatus is the lock as the status shows it.
func (s *State) lockStatus() LockStatus {
	lock := s.Lock
	switch {
	case s.unlocking() && lock.Message != "":
		return LockStatus{LockingOn, "it is to be taken away, and can't be: " + lock.Message}
	case s.unlocking():
		return LockStatus{LockingOn, "it is being taken away"}
	case !s.Config.Locks():
		return LockStatus{State: LockingOff}
	case lock.InPlace:
		return LockStatus{LockingOn, lock.Message}
	case lock.Message != "":
		return LockStatus{LockingUnavailable, lock.Message}
	}
	return LockStatus{LockingOff, "it is put up at the next sync"}
}
