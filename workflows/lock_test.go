package workflows_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// lockSide stands in for the lock on the cluster.
type lockSide struct {
	locked bool
	locks  []bool // what was asked for: on, or off
	onLock func(on bool) (workflows.LockResult, error)
}

func (s *lockSide) lock(_ context.Context, in workflows.LockInput) (workflows.LockResult, error) {
	s.locks = append(s.locks, in.On)
	if s.onLock != nil {
		result, err := s.onLock(in.On)
		s.locked = result.InPlace
		return result, err
	}
	s.locked = in.On
	return workflows.LockResult{InPlace: in.On, Present: in.On}, nil
}

func locking(strategy workflows.Strategy) workflows.State {
	c := config(strategy)
	c.Lock = workflows.LockOn
	return workflows.State{Config: c}
}

func strategyAt(h *harness, when time.Duration, strategy workflows.Strategy) {
	h.at(when, func() {
		h.SignalWorkflow(workflows.SetStrategyMessage, workflows.SetStrategy{Strategy: strategy})
	})
}

func TestTheLockIsPutUpOnceAndPutBack(t *testing.T) {
	s := &sides{cluster: "a", branch: "r1"}
	h := newHarness(t, s)
	h.at(45*time.Second, func() {
		require.Equal(t, []bool{true}, s.locks, "a healthy lock costs nothing")
		require.Equal(t, workflows.LockStatus{State: workflows.LockingOn}, h.status().Lock)
		s.locked = false
	})
	h.at(65*time.Second, func() { require.Equal(t, []bool{true, true}, s.locks) })
	h.run(locking(workflows.Pull), 70*time.Second)
	require.Equal(t, []bool{true, true, false}, s.locks, "it is taken away when the enrolment ends")
	require.Equal(t, workflows.LockingOff, h.status().Lock.State)
}

func TestTheLockIsForPullAndForThoseWhoWantIt(t *testing.T) {
	for name, state := range map[string]workflows.State{
		"push": locking(workflows.Push), "none": locking(workflows.None), "off": {Config: config(workflows.Pull)},
	} {
		t.Run(name, func(t *testing.T) {
			s := &sides{cluster: "a", branch: "r1"}
			h := newHarness(t, s)
			h.run(state, time.Minute)
			require.Empty(t, s.locks)
			require.Equal(t, workflows.LockingOff, h.status().Lock.State)
		})
	}
}

func TestTheLockGoesWithTheStrategy(t *testing.T) {
	for _, strategy := range []workflows.Strategy{workflows.Push, workflows.None} {
		t.Run(string(strategy), func(t *testing.T) {
			s := &sides{cluster: "a", branch: "r1"}
			h := newHarness(t, s)
			strategyAt(h, 15*time.Second, strategy)
			h.at(16*time.Second, func() { require.Equal(t, []bool{true, false}, s.locks) })
			strategyAt(h, 10*time.Minute, workflows.Pull)
			h.run(locking(workflows.Pull), 11*time.Minute)
			require.Equal(t, []bool{true, false, true, false}, s.locks)
		})
	}
}

func TestAPausedSyncKeepsItsLock(t *testing.T) {
	s := &sides{cluster: "a", branch: "r1"}
	h := newHarness(t, s)
	h.at(15*time.Second, func() { h.SignalWorkflow(workflows.PauseMessage, nil) })
	h.at(10*time.Minute, func() { require.Equal(t, []bool{true}, s.locks) })
	strategyAt(h, 11*time.Minute, workflows.Push)
	h.at(12*time.Minute, func() {
		require.Equal(t, []bool{true, false}, s.locks, "nobody shall be locked out of a cluster that leads")
	})
	h.run(locking(workflows.Pull), 13*time.Minute)
}

func TestALockThatCanNotBePutUpIsAWarning(t *testing.T) {
	s := &sides{cluster: "a", branch: "r1"}
	s.onLock = func(bool) (workflows.LockResult, error) {
		return workflows.LockResult{Message: "permission missing"}, nil
	}
	h := newHarness(t, s)
	h.at(4*time.Minute, func() {
		require.Len(t, s.locks, 1, "it is tried again now and then, not at each tick")
		status := h.status()
		require.Equal(t, workflows.InSync, status.State)
		require.Equal(t, workflows.LockStatus{State: workflows.LockingUnavailable, Message: "permission missing"}, status.Lock)
		s.cluster = "edited by hand"
	})
	h.at(270*time.Second, func() { require.Len(t, s.applies, 2, "drift is set back all the same") })
	h.at(6*time.Minute, func() { require.Len(t, s.locks, 2) })
	h.run(locking(workflows.Pull), 7*time.Minute)
	require.Equal(t, []bool{true, true}, s.locks, "what was never there isn't taken away")
}

func TestAFailingLockHoldsUpNothing(t *testing.T) {
	s := &sides{cluster: "a", branch: "r1"}
	down := true
	s.onLock = func(on bool) (workflows.LockResult, error) {
		if down {
			return workflows.LockResult{}, temporal.NewNonRetryableApplicationError("no answer", workflows.ClusterUnreachable, nil)
		}
		return workflows.LockResult{InPlace: on, Present: on}, nil
	}
	h := newHarness(t, s)
	h.at(5*time.Second, func() {
		require.Equal(t, "state of r1", s.cluster)
		require.Equal(t, workflows.ClusterUnreachable, h.status().Reason)
		down = false
	})
	h.at(25*time.Second, func() {
		require.Equal(t, workflows.InSync, h.status().State)
		require.Equal(t, workflows.LockingOn, h.status().Lock.State)
	})
	h.run(locking(workflows.Pull), 30*time.Second)
}

func TestALockIsTakenAwayHoweverLongItTakes(t *testing.T) {
	for name, fails := range map[string]struct {
		result workflows.LockResult
		err    error
	}{
		"no answer":     {err: temporal.NewNonRetryableApplicationError("no answer", workflows.ClusterUnreachable, nil)},
		"no permission": {result: workflows.LockResult{Present: true, Message: "no permission"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &sides{cluster: "a", branch: "r1"}
			failing := true
			s.onLock = func(on bool) (workflows.LockResult, error) {
				if !on && failing {
					return fails.result, fails.err
				}
				return workflows.LockResult{InPlace: on, Present: on}, nil
			}
			h := newHarness(t, s)
			strategyAt(h, 15*time.Second, workflows.None)
			h.at(11*time.Minute, func() {
				status := h.status()
				require.Equal(t, workflows.Stopped, status.State)
				require.Equal(t, workflows.LockingOn, status.Lock.State)
				require.Contains(t, status.Lock.Message, name)
				require.Greater(t, len(s.locks), 2, "it goes on trying though nothing else runs")
				require.Less(t, len(s.locks), 30)
				failing = false
			})
			var after int
			h.at(17*time.Minute, func() {
				require.Equal(t, workflows.LockStatus{State: workflows.LockingOff}, h.status().Lock)
				after = len(s.locks)
			})
			h.run(locking(workflows.Pull), time.Hour)
			require.Len(t, s.locks, after, "then nothing runs any more")
		})
	}
}

func TestAnEnrolmentEndsThoughItsLockStays(t *testing.T) {
	for name, fails := range map[string]struct {
		result workflows.LockResult
		err    error
	}{
		"no answer":     {err: errors.New("no answer")},
		"no permission": {result: workflows.LockResult{Present: true, Message: "no permission"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &sides{cluster: "a", branch: "r1"}
			s.onLock = func(on bool) (workflows.LockResult, error) {
				if on {
					return workflows.LockResult{InPlace: true, Present: true}, nil
				}
				return fails.result, fails.err
			}
			h := newHarness(t, s)
			h.run(locking(workflows.Pull), 15*time.Second)
			require.Equal(t, workflows.LockingOn, h.status().Lock.State, "starter unenroll learns from it that the lock is still there")
			require.Contains(t, h.status().Lock.Message, name)
		})
	}
}
