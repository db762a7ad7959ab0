package yamledit

import (
	"bytes"
	"unicode/utf8"
)

// A parser tells where a value begins. Where it ends is found here.

func endOfDouble(text []byte, at int) int {
	for i := at + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

func endOfSingle(text []byte, at int) int {
	for i := at + 1; i < len(text); i++ {
		if text[i] != '\'' {
			continue
		}
		if i+1 < len(text) && text[i+1] == '\'' {
			i++
			continue
		}
		return i + 1
	}
	return len(text)
}

// endOfPlain follows the value through the text: they only differ in the white space at which lines were folded.
func endOfPlain(text []byte, at int, value string) (int, bool) {
	end := at
	for _, r := range value {
		if isSpace(r) {
			continue
		}
		for at < len(text) {
			c, size := utf8.DecodeRune(text[at:])
			if !isSpace(c) {
				break
			}
			at += size
		}
		if at >= len(text) {
			return 0, false
		}
		c, size := utf8.DecodeRune(text[at:])
		if c != r {
			return 0, false
		}
		at += size
		end = at
	}
	return end, true
}

func isSpace(r rune) bool {
	switch r {
	case ' ', '\t', '\n', '\r', '\u0085', '\u2028', '\u2029':
		return true
	}
	return false
}

// endOfBlock finds the layout and the end of a block scalar in a collection of the given column.
func endOfBlock(text []byte, at, column int) (blockLines, int) {
	var lines blockLines
	i, keep := at+1, false
	for ; i < len(text) && !isSpace(rune(text[i])); i++ {
		switch c := text[i]; {
		case c == '+':
			keep = true
		case c >= '1' && c <= '9':
			lines.explicit, lines.indent = true, column+int(c-'0')
		}
	}
	lines.header = i
	end := lineEnd(text, i)
	lines.body = nextLine(text, i)
	if !lines.explicit {
		lines.indent = firstIndent(text, lines.body, column)
	}
	for line := lines.body; line < len(text); line = nextLine(text, line) {
		spaces := len(leading(text, line))
		blank := line+spaces == lineEnd(text, line)
		switch {
		case blank && (spaces > lines.indent || keep), !blank && spaces >= lines.indent:
			end = lineEnd(text, line)
		case !blank:
			return lines, end
		}
	}
	return lines, end
}

// firstIndent is that of the first line which isn't blank, if it is deeper than the collection.
func firstIndent(text []byte, line, column int) int {
	for ; line < len(text); line = nextLine(text, line) {
		spaces := len(leading(text, line))
		if line+spaces != lineEnd(text, line) {
			if spaces > column {
				return spaces
			}
			break
		}
	}
	return column + 2
}

// skipProperties passes anchor and tag, and then what is before the value.
func skipProperties(text []byte, at int) (properties, content int) {
	for at < len(text) && (text[at] == '&' || text[at] == '!') {
		for at < len(text) && !isSpace(rune(text[at])) && text[at] != ',' && text[at] != ']' && text[at] != '}' {
			at++
		}
		properties = at
		at = skipSpace(text, at)
	}
	return properties, at
}

// skipSpace passes white space, line breaks and comments.
func skipSpace(text []byte, at int) int {
	for at < len(text) {
		r, size := utf8.DecodeRune(text[at:])
		switch {
		case isSpace(r):
			at += size
		case r == '#':
			at = lineEnd(text, at)
		default:
			return at
		}
	}
	return at
}

func skipBlanks(text []byte, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t') {
		at++
	}
	return at
}

// markedExplicit: the key stands after a question mark.
func markedExplicit(text []byte, at int) bool {
	for at--; at >= 0 && (text[at] == ' ' || text[at] == '\t'); at-- {
	}
	return at >= 0 && text[at] == '?'
}

func lineStart(text []byte, at int) int {
	return bytes.LastIndexByte(text[:at], '\n') + 1
}

// lineEnd is where the line's text ends, before its break.
func lineEnd(text []byte, at int) int {
	end := len(text)
	if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
		end = at + i
	}
	if end > at && text[end-1] == '\r' {
		end--
	}
	return end
}

func nextLine(text []byte, at int) int {
	if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(text)
}

// leading is the indentation of the line that begins there.
func leading(text []byte, line int) []byte {
	i := line
	for i < len(text) && text[i] == ' ' {
		i++
	}
	return text[line:i]
}

func columnOf(text []byte, at int) int {
	return utf8.RuneCount(text[lineStart(text, at):at])
}

// ownLine: nothing but indentation stands before this place in its line.
func ownLine(text []byte, at int) bool {
	start := lineStart(text, at)
	return start+len(leading(text, start)) == at
}
