package yamledit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// editor collects the changes of a document's text.
type editor struct {
	*document
	mode mode
	// aliases may be replaced by what they stand for.
	aliases bool
	// lists are those that the object is in: their items keep their places, however much they change.
	lists []*node
	edits []edit
	// deepest is how deep values were changed.
	deepest int
	// failed: a change can't be made in the text.
	failed bool
}

// slot is where a value stands: behind a colon or dash in a block collection, or in a flow collection.
type slot struct {
	// after is where the colon or dash ends.
	after int
	// indent is the column of the block collection around it, -1 at the root.
	indent int
	item   bool
	flow   bool
}

func (e *editor) replaceText(start, end int, text string) {
	if string(e.text[start:end]) != text {
		e.edits = append(e.edits, edit{start, end, text})
	}
}

func (e *editor) printer() printer {
	return printer{document: e.document, quoted: e.mode.quoted}
}

// change makes a node that has the value old have the value want.
func (e *editor) change(c slot, n *node, old, want any, depth int) {
	if n.kind == alias {
		if e.mode.explicit || e.aliases && !equal(old, want) {
			e.replace(c, n, old, want)
		}
		return
	}
	if equal(old, want) && !e.mode.explicit {
		return
	}
	e.deepest = max(e.deepest, depth)
	coarse := e.mode.depth > 0 && depth >= e.mode.depth && !equal(old, want)
	fields, isMap := old.(map[string]any)
	wantFields, toMap := want.(map[string]any)
	items, isList := old.([]any)
	wantItems, toList := want.([]any)
	switch {
	case coarse:
		e.replace(c, n, old, want)
	case n.kind == mapping && isMap && toMap && len(n.entries) > 0 && len(wantFields) > 0:
		e.changeFields(c, n, fields, wantFields, depth)
	case n.kind == sequence && isList && toList && len(n.entries) > 0 && len(wantItems) > 0 && len(items) == len(n.entries):
		e.changeItems(c, n, items, wantItems, depth)
	case !equal(old, want):
		e.replace(c, n, old, want)
	}
}

func (n *node) slotOf(i int, c slot) slot {
	if n.style == flow {
		return slot{after: n.entries[i].after, indent: c.indent, flow: true}
	}
	return slot{after: n.entries[i].after, indent: n.column, item: n.kind == sequence}
}

// changeFields changes a map's values, takes keys out and adds others.
func (e *editor) changeFields(c slot, n *node, old, want map[string]any, depth int) {
	names, ok := e.names(n, old)
	if !ok {
		e.replace(c, n, old, want)
		return
	}
	// What isn't written here was merged into the map.
	expand := false
	merged := map[string]any{}
	for key, value := range old {
		if !slices.Contains(names, key) {
			_, wanted := want[key]
			merged[key] = value
			expand = expand || e.aliases && !wanted
		}
	}
	l := newLayout(e, n)
	for _, entry := range n.entries {
		expand = expand || e.mode.explicit && entry.merge() && entry.value.aliased()
	}
	for i, entry := range n.entries {
		value, wanted := want[names[i]]
		switch {
		case entry.merge():
			l.removed[i] = expand
		case !wanted:
			l.removed[i] = true
		default:
			e.change(n.slotOf(i, c), entry.value, old[names[i]], value, depth+1)
		}
	}
	var added []string
	for key, value := range want {
		if slices.Contains(names, key) {
			continue
		}
		before, has := merged[key]
		if !has || expand || e.aliases && !equal(before, value) {
			added = append(added, key)
		}
	}
	if l.remaining() == 0 {
		e.forget(n)
		e.replace(c, n, old, want)
		return
	}
	slices.Sort(added)
	for _, key := range added {
		l.insert(l.place(names, key), e.fieldText(n, key, want[key]))
	}
	l.apply()
}

// aliased: there is an alias in it.
func (n *node) aliased() bool {
	return n.kind == alias || slices.ContainsFunc(n.entries, func(e entry) bool { return e.value.aliased() })
}

// forget drops the changes made within a node.
func (e *editor) forget(n *node) {
	e.edits = slices.DeleteFunc(e.edits, func(c edit) bool { return c.start >= n.start && c.end <= n.end })
}

// names are what the keys of the map are called in the value that was read; false where that isn't clear.
func (e *editor) names(n *node, fields map[string]any) ([]string, bool) {
	names := make([]string, len(n.entries))
	for i, entry := range n.entries {
		if entry.merge() {
			names[i] = "<<"
			continue
		}
		name := entry.key.value
		if _, has := fields[name]; !has || entry.key.tagged {
			values, err := manifest.Values([]byte(string(e.text[entry.key.content:entry.key.end]) + ": 0\n"))
			if err != nil || len(values) != 1 {
				return nil, false
			}
			read, _ := values[0].(map[string]any)
			for key := range read {
				name = key
			}
		}
		if _, has := fields[name]; !has || slices.Contains(names[:i], name) {
			return nil, false
		}
		names[i] = name
	}
	return names, true
}

func (e *editor) fieldText(n *node, key string, value any) string {
	p := e.printer()
	if n.style != flow {
		return p.field(key, value, n.column)
	}
	colon := ": "
	if first := n.entries[0]; e.json && skipBlanks(e.text, first.after) == first.after && first.value.start == first.after {
		colon = ":"
	}
	return p.text(key, plain, true) + colon + p.flow(value, e.indentAt(n.entries[0].start))
}

// indentAt is the indentation of the line that a place is in.
func (e *editor) indentAt(at int) string {
	start := lineStart(e.text, at)
	end := start
	for end < at && (e.text[end] == ' ' || e.text[end] == '\t') {
		end++
	}
	return string(e.text[start:end])
}

// replace writes a value anew.
func (e *editor) replace(c slot, n *node, old, want any) {
	if n == e.root {
		e.failed = true // the document is written as a whole by other means
		return
	}
	before, isText := old.(string)
	text, toText := want.(string)
	switch {
	case c.flow || n.style == flow && len(n.entries) > 0 && collection(want):
		e.replaceText(n.start, n.end, e.anchorOf(n)+e.flowText(c, n, want))
	case isText && toText && (n.style == literal || n.style == folded) && e.changeBlock(c, n, before, text):
	case collection(want):
		e.replaceByCollection(c, n, want)
	default:
		e.replaceByScalar(c, n, want)
	}
}

// anchorOf is the anchor to keep: it may be in use. A tag is that of the old value.
func (e *editor) anchorOf(n *node) string {
	if n.anchor == "" {
		return ""
	}
	return "&" + n.anchor + " "
}

func (e *editor) flowText(c slot, n *node, want any) string {
	p := e.printer()
	space := ""
	if !e.json && n.start == n.end && n.start > 0 && n.start == c.after && !isSpace(rune(e.text[n.start-1])) && e.text[n.start-1] == ':' {
		space = " "
	} else if !e.json && n.start == n.end && n.start == c.after && e.text[n.start-1] != ':' {
		space = ": " // a key of a flow map without a colon
	}
	if s, ok := want.(string); ok && n.kind == scalar && !e.json && (n.style == single || n.style == double) {
		return space + p.text(s, n.style, true)
	}
	return space + p.flow(want, e.indentAt(n.start))
}

func (e *editor) replaceByScalar(c slot, n *node, want any) {
	bodyIndent := c.indent + e.unit
	if c.item {
		bodyIndent = c.indent + 2
	}
	like := n.style
	text := e.anchorOf(n) + e.printer().scalar(want, like, c.indent, bodyIndent)
	header, body := text, ""
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		header, body = text[:i], text[i:]
	}
	line := lineEnd(e.text, c.after)
	switch {
	case n.style == literal || n.style == folded:
		e.replaceText(n.start, n.lines.header, header)
		if end := lineEnd(e.text, n.lines.header); end < n.end || body != "" {
			e.replaceText(end, max(end, n.end), body)
		}
	case n.style == block && n.start > line:
		e.replaceText(c.after, c.after, " "+header)
		e.replaceText(line, n.end, body)
	case n.style == empty && n.start == c.after:
		e.replaceText(n.start, n.end, " "+header)
		e.insertAfterLine(n.end, body)
	case n.start > line:
		e.replaceText(c.after, n.end, " "+header)
		e.insertAfterLine(n.end, body)
	default:
		e.replaceText(n.start, n.end, header)
		e.insertAfterLine(n.end, body)
	}
}

// insertAfterLine puts lines below the one that a place is in; a comment at its end stays.
func (e *editor) insertAfterLine(at int, lines string) {
	if end := lineEnd(e.text, at); lines != "" {
		e.replaceText(end, end, lines)
	}
}

func (e *editor) replaceByCollection(c slot, n *node, want any) {
	p := e.printer()
	line := lineEnd(e.text, c.after)
	anchor := strings.TrimSuffix(e.anchorOf(n), " ")
	if anchor != "" {
		anchor = " " + anchor
	}
	if c.item && anchor == "" {
		// The comment at the end would come into the last line, which may be text.
		end := n.end
		if n.style != block {
			end = lineEnd(e.text, n.end)
		}
		e.replaceText(c.after, end, " "+p.collection(want, c.indent+2, orderOf(n)))
		return
	}
	indent := p.below(want, c.indent)
	if c.item {
		indent = c.indent + 2
	}
	if n.style == block && n.kind == kindOf(want) {
		indent = n.column
	}
	lines := fmt.Sprintf("\n%*s%s", indent, "", p.collection(want, indent, orderOf(n)))
	switch {
	case n.style == literal || n.style == folded:
		e.replaceText(c.after, n.lines.header, anchor)
		end := lineEnd(e.text, n.lines.header)
		e.replaceText(end, max(end, n.end), lines)
	case n.style == block && n.content > line && anchor == "" && !n.tagged:
		e.replaceText(line, n.end, lines)
	case n.style == block:
		e.replaceText(c.after, n.end, anchor+lines)
	default:
		e.replaceText(c.after, n.end, anchor)
		e.insertAfterLine(n.end, lines)
	}
}

func kindOf(value any) kind {
	switch value.(type) {
	case map[string]any:
		return mapping
	case []any:
		return sequence
	}
	return scalar
}

// orderOf is the order of keys in a block map.
func orderOf(n *node) []string {
	if n.kind != mapping {
		return nil
	}
	var order []string
	for _, entry := range n.entries {
		order = append(order, entry.key.value)
	}
	return order
}
