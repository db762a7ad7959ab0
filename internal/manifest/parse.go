package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	yamlv2 "go.yaml.in/yaml/v2"
	kjson "sigs.k8s.io/json"
)

// part is the text of one document of a file. Documents are cut apart before they are parsed: one that is
// broken doesn't take the others with it.
type part struct {
	text []byte
	// line is the 1-based line in the file that the text begins at, offset where it begins.
	line, offset int
}

// parsed is one value that a document holds.
type parsed struct {
	value any
	line  int
}

// parseError is what is wrong with the text of a document.
type parseError struct {
	line    int
	message string
}

// unreadable recognises files that are not text with manifests.
func unreadable(data []byte) (line int, message string) {
	switch {
	case bytes.HasPrefix(data, []byte("version https://git-lfs.github.com/spec/")):
		return 0, "the file is a Git LFS pointer, its content is not in Git: store manifests without LFS"
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return 0, "the file is UTF-16: save it as UTF-8"
	case len(data) > maxFileSize:
		return 0, fmt.Sprintf("the file has %d MiB, more than the %d MiB that are read: split it", len(data)>>20, maxFileSize>>20)
	case !utf8.Valid(data):
		return lineOf(data, firstInvalid(data)), "the file is not UTF-8 text"
	}
	return 0, ""
}

func firstInvalid(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(data)
}

// parts cuts a file into its documents: at lines that begin with --- or ... where YAML knows no other
// meaning for them.
func parts(data []byte) iter.Seq[part] {
	return func(yield func(part) bool) {
		begin, beginLine := 0, 1
		for at, line := 0, 1; at < len(data); line++ {
			end := len(data)
			if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
				end = at + i + 1
			}
			separates, ends := marker(data[at:end], "---"), marker(data[at:end], "...")
			if separates || ends {
				if p := (part{data[begin:at], beginLine, begin}); !p.blank() && !yield(p) {
					return
				}
				begin, beginLine = at, line
				if ends {
					begin, beginLine = end, line+1
				}
			}
			at = end
		}
		if p := (part{data[begin:], beginLine, begin}); !p.blank() {
			yield(p)
		}
	}
}

func marker(line []byte, mark string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(mark))
	return ok && (len(rest) == 0 || strings.IndexByte(" \t\r\n", rest[0]) >= 0)
}

// blank is true for a part with nothing but comments and directives in it.
func (p part) blank() bool {
	for line := range bytes.Lines(p.body()) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && line[0] != '%' {
			return false
		}
	}
	return true
}

// body is the text without the separator that it begins with.
func (p part) body() []byte {
	if marker(p.text, "---") {
		return p.text[len("---"):]
	}
	return p.text
}

// firstLine is the line of the file at which the content begins: after the separator and comments.
func (p part) firstLine() int {
	line := p.line
	for text := range bytes.Lines(p.body()) {
		text = bytes.TrimSpace(text)
		if len(text) > 0 && text[0] != '#' {
			break
		}
		line++
	}
	return line
}

// parse reads the values of the part, nearly always one.
func (p part) parse() (values []parsed, err *parseError) {
	// The parser is a port from C and panics by design; a bug of it must not end the process.
	defer func() {
		if recover() != nil {
			err = &parseError{p.firstLine(), "the YAML parser failed at this document"}
		}
	}()
	if structure(p.text) > maxValues {
		return nil, &parseError{p.firstLine(), fmt.Sprintf("the document has more than %d values: split it", maxValues)}
	}
	if body := bytes.TrimSpace(p.body()); body[0] == '{' || body[0] == '[' {
		if values, err, ok := p.parseJSON(); ok {
			return values, err
		}
	}
	if object, ok := readCanonical(bytes.TrimPrefix(p.body(), []byte("\n"))); ok {
		return []parsed{{object, p.firstLine()}}, nil
	}
	values, err = p.parseYAML(true)
	if err != nil && strings.HasPrefix(err.message, messageDuplicate) && bytes.Contains(p.text, []byte("<<")) {
		// The parser takes a key that overrides a merged one for a duplicate.
		return p.parseYAML(false)
	}
	return values, err
}

// structure is an upper bound of the number of values in a text, but for aliases.
func structure(text []byte) int {
	count := 0
	for _, mark := range []string{"\n", ",", ":", "[", "{", "- ", "? "} {
		count += bytes.Count(text, []byte(mark))
	}
	return count
}

// parseJSON reads JSON, of which not all is YAML; false where it isn't JSON, but may be YAML.
func (p part) parseJSON() ([]parsed, *parseError, bool) {
	var values []parsed
	body := p.body()
	decoder := json.NewDecoder(bytes.NewReader(body))
	for {
		rest := body[decoder.InputOffset():]
		begin := len(body) - len(bytes.TrimLeft(rest, " \t\r\n"))
		var raw json.RawMessage
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			return values, nil, true
		} else if err != nil {
			return nil, nil, false
		}
		line := p.line - 1 + lineOf(body, begin)
		var value any
		duplicates, err := kjson.UnmarshalStrict(raw, &value)
		if err != nil {
			return nil, nil, false
		}
		if len(duplicates) > 0 {
			return values, &parseError{line, shorten(duplicates[0].Error()) + ": remove one of them"}, true
		}
		values = append(values, parsed{value, line})
	}
}

func (p part) parseYAML(strict bool) ([]parsed, *parseError) {
	var values []parsed
	decoder := yamlv2.NewDecoder(bytes.NewReader(p.text))
	decoder.SetStrict(strict)
	for {
		var tree any
		if err := decoder.Decode(&tree); errors.Is(err, io.EOF) {
			return values, nil
		} else if err != nil {
			return values, p.explain(err)
		}
		c := conversion{budget: maxFileSize}
		value, err := c.convert(tree)
		if err != nil {
			return values, &parseError{p.firstLine(), shorten(err.Error())}
		}
		values = append(values, parsed{value, p.firstLine()})
	}
}

const (
	messageDuplicate = "a key is given twice in the same map: remove one of them"
	messageTemplate  = "it looks like a template, which is not rendered: commit what it renders to, like the output of helm template"
	messageTab       = "a tab is used for indentation, which YAML doesn't allow: use spaces"
)

var errorLine = regexp.MustCompile(`line (\d+): (.*)`)

// explain says what a parser's error means and where it is in the file.
func (p part) explain(err error) *parseError {
	message, line := strings.TrimPrefix(err.Error(), "yaml: "), p.firstLine()
	if found := errorLine.FindStringSubmatch(message); found != nil {
		n, _ := strconv.Atoi(found[1])
		message, line = found[2], p.line-1+n
	}
	switch {
	case strings.HasPrefix(message, "did not find expected"):
		// The parser, unlike the scanner, counts lines from 0.
		line++
	case strings.HasPrefix(message, "could not find expected ':'"):
		// It is noticed on the line that follows.
		line--
	case strings.HasPrefix(message, "control characters"):
		line = p.line - 1 + lineOf(p.text, bytes.IndexFunc(p.text, isControl))
	}
	line = min(line, p.line+bytes.Count(bytes.TrimRight(p.text, "\n"), []byte("\n"))) // the end is no line
	switch {
	case strings.Contains(message, "already set in map"):
		message = messageDuplicate
	case strings.HasPrefix(message, "invalid map key"):
		message = "not valid YAML: a map or a list is used as a key"
	case strings.HasPrefix(message, "cannot decode"):
		message = "not valid YAML: a value is not what its tag says"
	case p.indentedByTab(line):
		message = messageTab
	default:
		message = "not valid YAML: " + shorten(message)
	}
	if bytes.Contains(p.text, []byte("{{")) {
		message += "; " + messageTemplate
	}
	return &parseError{line, message}
}

func (p part) indentedByTab(line int) bool {
	n := p.line
	for text := range bytes.Lines(p.text) {
		if n == line {
			indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
			return bytes.IndexByte(indent, '\t') >= 0
		}
		n++
	}
	return false
}

func isControl(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r >= 0x7f && r < 0xa0 && r != 0x85
}

// lineOf is the 1-based line of an offset, the first for one that is out of range.
func lineOf(data []byte, offset int) int {
	return 1 + bytes.Count(data[:min(max(offset, 0), len(data))], []byte("\n"))
}

// conversion makes of YAML values what JSON would decode to.
type conversion struct {
	// budget is how many bytes the document may still grow to: aliases make much out of little.
	budget int
}

func (c *conversion) convert(value any) (any, error) {
	if c.budget--; c.budget < 0 {
		return nil, fmt.Errorf("the document has more than %d MiB once its aliases are expanded", maxFileSize>>20)
	}
	switch v := value.(type) {
	case nil, bool, int64:
		return v, nil
	case int:
		return int64(v), nil
	case uint64:
		return float64(v), nil
	case float64:
		return convertFloat(v)
	case string:
		if c.budget -= len(v); !utf8.ValidString(v) {
			return nil, errors.New("binary content, which an object can't hold: give it in base64, without the tag !!binary")
		}
		return v, nil
	case []any:
		return c.convertList(v)
	case map[any]any:
		return c.convertMap(v)
	}
	return nil, fmt.Errorf("a value of type %T", value)
}

func convertFloat(f float64) (any, error) {
	number, err := canonicalFloat(f)
	if _, large := number.(uint64); large {
		return f, nil
	}
	return number, err
}

func (c *conversion) convertList(list []any) (any, error) {
	out := make([]any, len(list))
	for i, item := range list {
		value, err := c.convert(item)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		out[i] = value
	}
	return out, nil
}

func (c *conversion) convertMap(fields map[any]any) (any, error) {
	out := make(map[string]any, len(fields))
	for k, v := range fields {
		key, err := convertKey(k)
		if err != nil {
			return nil, err
		}
		if _, twice := out[key]; twice {
			return nil, errors.New(messageDuplicate)
		}
		c.budget -= len(key)
		if out[key], err = c.convert(v); err != nil {
			return nil, fmt.Errorf("%s: %w", shorten(key), err)
		}
	}
	return out, nil
}

// convertKey makes text of a key, as sigs.k8s.io/yaml does.
func convertKey(key any) (string, error) {
	switch k := key.(type) {
	case string:
		if utf8.ValidString(k) {
			return k, nil
		}
	case int:
		return strconv.Itoa(k), nil
	case int64:
		return strconv.FormatInt(k, 10), nil
	case bool:
		return strconv.FormatBool(k), nil
	case float64:
		return strconv.FormatFloat(k, 'g', -1, 32), nil
	}
	return "", errors.New("a key is neither text nor a number: put it in quotes")
}
