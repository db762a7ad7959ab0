package manifest

import (
	"strconv"
	"strings"
)

// readCanonical reads a document that is as Encode writes it, which takes a fraction of the time that a parser of
// all of YAML does; false for any other. It needn't be sure of anything that it reads: whatever encodes to the same
// text is what the text says.
func readCanonical(text []byte) (map[string]any, bool) {
	r := reader{rest: string(text)}
	object, ok := r.mapping(0)
	if !ok || r.rest != "" {
		return nil, false
	}
	again, ok := emit(object)
	return object, ok && string(again) == string(text)
}

// reader is at a place in a document.
type reader struct {
	rest  string
	depth int
}

// maxNested is how deep a document is read by recursion; manifests have about a dozen levels.
const maxNested = 100

func (r *reader) enter() (leave func(), ok bool) {
	r.depth++
	return func() { r.depth-- }, r.depth < maxNested
}

// mapping begins here, its further lines at the indentation.
func (r *reader) mapping(indent int) (map[string]any, bool) {
	leave, ok := r.enter()
	defer leave()
	fields := map[string]any{}
	for ok {
		var key string
		if key, ok = r.key(); !ok {
			break
		}
		if fields[key], ok = r.field(indent); !ok {
			break
		}
		if r.rest == "" || r.indentation() != indent || strings.HasPrefix(r.rest[indent:], "- ") {
			return fields, true
		}
		r.rest = r.rest[indent:]
	}
	return nil, false
}

// key goes past a key and its colon.
func (r *reader) key() (string, bool) {
	if r.rest == "" {
		return "", false
	}
	end, key := 0, ""
	switch quote := r.rest[0]; quote {
	case '"', '\'':
		if end = r.closing(quote); end < 0 {
			return "", false
		}
		key = unquote(r.rest[:end])
	default:
		for end = 0; ; end++ {
			if end+1 >= len(r.rest) || r.rest[end] == '\n' {
				return "", false
			}
			if r.rest[end] == ':' && (r.rest[end+1] == ' ' || r.rest[end+1] == '\n') {
				break
			}
		}
		key = strings.Clone(r.rest[:end])
	}
	after, ok := strings.CutPrefix(r.rest[end:], ":")
	if ok {
		r.rest = after
	}
	return key, ok
}

// closing is where a text in quotes ends that begins here, behind the quote; -1 for a text that doesn't end on the
// line.
func (r *reader) closing(quote byte) int {
	for i := 1; i < len(r.rest) && r.rest[i] != '\n'; i++ {
		if r.rest[i] != quote {
			continue
		}
		if quote == '\'' && i+1 < len(r.rest) && r.rest[i+1] == quote {
			i++
			continue
		}
		return i + 1
	}
	return -1
}

// unquote takes the quotes off. What stands behind a backslash that Encode doesn't write stays as it is, and is found
// out.
func unquote(text string) string {
	inner := text[1 : len(text)-1]
	switch {
	case text[0] == '\'':
		return strings.ReplaceAll(strings.Clone(inner), "''", "'")
	case strings.IndexByte(inner, '\\') < 0:
		return strings.Clone(inner)
	}
	return unescaper.Replace(inner)
}

// unescaper undoes escapes, and what escaped writes before a space that begins a line.
var unescaper = func() *strings.Replacer {
	pairs := []string{`\ `, " "}
	for c, escape := range escapes {
		if escape != 0 {
			pairs = append(pairs, `\`+string(rune(escape)), string(rune(c)))
		}
	}
	return strings.NewReplacer(pairs...)
}()

// field is the value behind a colon, of a mapping at the indentation.
func (r *reader) field(indent int) (any, bool) {
	if inline, ok := strings.CutPrefix(r.rest, " "); ok {
		r.rest = inline
		return r.scalar(indent + further)
	}
	below, ok := strings.CutPrefix(r.rest, "\n")
	if !ok {
		return nil, false
	}
	r.rest = below
	switch n := r.indentation(); {
	case n == indent && strings.HasPrefix(r.rest[n:], "- "):
		r.rest = r.rest[n:]
		return r.sequence(indent)
	case n == indent+further:
		r.rest = r.rest[n:]
		return r.mapping(n)
	}
	return nil, false
}

// sequence begins here, its further items at the indentation.
func (r *reader) sequence(indent int) (any, bool) {
	leave, ok := r.enter()
	defer leave()
	var items []any
	for ok {
		r.rest = r.rest[len("- "):]
		var item any
		if item, ok = r.item(indent + further); !ok {
			break
		}
		items = append(items, item)
		if r.indentation() != indent || !strings.HasPrefix(r.rest[indent:], "- ") {
			return items, true
		}
		r.rest = r.rest[indent:]
	}
	return nil, false
}

func (r *reader) item(indent int) (any, bool) {
	if strings.HasPrefix(r.rest, "- ") {
		return r.sequence(indent)
	}
	ahead := *r
	if _, isMapping := ahead.key(); isMapping {
		return r.mapping(indent)
	}
	return r.scalar(indent)
}

// scalar is a value behind what it is the value of; further lines begin at the indentation.
func (r *reader) scalar(indent int) (any, bool) {
	line, rest, ok := strings.Cut(r.rest, "\n")
	if !ok || line == "" {
		return nil, false
	}
	r.rest = rest
	switch line {
	case "null":
		return nil, true
	case "true", "false":
		return line == "true", true
	case "{}":
		return map[string]any{}, true
	case "[]":
		return []any{}, true
	case "|", "|-":
		return r.literal(indent, line == "|-")
	}
	switch c := line[0]; {
	case c == '"' || c == '\'':
		return r.quoted(line, indent)
	case r.rest != "" && r.indentation() == indent:
		return r.folded(line, indent), true
	case c >= '0' && c <= '9', c == '-', c == '.':
		if n, err := strconv.ParseInt(line, 10, 64); err == nil {
			return n, true
		}
		if f, err := strconv.ParseFloat(line, 64); err == nil {
			return f, true
		}
	}
	return strings.Clone(line), true
}

// quoted is a text in quotes of which the first line has been read.
func (r *reader) quoted(line string, indent int) (any, bool) {
	quote, closed := line[0], closes(line[1:], line[0])
	if closed {
		return unquote(line), true
	}
	var text strings.Builder
	text.WriteString(line)
	for !closed {
		var ok bool
		if line, ok = r.further(indent); !ok {
			return nil, false
		}
		text.WriteByte(' ')
		text.WriteString(line)
		closed = closes(line, quote)
	}
	return unquote(text.String()), true
}

// closes: the quotes at the end of the line are not all part of the text.
func closes(line string, quote byte) bool {
	before := strings.TrimRight(line, string(rune(quote)))
	quotes := len(line) - len(before)
	if quote == '\'' {
		return quotes%2 == 1
	}
	escapes := len(before) - len(strings.TrimRight(before, `\`))
	return quotes > escapes%2
}

// folded is a text without quotes of which the first line has been read.
func (r *reader) folded(line string, indent int) any {
	var text strings.Builder
	text.WriteString(line)
	for r.rest != "" && r.indentation() == indent {
		line, ok := r.further(indent)
		if !ok {
			break
		}
		text.WriteByte(' ')
		text.WriteString(line)
	}
	return text.String()
}

// further is a further line of a text.
func (r *reader) further(indent int) (string, bool) {
	line, rest, ok := strings.Cut(r.rest, "\n")
	if !ok || r.indentation() < indent || len(line) < indent {
		return "", false
	}
	r.rest = rest
	return line[indent:], true
}

// literal is a text of several lines; cut is without a line break at the end.
func (r *reader) literal(indent int, cut bool) (any, bool) {
	var text strings.Builder
	for r.rest != "" {
		line, rest, ok := strings.Cut(r.rest, "\n")
		if n := r.indentation(); !ok || line != "" && n < indent {
			break
		}
		if line != "" {
			text.WriteString(line[indent:])
		}
		text.WriteByte('\n')
		r.rest = rest
	}
	if cut {
		return strings.TrimSuffix(text.String(), "\n"), true
	}
	return text.String(), true
}

// indentation counts the spaces that stand here.
func (r *reader) indentation() int {
	return len(r.rest) - len(strings.TrimLeft(r.rest, " "))
}
