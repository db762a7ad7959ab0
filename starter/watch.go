package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// watchInterval is the time between two looks.
const watchInterval = 2 * time.Second

// watch shows the status until the context ends, which is no failure. A person sees it drawn again and
// again in place; a pipe gets a line whenever something has changed. A worker that goes away is shown and
// waited for, and so is Temporal once it has answered; an enrolment that goes away ends the watch.
func watch(ctx context.Context, t *terminal, r *registry, cluster string, output format) error {
	ticks := time.NewTicker(watchInterval)
	defer ticks.Stop()
	for last, away := "", false; ; {
		status, err := r.status(ctx, cluster)
		if ctx.Err() != nil {
			return nil
		}
		var (
			nobody *noWorkerError
			down   *temporalDownError
			now    = changeKey(status)
		)
		switch {
		case last != "" && errors.As(err, &down):
			if !away {
				t.note("%s; this waits for it", err)
			}
			away = true
		case err != nil && !errors.As(err, &nobody):
			return err
		case t.draws && output == table:
			t.redraw(status)
			last, away = now, false
		case now != last || away:
			last, away = now, false
			if err := t.changeLine(output, status); err != nil {
				return err
			}
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// redraw writes over what it wrote before. Clearing line by line instead of the whole screen first keeps
// the picture from flickering.
func (t *terminal) redraw(s workflows.Status) {
	const home, clearLine, clearRest = "\x1b[H", "\x1b[K\n", "\x1b[J"
	page := fmt.Sprintf("%s  (every %s, Ctrl-C ends)\n\n%s", time.Now().Format(time.TimeOnly), watchInterval, t.statusTable(s))
	if width, height, err := t.size(); err == nil {
		page = fit(page, width, height)
	}
	fmt.Fprint(t.out, home+strings.ReplaceAll(page, "\n", clearLine)+clearRest)
}

// fit leaves out the end of a page that the screen has no room for: the screen would scroll, and the next picture
// be drawn over another one.
func fit(page string, width, height int) string {
	room := height - 2 // the cursor's line, and that of the dots
	var kept strings.Builder
	for line := range strings.Lines(page) {
		wide := utf8.RuneCountInString(controls.ReplaceAllString(strings.TrimSuffix(line, "\n"), ""))
		if room -= max((wide+width-1)/max(width, 1), 1); room < 0 {
			return kept.String() + "…\n"
		}
		kept.WriteString(line)
	}
	return kept.String()
}

// controls are the colours.
var controls = regexp.MustCompile("\x1b\\[[0-9;]*m")

// changeKey is equal for two statuses that tell the same, but for clocks and counters.
func changeKey(s workflows.Status) string {
	s.LastSyncTime, s.LagSeconds, s.Ticks = nil, 0, 0
	text, _ := json.Marshal(s) // a Status has nothing that can't be marshalled
	return string(text)
}

// changeLine writes a status as one line.
func (t *terminal) changeLine(output format, s workflows.Status) error {
	switch output {
	case jsonForm:
		encoder := json.NewEncoder(t.out)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(s)
	case yamlForm:
		fmt.Fprintln(t.out, "---")
		return encode(t.out, yamlForm, s)
	}
	t.say("%s  %s  %s (%s)  revision %s  lag %s  %d objects  %d failed  %s", time.Now().Format(time.DateTime), s.Strategy, s.State,
		oneLine(s.Reason), orDash(short(s.Revision)), lag(s), s.Objects, s.FailedCount, oneLine(s.Message))
	return nil
}
