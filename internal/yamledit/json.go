package yamledit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// parseJSON reads the values of a text of JSON; false where it isn't JSON. Its nodes are those of flow style.
func parseJSON(text []byte, body int) ([]*node, bool) {
	s := &jsonScan{text: text, base: body, decoder: json.NewDecoder(bytes.NewReader(text[body:]))}
	s.decoder.UseNumber()
	var roots []*node
	for {
		root, err := s.value()
		if errors.Is(err, io.EOF) && len(roots) > 0 {
			return roots, true
		} else if err != nil {
			return nil, false
		}
		roots = append(roots, root)
	}
}

type jsonScan struct {
	text    []byte
	base    int
	decoder *json.Decoder
}

// next reads a token and tells where it lies.
func (s *jsonScan) next() (token json.Token, start, end int, err error) {
	start = s.base + int(s.decoder.InputOffset())
	token, err = s.decoder.Token()
	for start < len(s.text) && bytes.IndexByte([]byte(" \t\r\n,:"), s.text[start]) >= 0 {
		start++
	}
	return token, start, s.base + int(s.decoder.InputOffset()), err
}

func (s *jsonScan) value() (*node, error) {
	token, start, end, err := s.next()
	if err != nil {
		return nil, err
	}
	n := &node{style: plain, start: start, content: start, end: end}
	switch t := token.(type) {
	case string:
		n.style, n.value = double, t
	case json.Delim:
		if n.kind, n.style = mapping, flow; t == '[' {
			n.kind = sequence
		}
		return n, s.entries(n)
	}
	return n, nil
}

func (s *jsonScan) entries(n *node) error {
	for s.decoder.More() {
		item, err := s.value()
		if err != nil {
			return err
		}
		e := entry{value: item, start: item.start, after: item.start}
		if n.kind == mapping {
			e.key = item
			if e.value, err = s.value(); err != nil {
				return err
			}
			e.after = item.end + bytes.IndexByte(s.text[item.end:], ':') + 1
		}
		n.entries = append(n.entries, e)
	}
	_, _, end, err := s.next()
	n.end = end
	return err
}
