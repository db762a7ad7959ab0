// Package progress tells a person what several things that start at once are
// doing: redrawn lines on a terminal, otherwise a line whenever something
// changes and at least every five seconds.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

const (
	redrawEvery = 500 * time.Millisecond // on a terminal
	repeatEvery = 5 * time.Second        // elsewhere
)

// Board shows a number of parts. Its methods and those of its parts may be
// called from any goroutine.
type Board struct {
	out   io.Writer
	width int // of the terminal, 0 when out is none
	stop  chan struct{}
	ended sync.WaitGroup

	mu    sync.Mutex
	parts []*Part // those still at work
	drawn int     // lines of them now on the terminal
}

// Part is one thing that is being started.
type Part struct {
	board *Board
	name  string
	since time.Time
	step  string
	told  time.Time // when its line was last written; not on a terminal
}

// New shows parts on out until Close.
func New(out io.Writer) *Board {
	b := &Board{out: out, stop: make(chan struct{})}
	every := time.Second
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		b.width, every = 80, redrawEvery
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			b.width = width
		}
	}
	b.ended.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-b.stop:
				return
			case <-tick.C:
				b.refresh()
			}
		}
	})
	return b
}

// Close ends the display; what is still at work is no longer shown.
func (b *Board) Close() {
	close(b.stop)
	b.ended.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.erase()
	b.parts = nil
}

// Part adds a part, which is shown from its first Step on.
func (b *Board) Part(name string) *Part {
	return &Part{board: b, name: name, since: time.Now()}
}

// Step says what the part is doing now.
func (p *Part) Step(format string, args ...any) {
	p.board.update(p, fmt.Sprintf(format, args...))
}

// Note says something that is worth to stay on the screen.
func (p *Part) Note(format string, args ...any) {
	p.board.note(p, fmt.Sprintf(format, args...))
}

// Done says what became of the part and shows it for good.
func (p *Part) Done(format string, args ...any) {
	p.board.finish(p, fmt.Sprintf(format, args...))
}

func (b *Board) update(p *Part, step string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.step == step {
		return
	}
	if p.step == "" {
		b.parts = append(b.parts, p)
	}
	p.step = step
	if b.width > 0 {
		b.redraw()
		return
	}
	// A build names a package many times a second; a log needs one now and then.
	if time.Since(p.told) >= time.Second {
		b.tell(p)
	}
}

func (b *Board) finish(p *Part, result string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.erase()
	for i, part := range b.parts {
		if part == p {
			b.parts = append(b.parts[:i:i], b.parts[i+1:]...)
			break
		}
	}
	p.step = result
	fmt.Fprintln(b.out, p.line())
	if b.width > 0 {
		b.redraw()
	}
}

func (b *Board) note(p *Part, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.erase()
	fmt.Fprintln(b.out, p.lineWith(text))
	if b.width > 0 {
		b.redraw()
	}
}

func (b *Board) refresh() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.width > 0 {
		b.redraw()
		return
	}
	for _, p := range b.parts {
		if time.Since(p.told) >= repeatEvery {
			b.tell(p)
		}
	}
}

func (b *Board) tell(p *Part) {
	p.told = time.Now()
	fmt.Fprintln(b.out, p.line())
}

func (b *Board) redraw() {
	b.erase()
	for _, p := range b.parts {
		line := []rune(p.line())
		// A wrapped line would take two, and erase counts one each.
		fmt.Fprintln(b.out, string(line[:min(len(line), b.width-1)]))
	}
	b.drawn = len(b.parts)
}

func (b *Board) erase() {
	if b.drawn > 0 {
		fmt.Fprintf(b.out, "\x1b[%dA\x1b[J", b.drawn)
		b.drawn = 0
	}
}

func (p *Part) line() string { return p.lineWith(p.step) }

func (p *Part) lineWith(text string) string {
	elapsed := time.Since(p.since)
	precision := 100 * time.Millisecond
	if elapsed > 10*time.Second {
		precision = time.Second
	}
	text = strings.ReplaceAll(text, "\n", " ")
	return fmt.Sprintf("  %-16s %s (%s)", p.name, text, elapsed.Round(precision))
}
