package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"golang.org/x/term"
)

// terminal is where the command line reads from and writes to. Results go to out; progress, questions
// and errors to err, so that out can be piped.
type terminal struct {
	in       io.Reader
	out, err io.Writer
	// Whether a person sits at the stream.
	inTTY, outTTY, errTTY bool
	plain                 bool // no colours, not even for a person (https://no-color.org)
	draws                 bool // out can be drawn over
}

func newTerminal(in io.Reader, out, err io.Writer) *terminal {
	dumb := os.Getenv("TERM") == "dumb"
	return &terminal{
		in: in, out: out, err: err,
		inTTY: isTTY(in), outTTY: isTTY(out), errTTY: isTTY(err),
		plain: os.Getenv("NO_COLOR") != "" || dumb, draws: isTTY(out) && !dumb,
	}
}

// size is that of the screen at out, in characters.
func (t *terminal) size() (width, height int, err error) {
	file, ok := t.out.(*os.File)
	if !ok {
		return 0, 0, errors.New("not a screen")
	}
	return term.GetSize(int(file.Fd()))
}

func isTTY(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// say writes a line of the result.
func (t *terminal) say(format string, args ...any) {
	fmt.Fprintf(t.out, format+"\n", args...)
}

// note writes a line beside the result.
func (t *terminal) note(format string, args ...any) {
	fmt.Fprintf(t.err, format+"\n", args...)
}

// Colours, as the codes of ECMA-48.
const (
	green  = "32"
	yellow = "33"
	red    = "31"
	cyan   = "36"
	bold   = "1"
)

func (t *terminal) paint(tty bool, colour, text string) string {
	if !tty || t.plain || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// passed, warned and missed are the lines of a check.
func (t *terminal) passed(name, detail string) { t.mark(green, "✓", name, detail) }
func (t *terminal) warned(name, detail string) { t.mark(yellow, "!", name, detail) }
func (t *terminal) missed(name string)         { t.mark(red, "✗", name, "") }

func (t *terminal) mark(colour, sign, name, detail string) {
	line := t.paint(t.errTTY, colour, sign) + " " + name
	if detail != "" {
		line += ": " + oneLine(detail)
	}
	t.note("%s", line)
}

const (
	// quietTime is how long waiting needs no explanation.
	quietTime = 2 * time.Second
	// For a person the line is renewed often; a log gets one now and then.
	progressForTTY  = time.Second
	progressForPipe = 10 * time.Second
)

// progress tells, until the context ends, that something is still going on: line says what.
func (t *terminal) progress(ctx context.Context, line func() string) {
	next := time.NewTimer(quietTime)
	defer next.Stop()
	said := false
	for {
		select {
		case <-ctx.Done():
			if said && t.errTTY {
				fmt.Fprint(t.err, "\r\x1b[K")
			}
			return
		case <-next.C:
		}
		text := line()
		if ctx.Err() != nil {
			continue
		}
		if t.errTTY {
			fmt.Fprintf(t.err, "\r\x1b[K%s", text)
			next.Reset(progressForTTY)
		} else {
			t.note("%s", text)
			next.Reset(progressForPipe)
		}
		said = true
	}
}

// ask puts a question that only a clear yes answers.
func (t *terminal) ask(ctx context.Context, question string) (bool, error) {
	fmt.Fprintf(t.err, "%s [y/N] ", question)
	line, err := await(ctx, func() (string, error) { return bufio.NewReader(t.in).ReadString('\n') })
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes", nil
}

// askSecret reads a line from the person at in without showing it.
func (t *terminal) askSecret(ctx context.Context, prompt string) ([]byte, error) {
	fd := int(t.in.(*os.File).Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	fmt.Fprint(t.err, prompt)
	secret, err := await(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	fmt.Fprintln(t.err)
	// After an interruption the reader is still there and the echo still off.
	_ = term.Restore(fd, before)
	return secret, err
}

// await makes reading from a stream end with the context. A reader that nobody waits for any more ends
// with the process.
func await[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := read()
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// oneLine makes text from outside fit to be printed: a name or a message from a cluster or a server must
// not move the cursor or forge another line.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// printable is a line of a text from outside as it is, without what would control the terminal.
func printable(line string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, line)
}

// short is a revision as people read it.
func short(revision string) string { return revision[:min(len(revision), 12)] }
