package yamledit

import (
	"bytes"
	"regexp"
)

// document is the text of a document, and how its author writes.
type document struct {
	text []byte
	root *node
	json bool
	crlf bool
	// unit is how many columns a map is indented in another, dash how many a list is in a map.
	unit, dash int
	// quote is what the author puts text in.
	quote style
}

// parse reads one of the values of a document; the file is looked at for the style that the document doesn't
// tell.
func parse(text []byte, index int, file []byte) (*document, error) {
	d := &document{text: text, crlf: usesCRLF(file)}
	body := bodyOf(text)
	if first := bytes.TrimSpace(text[body:]); len(first) > 0 && (first[0] == '{' || first[0] == '[') {
		if roots, ok := parseJSON(text, body); ok && index < len(roots) {
			d.root, d.json = roots[index], true
		}
	}
	if d.root == nil {
		var err error
		if d.root, err = parseYAML(text); err != nil {
			return nil, err
		}
	}
	d.learn(file)
	return d, nil
}

// bodyOf is where the document begins behind its separator.
func bodyOf(text []byte) int {
	if bytes.HasPrefix(text, []byte("---")) && (len(text) == 3 || isSpace(rune(text[3]))) {
		return len("---")
	}
	return 0
}

func usesCRLF(text []byte) bool {
	i := bytes.IndexByte(text, '\n')
	return i > 0 && text[i-1] == '\r'
}

var listInMap = regexp.MustCompile(`(?m)^( *)(?:- +)?[^\s#-][^\n]*:[ \t]*\r?\n( *)- `)

// learn counts what the author does most.
func (d *document) learn(file []byte) {
	units, dashes, quotes := map[int]int{}, map[int]int{}, map[style]int{}
	d.count(d.root, units, dashes, quotes)
	if d.unit = most(units); d.unit <= 0 {
		d.unit = 2
	}
	if len(dashes) == 0 {
		for _, m := range listInMap.FindAllSubmatch(file[:min(len(file), 1<<16)], 100) {
			if by := len(m[2]) - len(m[1]); by == 0 || by == d.unit {
				dashes[by]++
			}
		}
	}
	d.dash = most(dashes)
	if d.quote = double; quotes[single] > quotes[double] {
		d.quote = single
	}
}

func (d *document) count(n *node, units, dashes map[int]int, quotes map[style]int) {
	if n.kind == scalar {
		quotes[n.style]++
	}
	for _, e := range n.entries {
		if n.style == block && n.kind == mapping && e.value.style == block {
			switch by := e.value.column - n.column; e.value.kind {
			case mapping:
				units[by]++
			case sequence:
				dashes[by]++
			}
		}
		d.count(e.value, units, dashes, quotes)
	}
}

// most is the commonest, of equally common ones the smallest.
func most(counts map[int]int) int {
	best := 0
	for value, n := range counts {
		if b := counts[best]; n > b || n == b && value < best {
			best = value
		}
	}
	return best
}
