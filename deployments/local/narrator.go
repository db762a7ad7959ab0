package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// narrator writes the demo's story for a person to read.
type narrator struct {
	out    io.Writer
	colors bool
}

const (
	bold  = "\x1b[1m"
	dim   = "\x1b[2m"
	green = "\x1b[32m"
	red   = "\x1b[31m"
	cyan  = "\x1b[36m"
)

// newNarrator uses colors on a terminal, unless NO_COLOR says otherwise
// (https://no-color.org).
func newNarrator(out *os.File) *narrator {
	return &narrator{out: out, colors: term.IsTerminal(int(out.Fd())) && os.Getenv("NO_COLOR") == ""}
}

func (n *narrator) heading(number, of int, title string) {
	fmt.Fprintf(n.out, "\n%s\n", n.paint(bold, fmt.Sprintf("%d/%d  %s", number, of, title)))
}

// text is a paragraph of what happens and why.
func (n *narrator) text(paragraph string) {
	for line := range strings.Lines(paragraph) {
		fmt.Fprintf(n.out, "     %s\n", strings.TrimSpace(line))
	}
}

// command is one as a person would type it.
func (n *narrator) command(line string) {
	fmt.Fprintf(n.out, "\n     %s\n", n.paint(cyan, "$ "+line))
}

// output copies what a command prints, indented, and returns it.
func (n *narrator) output(from io.Reader) string {
	var all strings.Builder
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		all.WriteString(lines.Text() + "\n")
		fmt.Fprintf(n.out, "       %s\n", n.paint(dim, lines.Text()))
	}
	return all.String()
}

func (n *narrator) ok(format string, args ...any) {
	fmt.Fprintf(n.out, "     %s %s\n", n.paint(green, "✓"), fmt.Sprintf(format, args...))
}

func (n *narrator) failed(err error) {
	fmt.Fprintf(n.out, "     %s %s\n", n.paint(red, "✗"), strings.ReplaceAll(err.Error(), "\n", "\n       "))
}

func (n *narrator) paint(color, text string) string {
	if !n.colors {
		return text
	}
	return color + text + "\x1b[0m"
}
