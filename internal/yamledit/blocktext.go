package yamledit

import (
	"slices"
	"strconv"
	"strings"
)

// fitsBlock tells whether text can be written as a block scalar.
func fitsBlock(s string) bool {
	return strings.Trim(s, "\n \t") != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !printable(r) && r != '\n' && r != '\t' && !(r > 0xffff && r < 0x110000)
	})
}

// startsIndented: the indentation can't be told from the first line.
func startsIndented(s string) bool {
	return strings.HasPrefix(s, " ") || strings.HasPrefix(s, "\t") || strings.HasPrefix(s, "\n")
}

func literalHeader(s string, digit int, explicit bool) string {
	return "|" + indicators(s, digit, explicit)
}

// indicators say the indentation and what becomes of the line breaks at the end.
func indicators(s string, digit int, explicit bool) string {
	out := ""
	if explicit {
		out = strconv.Itoa(digit)
	}
	switch {
	case !strings.HasSuffix(s, "\n"):
		return out + "-"
	case strings.HasSuffix(s, "\n\n"):
		return out + "+"
	}
	return out
}

// literalLines are the lines, each with a line break before it.
func literalLines(s string, indent int) string {
	var out strings.Builder
	for line := range strings.SplitSeq(strings.TrimSuffix(s, "\n"), "\n") {
		out.WriteByte('\n')
		if line != "" {
			out.WriteString(strings.Repeat(" ", indent))
			out.WriteString(line)
		}
	}
	return out.String()
}

// changeBlock writes text into a block scalar that has other text: the lines that both have are left as they
// are. False where it doesn't fit.
func (e *editor) changeBlock(c slot, n *node, old, want string) bool {
	explicit := n.lines.explicit || startsIndented(want)
	digit := n.lines.indent - max(c.indent, 0)
	if e.mode.quoted || !fitsBlock(want) || explicit && (digit < 1 || digit > 9) || n.lines.body > n.end {
		return false
	}
	raw := strings.Split(strings.ReplaceAll(string(e.text[n.lines.body:n.end]), "\r\n", "\n"), "\n")
	header, lines := "|", literalText(raw, old, want, n.lines.indent)
	if n.style == folded {
		if folds, ok := foldedText(raw, old, want, n.lines.indent); ok {
			header, lines = ">", folds
		}
	}
	header += indicators(want, digit, explicit)
	if header != string(e.text[n.content:n.lines.header]) {
		e.replaceText(n.content, n.lines.header, header)
	}
	body := strings.Join(lines, "\n")
	if n.end == len(e.text) && strings.HasSuffix(want, "\n") {
		body += "\n" // without it the value wouldn't have one either
	}
	e.replaceText(n.lines.body, n.end, body)
	return true
}

// literalText keeps the raw lines at both ends of which the text is the same.
func literalText(raw []string, old, want string, indent int) []string {
	from := strings.Split(strings.TrimSuffix(old, "\n"), "\n")
	to := strings.Split(strings.TrimSuffix(want, "\n"), "\n")
	fresh := strings.Split(literalLines(want, indent), "\n")[1:]
	if len(from) != len(raw) {
		return fresh
	}
	return keepEnds(raw, from, to, fresh)
}

// keepEnds puts fresh lines between the raw ones of the common beginning and end of two texts.
func keepEnds(raw, from, to, fresh []string) []string {
	begin := 0
	for begin < min(len(from), len(to)) && from[begin] == to[begin] {
		begin++
	}
	end := 0
	for end < min(len(from), len(to))-begin && from[len(from)-1-end] == to[len(to)-1-end] {
		end++
	}
	return slices.Concat(raw[:begin], fresh[begin:len(fresh)-end], raw[len(raw)-end:])
}

// foldedText does the same for a text whose lines are folded: each of its lines is a paragraph in the file.
// False where there are lines that aren't folded.
func foldedText(raw []string, old, want string, indent int) ([]string, bool) {
	from := strings.Split(strings.TrimSuffix(old, "\n"), "\n")
	to := strings.Split(strings.TrimSuffix(want, "\n"), "\n")
	var paragraphs, current []string
	for _, line := range raw {
		if strings.TrimSpace(line) == "" {
			paragraphs, current = append(paragraphs, strings.Join(current, "\n")), nil
			continue
		}
		current = append(current, line)
	}
	paragraphs = append(paragraphs, strings.Join(current, "\n"))
	var fresh []string
	for _, line := range to {
		if line == "" || strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
			return nil, false
		}
		fresh = append(fresh, strings.Repeat(" ", indent)+line)
	}
	if len(paragraphs) == len(from) {
		fresh = keepEnds(paragraphs, from, to, fresh)
	}
	return strings.Split(strings.Join(fresh, "\n\n"), "\n"), true
}
