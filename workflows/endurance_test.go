package workflows_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

const (
	enduredTicks = 5000
	// Temporal asks for a fresh history at so many events or bytes.
	suggestEvents = 4096
	suggestBytes  = 4 << 20
	// What a run may add after it was asked: the ticks until the test asks, and the last one, with their messages.
	spareEvents = 300
	// What a payload may hold is 2 MiB.
	maxCarried = 256 << 10
)

// TestThousandsOfTicksUnderARainOfMessages lets an enrolment live for 5,000 ticks of the time-skipping environment,
// in as many runs as that takes, each begun with the input that the one before handed over.
//
// The environment keeps no history. Its events are counted from what it tells of, rather too many than too few: three
// for each attempt of an activity, timers as they are set and end, one or two a message, one a tick for search
// attributes, and for each of these that can wake the workflow the three of a workflow task of its own.
func TestThousandsOfTicksUnderARainOfMessages(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	began := time.Now()
	e := &endurance{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), //nolint:gosec // any messages
		weather: newWeather(rand.New(rand.NewPCG(seed, 2))), //nolint:gosec // any weather
		now:     time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		counts:  map[string]int{},
	}
	state := workflows.State{Config: config(workflows.Push)}
	state.Config.Lock = workflows.LockOn
	e.wants = wishes{strategy: state.Config.Strategy, ignored: state.Config.IgnoredNamespaces}
	runs := 0
	for ; state.Ticks < enduredTicks; runs++ {
		state = e.run(state)
	}
	t.Logf("%d ticks in %d runs and %s, %d events at most in one, %d bytes carried at most; %v",
		state.Ticks, runs, time.Since(began).Round(time.Millisecond), e.mostEvents, e.mostCarried, e.counts)
	require.Greater(t, runs, 10)
	for _, message := range []string{
		workflows.SetStrategyMessage, workflows.SetIgnoredNamespacesMessage, workflows.SyncNowMessage,
		workflows.PauseMessage, workflows.ResumeMessage, workflows.ApproveMessage,
	} {
		require.Positive(t, e.counts["update "+message], message)
		require.Positive(t, e.counts["signal "+message], message)
	}
}

// endurance is the life of an enrolment over its runs.
type endurance struct {
	t       *testing.T
	random  *rand.Rand
	weather *weather
	now     time.Time
	wants   wishes
	counts  map[string]int
	sent    int

	mostEvents, mostCarried int

	// The run:
	*harness
	others    atomic.Int64 // events but for those of activities
	asked     bool         // to continue as new
	underWay  []sending
	handed    string // by the run before, as its queries told
	accepted  int
	completed int
}

// wishes are what the messages so far have asked for.
type wishes struct {
	strategy workflows.Strategy
	ignored  []string
	paused   bool
}

func (w wishes) fulfilled(c workflows.Config, paused bool) bool {
	return w.strategy == c.Strategy && w.paused == paused && slices.Equal(w.ignored, c.IgnoredNamespaces)
}

// sending is a signal that was sent, and of which nobody knows yet whether the run got it.
type sending struct {
	name   string
	arg    any
	effect func(*wishes)
}

// run is the life from one continue-as-new to the next.
func (e *endurance) run(state workflows.State) workflows.State {
	e.harness = newHarnessWith(e.t, e.weather.activities())
	e.others.Store(0)
	e.asked, e.accepted, e.completed = false, 0, 0
	e.SetStartTime(e.now)
	e.SetOnTimerScheduledListener(func(string, time.Duration) { e.others.Add(1) })
	e.SetOnTimerFiredListener(func(string) { e.others.Add(1 + 3) })
	e.SetOnTimerCanceledListener(func(string) { e.others.Add(1) })
	e.weather.began(func() { e.at(0, e.requireHanded) })
	lost := e.underWay
	e.underWay = nil
	e.at(time.Millisecond, func() {
		for _, s := range lost { // the server gives them to the run that is there now
			e.signal(s)
		}
		e.rain()
	})
	e.ExecuteWorkflow(workflows.WorkflowType, state)

	var next *workflow.ContinueAsNewError
	require.ErrorAs(e.t, e.GetWorkflowError(), &next)
	require.Equal(e.t, e.accepted, e.completed, "every update that was accepted was answered")
	events, _ := e.size()
	require.Less(e.t, events, suggestEvents+spareEvents)
	e.mostEvents = max(e.mostEvents, events)
	return e.carried(next)
}

// size is what the history of the run would be by now.
func (e *endurance) size() (events, bytes int) {
	attempts, bytes := e.weather.soFar()
	return attempts*(3+3) + int(e.others.Load()), bytes
}

// carried is the input of the next run. It must hold all that this one knew, and what was asked of it.
func (e *endurance) carried(next *workflow.ContinueAsNewError) (state workflows.State) {
	require.NoError(e.t, converter.GetDefaultDataConverter().FromPayloads(next.Input, &state))
	given := next.Input.GetPayloads()[0].GetData()
	again, err := json.Marshal(state)
	require.NoError(e.t, err)
	require.Equal(e.t, string(given), string(again), "JSON carries the state exactly")
	require.Less(e.t, len(given), maxCarried)
	e.mostCarried = max(e.mostCarried, len(given))
	e.handed, e.now = e.told(), e.Now()
	for len(e.underWay) > 0 && !e.wants.fulfilled(state.Config, state.Paused) {
		e.underWay[0].effect(&e.wants) // it had come just in time
		e.underWay = e.underWay[1:]
	}
	require.True(e.t, e.wants.fulfilled(state.Config, state.Paused), "%+v is carried, and wanted is %+v", state.Config, e.wants)
	return state
}

// told is all that a run answers to queries.
func (e *endurance) told() string {
	e.t.Helper()
	var all []json.RawMessage
	for _, query := range []string{workflows.StatusQuery, workflows.HistoryQuery, workflows.AgreementQuery} {
		answer, err := e.QueryWorkflow(query)
		require.NoError(e.t, err)
		var text json.RawMessage
		require.NoError(e.t, answer.Get(&text))
		all = append(all, text)
	}
	text, err := json.Marshal(all)
	require.NoError(e.t, err)
	return string(text)
}

// requireHanded makes sure that a run begins as the one before has ended.
func (e *endurance) requireHanded() {
	if e.handed != "" {
		require.JSONEq(e.t, e.handed, e.told())
		e.counts["runs that began as the one before had ended"]++
		e.handed = ""
	}
}

// rain sends messages from now on.
func (e *endurance) rain() {
	if attempts, _ := e.weather.soFar(); attempts == 0 {
		e.requireHanded() // paused, or without a strategy
	}
	status := e.status()
	require.Equal(e.t, e.wants.strategy, status.Strategy)
	require.Equal(e.t, e.wants.ignored, status.IgnoredNamespaces)
	require.Equal(e.t, e.wants.paused && e.wants.strategy != workflows.None, status.State == workflows.Paused)

	messages := 1
	if e.random.IntN(10) == 0 {
		messages = 8
	}
	if events, bytes := e.size(); !e.asked && (events >= suggestEvents || bytes >= suggestBytes) {
		e.asked, messages = true, 8
		e.SetContinueAsNewSuggested(true)
	}
	for range messages {
		e.send(status)
	}
	e.at(time.Duration(e.random.Int64N(int64(50*time.Second))), e.rain)
}

// send sends any message, as an update or as a signal.
func (e *endurance) send(status workflows.Status) {
	e.sent++
	s := sending{effect: func(*wishes) {}}
	switch dice := e.random.IntN(100); {
	case dice < 40 && e.wants.paused, dice < 8:
		s.name, s.effect = workflows.ResumeMessage, func(w *wishes) { w.paused = false }
	case dice < 15:
		s.name, s.effect = workflows.PauseMessage, func(w *wishes) { w.paused = true }
	case dice < 50:
		s.name = workflows.SyncNowMessage
	case dice < 60:
		s.name, s.arg = workflows.ApproveMessage, workflows.Approve{Digest: status.Pending.Digest}
	case dice < 80:
		ignored := []string{fmt.Sprint("namespace-", e.sent)}
		s.name, s.arg = workflows.SetIgnoredNamespacesMessage, workflows.SetIgnoredNamespaces{Namespaces: ignored}
		s.effect = func(w *wishes) { w.ignored = ignored }
	default:
		strategy := []workflows.Strategy{workflows.Push, workflows.Pull, workflows.PushPull, workflows.None}[e.random.IntN(4)]
		s.name, s.arg = workflows.SetStrategyMessage, workflows.SetStrategy{Strategy: strategy}
		s.effect = func(w *wishes) { w.strategy = strategy }
	}
	if e.random.IntN(2) == 0 {
		e.signal(s)
	} else {
		e.update(s)
	}
}

func (e *endurance) signal(s sending) {
	e.underWay = append(e.underWay, s)
	e.SignalWorkflow(s.name, s.arg)
	e.at(0, func() { // right after the signal
		e.counts["signal "+s.name]++
		e.others.Add(1 + 3)
		s.effect(&e.wants)
		e.underWay = e.underWay[1:]
	})
}

func (e *endurance) update(s sending) {
	var args []any
	if s.arg != nil {
		args = append(args, s.arg)
	}
	var wanted wishes
	e.UpdateWorkflow(s.name, "", &testsuite.TestUpdateCallback{
		OnReject: func(error) { e.counts["rejected"]++ },
		OnAccept: func() {
			e.accepted++
			e.others.Add(2 + 3)
			s.effect(&e.wants)
			wanted = e.wants
		},
		OnComplete: func(result any, err error) {
			require.NoError(e.t, err)
			e.completed++
			e.counts["update "+s.name]++
			if s.name != workflows.SyncNowMessage { // which answers later
				answered := result.(workflows.Status)
				require.Equal(e.t, wanted.strategy, answered.Strategy)
				require.Equal(e.t, wanted.ignored, answered.IgnoredNamespaces)
			}
		},
	}, args...)
}
