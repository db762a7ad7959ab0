package workflows

import (
	"strings"
	"unicode"
)

// The Web UI renders Markdown with tables and makes links of bare addresses; raw HTML passes, and "--flag" becomes a
// dash. So text from outside is either escaped or put into code spans, where nothing of that happens.

// prose is text from outside within a sentence or a cell, at most so many runes of it. What it has in backticks, and
// words like addresses, paths and flags, are code.
func prose(text string, limit int) string {
	var out strings.Builder
	pieces := strings.Split(oneLine(text, limit), "`")
	for i, piece := range pieces {
		closed := i%2 == 1 && i+1 < len(pieces)
		switch {
		case closed && strings.TrimSpace(piece) != "":
			out.WriteString(code(piece, limit))
		case closed: // with nothing in it
			out.WriteString("\\`\\`")
		case i%2 == 1: // the backtick before it has no counterpart
			out.WriteString("\\`" + words(piece))
		default:
			out.WriteString(words(piece))
		}
	}
	return strings.Join(strings.Fields(out.String()), " ") // two spaces can mean a line break
}

// words escapes what stands outside of backticks.
func words(text string) string {
	list := strings.Split(text, " ")
	for i, word := range list {
		if bare := strings.TrimRight(word, ".,:;!?)"); bare != "" && verbatim(word) {
			list[i] = code(bare, len(bare)) + escape(word[len(bare):])
		} else {
			list[i] = escape(word)
		}
	}
	return strings.Join(list, " ")
}

// verbatim tells of words that a renderer would make a link of, or change.
func verbatim(word string) bool {
	lower := strings.ToLower(word)
	return strings.ContainsAny(word, "/@") || strings.Contains(word, "--") ||
		strings.Contains(lower, "www.") || strings.Contains(lower, "mailto:")
}

// code is text from outside in a code span. It can't hold a backtick, nor what would end a table's cell.
func code(text string, limit int) string {
	text = strings.NewReplacer("`", "'", "|", "¦").Replace(oneLine(text, limit))
	if text == "" {
		return "–"
	}
	return "`" + text + "`"
}

// escape makes every character of a word stand for itself.
func escape(word string) string {
	var out strings.Builder
	for _, r := range word {
		if strings.ContainsRune("\\`*_{}[]()<>#+!|~^$&", r) {
			out.WriteByte('\\')
		}
		out.WriteRune(r)
	}
	return out.String()
}

// oneLine takes out what can't be seen or breaks lines, and all beyond so many runes.
func oneLine(text string, limit int) string {
	visible := func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}
	text = strings.Join(strings.Fields(strings.Map(visible, text)), " ")
	if runes := []rune(text); len(runes) > limit {
		return strings.TrimSpace(string(runes[:limit])) + "…"
	}
	return text
}

// link leads to a page whose address has no character that means something in Markdown. Without one it is the text.
func link(text, page string) string {
	if page == "" {
		return text
	}
	return "[" + text + "](" + page + ")"
}
