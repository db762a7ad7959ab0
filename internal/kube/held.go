package kube

import (
	"bytes"
	"compress/flate"
	"io"
	"sync"
)

// held is the content of an object until it is stored elsewhere; at the first push that is all of the cluster.
// The zero value is none.
type held struct {
	data     []byte
	deflated bool
}

// heldPlain is how much content is held as it is. Beyond that it is deflated, which takes a third of the
// memory and a tenth of the time of a first push.
const heldPlain = 32 << 20

// hold keeps content.
func (x *Index) hold(content []byte) held {
	x.mu.Lock()
	room := x.heldBytes < heldPlain
	x.mu.Unlock()
	if room {
		return held{data: bytes.Clone(content)}
	}
	return held{data: deflate(content), deflated: true}
}

func (h held) content() ([]byte, error) {
	if h.deflated {
		return inflate(h.data)
	}
	return h.data, nil
}

var writers = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // fails for unknown levels only
	return w
}}

func deflate(content []byte) []byte {
	var out bytes.Buffer
	w := writers.Get().(*flate.Writer)
	defer writers.Put(w)
	w.Reset(&out)
	_, _ = w.Write(content) // a bytes.Buffer takes everything
	_ = w.Close()
	return bytes.Clone(out.Bytes())
}

// inflaters are kept because a new one takes 40 KB of memory.
var inflaters = sync.Pool{New: func() any { return flate.NewReader(bytes.NewReader(nil)) }}

func inflate(deflated []byte) ([]byte, error) {
	r := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(r)
	if err := r.(flate.Resetter).Reset(bytes.NewReader(deflated), nil); err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
