package yamledit

import (
	"errors"
	"fmt"
	"unicode/utf8"

	yamlv3 "go.yaml.in/yaml/v3"
)

type kind int

const (
	scalar kind = iota
	alias
	mapping
	sequence
)

type style int

const (
	block style = iota // of maps and lists only
	flow
	empty // a null of which nothing is written
	plain
	single
	double
	literal
	folded
)

// node is a value and the bytes of the document that it is written in.
type node struct {
	kind  kind
	style style
	// start is where its anchor and tag begin, content where the value does. A block scalar ends behind its
	// last line, as far as it counts; so does everything that ends with one. No line break is part of the end.
	start, content, end int
	// column is that of the keys or dashes of a block collection.
	column  int
	anchor  string
	tagged  bool
	value   string // of a scalar as parsed; the name of an alias
	entries []entry
	lines   blockLines
}

// blockLines is how a block scalar is laid out.
type blockLines struct {
	// header is where the indicators end, body where the first line begins.
	header, body int
	indent       int
	// explicit: the indentation is said in the header.
	explicit bool
}

// entry is a key with its value, or an item of a list, which has no key.
type entry struct {
	key, value *node
	// start is where the key or the dash begins, after where the colon or the dash ends.
	start, after int
}

func (e entry) merge() bool {
	return e.key != nil && e.key.style == plain && e.key.value == "<<"
}

// errLayout is for ways of writing YAML that are not followed here: explicit keys (?), and pairs in flow
// lists. Such a document is written anew.
var errLayout = errors.New("a layout that can't be edited in place")

// builder finds the bytes of the nodes of a YAML document.
type builder struct {
	text []byte
	// lines is where each line begins, by the parser's notion of lines.
	lines []int
	// last is the position that was looked up before this one: nodes come in the order of the text.
	last struct{ line, column, offset int }
}

// parseYAML reads the only value of a document.
func parseYAML(text []byte) (root *node, err error) {
	// The parser panics by design, and positions that don't fit the text end here, too.
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, fmt.Errorf("%w: %v", errLayout, p)
		}
	}()
	var document yamlv3.Node
	if err := yamlv3.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	if document.Kind != yamlv3.DocumentNode || len(document.Content) != 1 {
		return nil, errLayout
	}
	b := &builder{text: text, lines: lineStarts(text)}
	return b.build(document.Content[0], 0, 0, false)
}

// lineStarts are the offsets of lines, which also end at characters that few take for line breaks.
func lineStarts(text []byte) []int {
	starts := []int{0}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		i += size
		switch r {
		case '\r':
			if i < len(text) && text[i] == '\n' {
				i++
			}
			starts = append(starts, i)
		case '\n', '\u0085', '\u2028', '\u2029':
			starts = append(starts, i)
		}
	}
	return starts
}

// offset is where the parser's position, which counts characters, lies in the text.
func (b *builder) offset(n *yamlv3.Node) int {
	at := b.lines[n.Line-1]
	column := 1
	if b.last.line == n.Line && b.last.column <= n.Column {
		at, column = b.last.offset, b.last.column
	}
	for ; column < n.Column; column++ {
		_, size := utf8.DecodeRune(b.text[at:])
		at += size
	}
	b.last.line, b.last.column, b.last.offset = n.Line, n.Column, at
	return at
}

// build makes a node of the parser's; after is where the colon or dash before it ends, indent the column of the
// block collection that it is in.
func (b *builder) build(from *yamlv3.Node, after, indent int, inFlow bool) (*node, error) {
	n := &node{anchor: from.Anchor, tagged: from.Style&yamlv3.TaggedStyle != 0, value: from.Value}
	n.start = b.offset(from)
	bare := from.Kind == yamlv3.ScalarNode && from.Value == "" && from.Style&^yamlv3.TaggedStyle == 0
	if bare && n.anchor == "" && !n.tagged {
		n.style, n.start, n.content, n.end = empty, after, after, after
		return n, nil
	}
	if n.content = n.start; n.anchor != "" || n.tagged {
		var properties int
		properties, n.content = skipProperties(b.text, n.start)
		if bare {
			n.style, n.content, n.end = empty, properties, properties
			return n, nil
		}
	}
	switch from.Kind {
	case yamlv3.ScalarNode:
		return n, b.buildScalar(n, from, indent)
	case yamlv3.AliasNode:
		n.kind, n.style = alias, plain
		n.end = n.content + 1 + len(n.value)
		return n, b.expect(n.content, '*')
	case yamlv3.MappingNode, yamlv3.SequenceNode:
		if n.kind = mapping; from.Kind == yamlv3.SequenceNode {
			n.kind = sequence
		}
		if from.Style&yamlv3.FlowStyle != 0 {
			return n, b.buildFlow(n, from, indent)
		}
		if inFlow {
			return nil, errLayout
		}
		if n.kind == sequence {
			return n, b.buildItems(n, from)
		}
		return n, b.buildFields(n, from)
	}
	return nil, errLayout
}

func (b *builder) expect(at int, char byte) error {
	if at >= len(b.text) || b.text[at] != char {
		return errLayout
	}
	return nil
}

func (b *builder) buildScalar(n *node, from *yamlv3.Node, indent int) error {
	switch {
	case from.Style&yamlv3.DoubleQuotedStyle != 0:
		n.style, n.end = double, endOfDouble(b.text, n.content)
		return b.expect(n.content, '"')
	case from.Style&yamlv3.SingleQuotedStyle != 0:
		n.style, n.end = single, endOfSingle(b.text, n.content)
		return b.expect(n.content, '\'')
	case from.Style&yamlv3.LiteralStyle != 0:
		n.style = literal
		n.lines, n.end = endOfBlock(b.text, n.content, indent)
		return b.expect(n.content, '|')
	case from.Style&yamlv3.FoldedStyle != 0:
		n.style = folded
		n.lines, n.end = endOfBlock(b.text, n.content, indent)
		return b.expect(n.content, '>')
	}
	var ok bool
	n.style = plain
	if n.end, ok = endOfPlain(b.text, n.content, n.value); !ok {
		return errLayout
	}
	return nil
}

// buildFields reads the keys of a block map.
func (b *builder) buildFields(n *node, from *yamlv3.Node) error {
	n.column = from.Content[0].Column - 1
	for i := 0; i < len(from.Content); i += 2 {
		key, err := b.build(from.Content[i], n.end, n.column, false)
		if err != nil {
			return err
		}
		if from.Content[i].Column-1 != n.column || key.kind != scalar || markedExplicit(b.text, key.start) {
			return errLayout
		}
		colon := skipBlanks(b.text, key.end)
		if err := b.expect(colon, ':'); err != nil {
			return err
		}
		value, err := b.build(from.Content[i+1], colon+1, n.column, false)
		if err != nil {
			return err
		}
		n.entries = append(n.entries, entry{key: key, value: value, start: key.start, after: colon + 1})
		n.end = value.end
	}
	return nil
}

// buildItems reads the items of a block list.
func (b *builder) buildItems(n *node, from *yamlv3.Node) error {
	if n.column = from.Column - 1; n.content != n.start {
		n.column = columnOf(b.text, n.content)
	}
	at := n.content
	for _, item := range from.Content {
		dash := skipSpace(b.text, at)
		if err := b.expect(dash, '-'); err != nil {
			return err
		}
		value, err := b.build(item, dash+1, n.column, false)
		if err != nil {
			return err
		}
		n.entries = append(n.entries, entry{value: value, start: dash, after: dash + 1})
		at, n.end = value.end, value.end
	}
	return nil
}

// buildFlow reads what is in braces or brackets.
func (b *builder) buildFlow(n *node, from *yamlv3.Node, indent int) error {
	open, closing, width := byte('{'), byte('}'), 2
	if n.style = flow; n.kind == sequence {
		open, closing, width = '[', ']', 1
	}
	if err := b.expect(n.content, open); err != nil {
		return err
	}
	at := n.content + 1
	for i := 0; i < len(from.Content); i += width {
		item, err := b.build(from.Content[i], at, indent, true)
		if err != nil {
			return err
		}
		e := entry{value: item, start: item.start, after: item.start}
		if n.kind == mapping {
			if e.key, e.after = item, item.end; item.kind != scalar || item.style == empty || markedExplicit(b.text, item.start) {
				return errLayout
			}
			if colon := skipSpace(b.text, item.end); b.expect(colon, ':') == nil {
				e.after = colon + 1
			}
			if e.value, err = b.build(from.Content[i+1], e.after, indent, true); err != nil {
				return err
			}
		}
		n.entries = append(n.entries, e)
		at = e.value.end
	}
	at = skipSpace(b.text, at)
	if b.expect(at, ',') == nil {
		at = skipSpace(b.text, at+1)
	}
	n.end = at + 1
	return b.expect(at, closing)
}
