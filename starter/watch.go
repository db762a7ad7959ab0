package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// watchInterval is the time between two looks.
const watchInterval = 2 * time.Second

// watch shows the status until the context ends, which is no failure. A person sees it drawn again and
// again in place; a pipe gets a line whenever something has changed. A worker that goes away is shown and
// waited for; an enrolment that goes away ends the watch.
func watch(ctx context.Context, t *terminal, r *registry, cluster string, output format) error {
	ticks := time.NewTicker(watchInterval)
	defer ticks.Stop()
	for last := ""; ; {
		status, err := r.status(ctx, cluster)
		if ctx.Err() != nil {
			return nil
		}
		var nobody *noWorkerError
		if err != nil && !errors.As(err, &nobody) {
			return err
		}
		if t.outTTY && output == table {
			t.redraw(status)
		} else if now := changeKey(status); now != last {
			last = now
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
	fmt.Fprint(t.out, home+strings.ReplaceAll(page, "\n", clearLine)+clearRest)
}

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
