package yamledit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	yamlv2 "go.yaml.in/yaml/v2"
	yamlv3 "go.yaml.in/yaml/v3"
)

// printer writes new values in the author's style.
type printer struct {
	*document
	// quoted: no text is written as a block.
	quoted bool
}

// collection writes a map or list that isn't empty. Its first line isn't indented, all others are. Keys that
// are in order come in that order and before the others.
func (p printer) collection(value any, indent int, order []string) string {
	var out strings.Builder
	lineBreak := "\n" + strings.Repeat(" ", indent)
	switch v := value.(type) {
	case map[string]any:
		for i, key := range inOrder(v, order) {
			if i > 0 {
				out.WriteString(lineBreak)
			}
			out.WriteString(p.field(key, v[key], indent))
		}
	case []any:
		for i, item := range v {
			if i > 0 {
				out.WriteString(lineBreak)
			}
			out.WriteString(p.item(item, indent, nil))
		}
	}
	return out.String()
}

func inOrder(fields map[string]any, order []string) []string {
	var keys []string
	for _, key := range order {
		if _, has := fields[key]; has {
			keys = append(keys, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// field is a key and its value in a block map of that indentation.
func (p printer) field(key string, value any, indent int) string {
	name := p.text(key, plain, true)
	if collection(value) {
		below := p.below(value, indent)
		return name + ":\n" + strings.Repeat(" ", below) + p.collection(value, below, nil)
	}
	return name + ": " + p.scalar(value, plain, indent, indent+p.unit)
}

// below is the indentation of a collection that is the value of a key.
func (p printer) below(value any, indent int) int {
	if _, list := value.([]any); list {
		return indent + p.dash
	}
	return indent + p.unit
}

// item is an item of a block list.
func (p printer) item(value any, indent int, order []string) string {
	if collection(value) {
		return "- " + p.collection(value, indent+2, order)
	}
	return "- " + p.scalar(value, plain, indent, indent+2)
}

// scalar writes what isn't a collection, text in the style given as far as it can be. Lines of a block scalar
// get the indentation given; it is said in the header where the text needs it, relative to that around.
func (p printer) scalar(value any, like style, around, indent int) string {
	s, ok := value.(string)
	if !ok {
		return p.flow(value, "")
	}
	if !p.quoted && like != single && like != double && strings.Contains(s, "\n") && fitsBlock(s) {
		if digit := indent - max(around, 0); !startsIndented(s) || digit >= 1 && digit <= 9 {
			return literalHeader(s, digit, startsIndented(s)) + literalLines(s, indent)
		}
	}
	return p.text(s, like, false)
}

// flow writes a value into one line, or, with an indentation, JSON into several.
func (p printer) flow(value any, indent string) string {
	switch v := value.(type) {
	case map[string]any:
		if len(v) == 0 {
			return "{}"
		}
		if !p.json {
			var fields []string
			for _, key := range slices.Sorted(maps.Keys(v)) {
				fields = append(fields, p.text(key, plain, true)+": "+p.flow(v[key], ""))
			}
			return "{" + strings.Join(fields, ", ") + "}"
		}
	case []any:
		if len(v) == 0 {
			return "[]"
		}
		if !p.json {
			var items []string
			for _, item := range v {
				items = append(items, p.flow(item, ""))
			}
			return "[" + strings.Join(items, ", ") + "]"
		}
	case string:
		if !p.json {
			return p.text(v, plain, true)
		}
	case float64:
		if !p.json {
			return number(v)
		}
	}
	return jsonText(value, indent, p.jsonUnit())
}

// jsonUnit is the indentation in a JSON file; none in one of a single line.
func (p printer) jsonUnit() string {
	if !p.json || len(p.root.entries) == 0 {
		return ""
	}
	first := p.root.entries[0].start
	line := lineStart(p.document.text, first)
	if line <= p.root.start {
		return ""
	}
	outer := p.document.text[lineStart(p.document.text, p.root.start):p.root.start]
	inner := p.document.text[line:first]
	return strings.TrimPrefix(string(inner), string(outer[:len(outer)-len(bytes.TrimLeft(outer, " \t"))]))
}

func jsonText(value any, prefix, unit string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if unit != "" {
		encoder.SetIndent(prefix, unit)
	}
	if err := encoder.Encode(value); err != nil {
		return "null" // the result is read again, and found to be wrong
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func number(f float64) string {
	out, err := yamlv2.Marshal(f)
	if err != nil {
		return "null"
	}
	return strings.TrimSpace(string(out))
}

// text writes text in one line: in the style given, if that can hold it.
func (p printer) text(s string, like style, tight bool) string {
	if p.json {
		return jsonText(s, "", "")
	}
	switch {
	case like == single && fitsSingle(s):
		return quoteSingle(s)
	case like == double:
		return quoteDouble(s)
	case fitsPlain(s, tight):
		return s
	case p.quote == single && fitsSingle(s):
		return quoteSingle(s)
	}
	return quoteDouble(s)
}

// fitsPlain tells whether text can stand without quotes: where both YAML 1.1 and 1.2 read it as text.
// Tight is within flow collections and for keys.
func fitsPlain(s string, tight bool) bool {
	if s == "" || s == "<<" || s == "=" || strings.ContainsFunc(s, func(r rune) bool { return !printable(r) }) || len(s) > 1024 && tight {
		return false
	}
	if tight && (strings.ContainsAny(s, ",[]{}?#&*!|>'\"%@`") || strings.Contains(s, ":")) {
		return false
	}
	if out, err := yamlv3.Marshal(s); err != nil || string(out) != s+"\n" {
		return false
	}
	// This one folds long lines.
	out, err := yamlv2.Marshal(s)
	return err == nil && out[0] == s[0]
}

func printable(r rune) bool {
	return r >= ' ' && r < 0x7f || r >= 0xa0 && r != '\u2028' && r != '\u2029' && r != '\ufeff' && r < 0xfffe && unicode.IsPrint(r)
}

func fitsSingle(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !printable(r) && r != '\t' })
}

func quoteSingle(s string) string {
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

func quoteDouble(s string) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\t':
			out.WriteString(`\t`)
		case r == '\r':
			out.WriteString(`\r`)
		case printable(r) || r > 0xffff && unicode.IsPrint(r):
			out.WriteRune(r)
		case r <= 0xff:
			out.WriteString(`\x` + hex(r, 2))
		case r <= 0xffff:
			out.WriteString(`\u` + hex(r, 4))
		default:
			out.WriteString(`\U` + hex(r, 8))
		}
	}
	out.WriteByte('"')
	return out.String()
}

func hex(r rune, digits int) string {
	return fmt.Sprintf("%0*s", digits, strings.ToUpper(strconv.FormatInt(int64(r), 16)))
}
