package manifest

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// emitter writes the YAML of objects that hold nothing unusual, which is nearly all of them, in less than a tenth
// of the library's time: each object that is exported, applied or compared is encoded. What it isn't sure of it
// leaves to the library, whose bytes are the ones that count: TestTheEmitterWritesWhatTheLibraryDoes.
type emitter struct{ out []byte }

// emitted are texts that objects were written to, for the next ones.
var emitted = sync.Pool{New: func() any { return new(emitter) }}

// emit is the content of an object's file; false where the library has to write it.
func emit(object map[string]any) ([]byte, bool) {
	e := emitted.Get().(*emitter)
	defer emitted.Put(e)
	e.out = e.out[:0]
	if len(object) == 0 || !e.mapping(object, 0) {
		return nil, false
	}
	return bytes.Clone(e.out), true
}

// further is how much further in a mapping in a mapping begins.
const further = 2

// maxKey is the length up to which a key is written before its value without a question mark.
const maxKey = 128

// mapping is written from where the line is; further lines begin at the indentation.
func (e *emitter) mapping(fields map[string]any, indent int) bool {
	keys := make([]string, 0, len(fields))
	for key := range fields {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for i, key := range keys {
		if i > 0 {
			e.indent(indent)
		}
		if key == mergeKey || len(key) > maxKey || !printable(key) || !e.line(key, unfolded) {
			return false
		}
		e.out = append(e.out, ':')
		if !e.field(fields[key], indent) {
			return false
		}
	}
	return true
}

// field is the value of a key.
func (e *emitter) field(value any, indent int) bool {
	switch v := value.(type) {
	case map[string]any:
		if len(v) > 0 {
			e.out = append(e.out, '\n')
			e.indent(indent + further)
			return e.mapping(v, indent+further)
		}
	case []any:
		if len(v) > 0 {
			e.out = append(e.out, '\n')
			e.indent(indent)
			return e.sequence(v, indent)
		}
	}
	e.out = append(e.out, ' ')
	return e.scalar(value, indent+further)
}

// sequence is written from where the line is; further items begin at the indentation.
func (e *emitter) sequence(items []any, indent int) bool {
	for i, item := range items {
		if i > 0 {
			e.indent(indent)
		}
		e.out = append(e.out, '-', ' ')
		if !e.item(item, indent+further) {
			return false
		}
	}
	return true
}

func (e *emitter) item(value any, indent int) bool {
	switch v := value.(type) {
	case map[string]any:
		if len(v) > 0 {
			return e.mapping(v, indent)
		}
	case []any:
		if len(v) > 0 {
			return e.sequence(v, indent)
		}
	}
	return e.scalar(value, indent)
}

// scalar is a value behind what it is the value of; further lines begin at the indentation.
func (e *emitter) scalar(value any, indent int) bool {
	switch v := value.(type) {
	case map[string]any:
		e.out = append(e.out, emptyOr(v == nil, "{}")...)
	case []any:
		e.out = append(e.out, emptyOr(v == nil, "[]")...)
	case nil:
		e.out = append(e.out, "null"...)
	case bool:
		e.out = strconv.AppendBool(e.out, v)
	case int64:
		e.out = strconv.AppendInt(e.out, v, 10)
	case float64:
		if !e.float(v) {
			return false
		}
	case string:
		return e.text(v, indent)
	default:
		return false
	}
	e.out = append(e.out, '\n')
	return true
}

func emptyOr(null bool, empty string) string {
	if null {
		return "null"
	}
	return empty
}

func (e *emitter) float(f float64) bool {
	number, err := canonicalFloat(f)
	switch n := number.(type) {
	case int64:
		e.out = strconv.AppendInt(e.out, n, 10)
	case uint64:
		e.out = strconv.AppendUint(e.out, n, 10)
	case float64:
		e.out = strconv.AppendFloat(e.out, n, 'g', -1, 64)
	}
	return err == nil
}

// text of any number of lines.
func (e *emitter) text(text string, indent int) bool {
	known, escaped := needsEscapes(text)
	switch {
	case !known:
		return false
	case escaped:
		e.escaped(text, indent)
	case strings.IndexByte(text, '\n') >= 0:
		return e.literal(text, indent)
	case !e.line(text, indent):
		return false
	}
	e.out = append(e.out, '\n')
	return true
}

// line is a text without a line break, of characters that are written as they are.
func (e *emitter) line(text string, indent int) bool {
	switch another, sure := anotherType(text); {
	case !sure:
		return false
	case another: // which is short
		e.out = append(e.out, '"')
		e.out = append(e.out, text...)
		e.out = append(e.out, '"')
	case indicates(text):
		e.out = append(e.out, '\'')
		e.folded(strings.ReplaceAll(text, "'", "''"), indent)
		e.out = append(e.out, '\'')
	default:
		e.folded(text, indent)
	}
	return true
}

// A line that is longer than foldBehind goes on below at its next space.
const (
	foldBehind = 80
	unfolded   = -1 // instead of an indentation: keys stay on their line
)

// folded is a text with line breaks in place of the spaces between two words, where it is long.
func (e *emitter) folded(text string, indent int) {
	column := e.column()
	if indent == unfolded || column+len(text) <= foldBehind {
		e.out = append(e.out, text...)
		return
	}
	for i := range len(text) {
		if column > foldBehind && endsWord(text, i) && text[i+1] != ' ' {
			column = e.newLine(indent)
			continue
		}
		e.out = append(e.out, text[i])
		column++
	}
}

// escaped is a text in double quotes.
func (e *emitter) escaped(text string, indent int) {
	e.out = append(e.out, '"')
	column := e.column()
	for i := range len(text) {
		c := text[i]
		escape := escapes[c]
		switch {
		case column > foldBehind && endsWord(text, i):
			column = e.newLine(indent)
			if text[i+1] != ' ' {
				continue
			}
			c = '\\' // before the next space, which would belong to the indentation
		case escape != 0:
			e.out = append(e.out, '\\')
			c = escape
			column++
		}
		e.out = append(e.out, c)
		column++
	}
	e.out = append(e.out, '"')
}

// endsWord: there is the first space behind a word, and it isn't the last character.
func endsWord(text string, i int) bool {
	return text[i] == ' ' && i > 0 && text[i-1] != ' ' && i+1 < len(text)
}

// column is the number of characters on the line.
func (e *emitter) column() int { return len(e.out) - 1 - bytes.LastIndexByte(e.out, '\n') }

// newLine answers with the column that it begins at.
func (e *emitter) newLine(indent int) int {
	e.out = append(e.out, '\n')
	e.indent(indent)
	return indent
}

// literal is a text of several lines: not one that begins with white space or ends in more than one line break.
func (e *emitter) literal(text string, indent int) bool {
	body, ended := strings.CutSuffix(text, "\n")
	if body == "" || body[0] == ' ' || body[0] == '\n' || body[len(body)-1] == '\n' {
		return false
	}
	e.out = append(e.out, '|')
	if !ended {
		e.out = append(e.out, '-')
	}
	e.out = append(e.out, '\n')
	for line := range strings.SplitSeq(body, "\n") {
		if line != "" {
			e.indent(indent)
			e.out = append(e.out, line...)
		}
		e.out = append(e.out, '\n')
	}
	return true
}

func (e *emitter) indent(columns int) {
	for range columns {
		e.out = append(e.out, ' ')
	}
}

// escapes are the characters that are known with a backslash before them, and how they are written then.
var escapes = [256]byte{'\n': 'n', '\t': 't', '\r': 'r', '"': '"', '\\': '\\'}

// needsEscapes: known are printable characters of ASCII, tabs and the ends of lines. Escapes are needed where a text
// has others than \n of these, or a space at the end of a line, which nobody would see.
func needsEscapes(text string) (known, needed bool) {
	lines := false
	for i := range len(text) {
		switch c := text[i]; {
		case c == '\n':
			lines = true
			needed = needed || i > 0 && text[i-1] == ' '
		case c == '\t', c == '\r':
			needed = true
		case c < ' ' || c > '~':
			return false, false
		}
	}
	return true, needed || lines && text[len(text)-1] == ' '
}

// printable: there are only characters of ASCII that are written as they are.
func printable(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// anotherType: without quotes YAML 1.1 would take the text for a number, a boolean, null or a date.
func anotherType(text string) (another, sure bool) {
	if text == "" {
		return true, true
	}
	switch c := text[0]; {
	case c >= '0' && c <= '9', c == '+', c == '-', c == '.':
		return number(text)
	default:
		return slices.Contains(words, text), true
	}
}

// words of YAML 1.1 that aren't strings.
var words = []string{
	"y", "Y", "yes", "Yes", "YES", "n", "N", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF",
	"true", "True", "TRUE", "false", "False", "FALSE", "~", "null", "Null", "NULL",
}

// number: something that begins like a number is one, or a date. Sure are those that consist of digits, times as the
// API has them, and those that have something in them that no number and no date has, like quantities and IP
// addresses.
func number(text string) (is, sure bool) {
	digits, dots := 0, 0
	for i := range len(text) {
		switch c := text[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c == '.':
			dots++
		case strings.IndexByte(numeric, c) < 0 && !slices.Contains(infinities, text):
			return false, true
		}
	}
	const certain = 18 // digits fit into a number, whatever they are
	if _, err := time.Parse(time.RFC3339, text); err == nil {
		return true, true
	}
	switch {
	case digits+dots < len(text) || digits == 0 || len(text) > certain:
		return false, false
	case dots > 1:
		return false, true
	}
	return true, true
}

// numeric are the characters that numbers and dates can have beside digits and dots.
const numeric = "abcdefABCDEFoOxX_+-:tTzZ "

// infinities, and what is none, begin like a number and have other letters.
var infinities = []string{".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF"}

// indicates: without quotes YAML would take something in the text for its own.
func indicates(text string) bool {
	if text[0] == ' ' || text[len(text)-1] == ' ' || strings.HasPrefix(text, "---") || strings.HasPrefix(text, "...") ||
		strings.IndexByte(`#,[]{}&*!|>'"%@`+"`", text[0]) >= 0 {
		return true
	}
	for i := range len(text) {
		switch ends := i+1 == len(text) || text[i+1] == ' '; text[i] {
		case ':':
			if ends {
				return true
			}
		case '?', '-':
			if i == 0 && ends {
				return true
			}
		case '#':
			if text[i-1] == ' ' {
				return true
			}
		}
	}
	return false
}
