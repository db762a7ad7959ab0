package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/workflow"
)

// registerMessages makes ClusterSync answer to its queries, updates and signals.
func (s *clusterSync) registerMessages(ctx workflow.Context) error {
	if err := workflow.SetQueryHandlerWithOptions(ctx, StatusQuery,
		func() (Status, error) { return s.status(ctx), nil },
		workflow.QueryHandlerOptions{Description: descriptions[StatusQuery]}); err != nil {
		return err
	}
	if err := workflow.SetQueryHandlerWithOptions(ctx, HistoryQuery,
		func() ([]Record, error) { return nonNil(s.state.Recent), nil },
		workflow.QueryHandlerOptions{Description: descriptions[HistoryQuery]}); err != nil {
		return err
	}
	if err := workflow.SetQueryHandlerWithOptions(ctx, AgreementQuery,
		func() (Agreement, error) { return s.state.agreement(), nil },
		workflow.QueryHandlerOptions{Description: descriptions[AgreementQuery]}); err != nil {
		return err
	}
	return errors.Join(
		handle(ctx, s, SetStrategyMessage, SetStrategy.Validate, s.setStrategy),
		handle(ctx, s, SetIgnoredNamespacesMessage, s.validateNamespaces, s.setIgnoredNamespaces),
		handlePlain(ctx, s, PauseMessage, s.always, s.pause),
		handlePlain(ctx, s, ResumeMessage, s.always, s.resume),
		handle(ctx, s, ApproveMessage, s.validateApprove, s.approve),
		handlePlain(ctx, s, SyncNowMessage, s.validateSyncNow, s.syncNow),
	)
}

// status is what a query and every update answer with.
func (s *clusterSync) status(ctx workflow.Context) Status {
	return s.state.status(workflow.Now(ctx)).With(s.state.Config)
}

// handle serves one message with an argument, as an update and as a signal.
func handle[M any](ctx workflow.Context, s *clusterSync, name string, validate func(M) error, carryOut func(M)) error {
	s.onSignal(ctx, name, func(c workflow.ReceiveChannel) bool {
		var m M
		if !c.ReceiveAsync(&m) {
			return false
		}
		if err := validate(m); err != nil {
			workflow.GetLogger(ctx).Warn("Signal ignored", "signal", name, "error", err)
			return true
		}
		carryOut(m)
		return true
	})
	return workflow.SetUpdateHandlerWithOptions(ctx, name,
		func(ctx workflow.Context, m M) (Status, error) {
			carryOut(m)
			return s.status(ctx), nil
		},
		workflow.UpdateHandlerOptions{Description: descriptions[name], Validator: validate})
}

// handlePlain serves one message without an argument, as an update and as a signal.
func handlePlain(ctx workflow.Context, s *clusterSync, name string, validate func() error, carryOut func()) error {
	s.onSignal(ctx, name, func(c workflow.ReceiveChannel) bool {
		if !c.ReceiveAsync(nil) {
			return false
		}
		if err := validate(); err != nil {
			workflow.GetLogger(ctx).Warn("Signal ignored", "signal", name, "error", err)
			return true
		}
		carryOut()
		return true
	})
	return workflow.SetUpdateHandlerWithOptions(ctx, name,
		func(ctx workflow.Context) (Status, error) {
			carryOut()
			if name == SyncNowMessage {
				if err := s.awaitTick(ctx); err != nil {
					return Status{}, err
				}
			}
			return s.status(ctx), nil
		},
		workflow.UpdateHandlerOptions{Description: descriptions[name], Validator: validate})
}

// onSignal remembers how to take one message from a signal's channel; receive answers false when the
// channel is empty.
func (s *clusterSync) onSignal(ctx workflow.Context, name string, receive func(workflow.ReceiveChannel) bool) {
	channel := workflow.GetSignalChannelWithOptions(ctx, name, workflow.SignalChannelOptions{Description: descriptions[name]})
	take := func() bool { return receive(channel) }
	s.signals = append(s.signals, signal{channel: channel, take: take})
}

// signal is one kind of message that may be waiting.
type signal struct {
	channel workflow.ReceiveChannel
	take    func() bool
}

// listen carries out signals as they come, also in the middle of a tick.
func (s *clusterSync) listen(ctx workflow.Context) {
	for {
		if err := workflow.Await(ctx, s.signalled); err != nil {
			return
		}
		s.drain()
	}
}

// signalled tells whether a signal is waiting.
func (s *clusterSync) signalled() bool {
	for _, signal := range s.signals {
		if signal.channel.Len() > 0 {
			return true
		}
	}
	return false
}

// drain carries out all signals that are waiting.
func (s *clusterSync) drain() {
	for _, signal := range s.signals {
		for signal.take() {
		}
	}
}

// awaitTick waits for the end of a tick that began after the call. When the run is about to continue as
// new it waits no longer: the next run begins with a tick.
func (s *clusterSync) awaitTick(ctx workflow.Context) error {
	target := s.state.Ticks + 1
	if s.ticking {
		target++
	}
	return workflow.Await(ctx, func() bool {
		return s.state.Ticks >= target || s.leaving || !s.state.running()
	})
}

func (s *clusterSync) validateNamespaces(m SetIgnoredNamespaces) error {
	if len(m.Namespaces) > maxIgnoredNamespaces {
		return fmt.Errorf("%d namespaces are too many: %d at most", len(m.Namespaces), maxIgnoredNamespaces)
	}
	return ValidateNamespaces(m.Namespaces)
}

// maxIgnoredNamespaces keeps the list within what a payload may hold.
const maxIgnoredNamespaces = 1000

func (s *clusterSync) always() error { return nil }

func (s *clusterSync) validateSyncNow() error {
	switch {
	case s.state.Config.Strategy == None:
		return errors.New("the strategy is none: set another one first")
	case s.state.Paused:
		return errors.New("the sync is paused: resume it first")
	}
	return nil
}

func (s *clusterSync) validateApprove(m Approve) error {
	switch s.state.Pending.Digest {
	case "":
		return errors.New("no deletions are waiting for approval")
	case m.Digest:
		return nil
	}
	return fmt.Errorf("the deletions that wait are not those with digest %q any more: look at the status again", m.Digest)
}

// setStrategy begins afresh under another strategy, or under the same one with an adoption that was missing. An
// adoption is a word about what is there now, so the next strategy doesn't inherit it.
func (s *clusterSync) setStrategy(m SetStrategy) {
	config := &s.state.Config
	if m.OnConflict != "" && m.OnConflict != config.Conflicts() {
		config.OnConflict = m.OnConflict
		s.state.Reconsider = s.state.Waiting > 0
		s.syncNow()
	}
	if config.Strategy == m.Strategy && (m.Adopt == "" || m.Adopt == config.Adopt) {
		return
	}
	config.Strategy, config.Adopt = m.Strategy, m.Adopt
	s.startAfresh()
}

func (s *clusterSync) setIgnoredNamespaces(m SetIgnoredNamespaces) {
	s.state.Config.IgnoredNamespaces = m.Namespaces
	if s.state.Settled.Revision != "" {
		s.state.Config.Adopt = "" // it was about what took part then
	}
	s.startAfresh()
}

func (s *clusterSync) pause() {
	s.state.Paused = true
	s.wake = true
	s.interrupt()
}

func (s *clusterSync) resume() {
	s.state.Paused = false
	s.syncNow()
}

func (s *clusterSync) approve(m Approve) {
	s.state.Approved = m.Digest
	s.syncNow()
}

// syncNow ends the wait for the next tick and every back-off.
func (s *clusterSync) syncNow() {
	s.state.Streak = 0
	s.state.RetryAt = nil
	s.state.Lock.RetryAt = nil
	s.wake = true
}

// startAfresh ends the running tick and begins another: under other rules, what failed or was withheld
// before means nothing any more.
func (s *clusterSync) startAfresh() {
	s.state.Problem = nil
	s.state.Failed, s.state.FailedCount = nil, 0
	s.state.Pending, s.state.Approved, s.state.Mirrored = Pending{}, "", ""
	s.interrupt()
	s.syncNow()
}
