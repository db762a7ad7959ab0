package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// diagnosis is the result of the command in JSON.
type diagnosis struct {
	Cluster string    `json:"cluster"`
	Healthy bool      `json:"healthy"`
	Checks  []finding `json:"checks"`
}

// finding is what a check has found out.
type finding struct {
	Name   string  `json:"name"`
	Result verdict `json:"result"`
	// Message is what is there, or what is wrong with it.
	Message string `json:"message"`
	// Remedy says what to do, in sentences.
	Remedy []string `json:"remedy"`

	// known: it was found out what others want to know, though it is wrong.
	known bool
	// cause is the check that failed first: itself, or the one because of which it was skipped.
	cause string
}

type verdict string

const (
	isRight    verdict = "passed"
	isDoubtful verdict = "warning"
	isWrong    verdict = "failed"
	isSkipped  verdict = "skipped"
)

func (f finding) usable() bool { return f.Result == isRight || f.Result == isDoubtful || f.known }

func right(message string) finding { return finding{Result: isRight, Message: message} }

func doubtful(message string, remedy ...string) finding {
	return finding{Result: isDoubtful, Message: message, Remedy: remedy}
}

func wrong(message string, remedy ...string) finding {
	return finding{Result: isWrong, Message: message, Remedy: remedy}
}

// faulty is an error that says what is wrong, and after a colon what to do.
func faulty(err error) finding {
	message, remedy, found := strings.Cut(oneLine(err.Error()), ": ")
	if errors.Is(err, context.DeadlineExceeded) {
		message, found = "there was no answer in time ("+message+")", false
	}
	if !found {
		return wrong(message)
	}
	return wrong(message, remedy)
}

// unlessInSync makes a failure a doubt where the worker's own sync works.
func (f finding) unlessInSync(inSync bool) finding {
	if f.Result == isWrong && inSync {
		f.Result = isDoubtful
		f.Message += "; the sync works, so the worker has it from elsewhere"
	}
	return f
}

// marks are what a finding's line begins with, for people and for what reads from a pipe.
var marks = map[verdict]struct{ colour, sign, word string }{
	isRight:    {green, "✓", "ok  "},
	isDoubtful: {yellow, "!", "warn"},
	isWrong:    {red, "✗", "FAIL"},
	isSkipped:  {"", "-", "skip"},
}

// finding writes a line, and the remedy beneath it.
func (t *terminal) finding(f finding) {
	mark, indent := marks[f.Result].word, "      "
	if t.outTTY {
		mark, indent = t.paint(true, marks[f.Result].colour, marks[f.Result].sign), "  "
	}
	line := fmt.Sprintf("%s %s", mark, f.Name)
	if f.Message != "" {
		line += ": " + oneLine(f.Message)
	}
	t.say("%s", line)
	for _, remedy := range f.Remedy {
		t.say("%s→ %s", indent, oneLine(remedy))
	}
}

// waitFor waits until something is done or the context ends, and says so when that takes long.
func (t *terminal) waitFor(ctx context.Context, what string, done <-chan struct{}) {
	waiting, stop := context.WithCancel(ctx)
	began, shown := time.Now(), make(chan struct{})
	go func() {
		defer close(shown)
		t.progress(waiting, func() string { return fmt.Sprintf("checking %s (%s)", what, time.Since(began).Round(time.Second)) })
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	stop()
	<-shown
}
