package progress

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A person who watches a log must see within seconds that work goes on.
func TestLogHasALineAtLeastEveryFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		board := New(&out)
		part := board.Part("kubernetes")
		part.Step("building")
		for range 60 {
			had := out.Len()
			time.Sleep(6 * time.Second)
			synctest.Wait()
			if out.Len() == had {
				t.Fatalf("nothing was written for 6 s after %q", out.String())
			}
		}
		part.Done("built")
		board.Close()
		if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); !strings.Contains(lines[len(lines)-1], "built (6m0s)") {
			t.Errorf("the last line is %q", lines[len(lines)-1])
		}
	})
}

func TestLogIsNotFloodedByQuickSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		board := New(&out)
		part := board.Part("kubernetes")
		for i := range 1000 {
			part.Step("compiling package %d", i)
			time.Sleep(10 * time.Millisecond)
		}
		board.Close()
		if lines := strings.Count(out.String(), "\n"); lines > 12 {
			t.Errorf("%d lines in 10 s", lines)
		}
	})
}

func TestNotesStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		board := New(&out)
		part := board.Part("binaries")
		part.Step("looking")
		part.Note("no network")
		part.Step("building")
		part.Done("ready")
		board.Close()
		for _, want := range []string{"looking", "no network", "ready"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q is missing in %q", want, out.String())
			}
		}
	})
}

func TestTerminalShowsEachPartOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		board := New(&out)
		board.width = 40
		one, two := board.Part("one"), board.Part("two")
		one.Step("starting")
		two.Step("a step whose description does not fit in one line of this terminal")
		out.Reset()
		one.Done("ready")
		drawn := out.String()
		board.Close()
		if !strings.HasPrefix(drawn, "\x1b[2A\x1b[J") {
			t.Errorf("the two lines are not erased first: %q", drawn)
		}
		lines := strings.Split(strings.TrimSpace(strings.TrimPrefix(drawn, "\x1b[2A\x1b[J")), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], "ready") || len(lines[1]) >= 40 {
			t.Errorf("drawn: %q", lines)
		}
	})
}
