package repo

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"io"
	"runtime"
	"slices"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"golang.org/x/sync/errgroup"
)

// packed is an object that goes into a pack. Without data, the content is asked for when it is its turn.
type packed struct {
	hash plumbing.Hash
	kind plumbing.ObjectType
	data []byte
}

// pack is a pack being written: objects in full, no deltas, and its index on the side. go-git's encoder
// compresses one object after the other, and its store reads the whole pack again to index it; together that
// is more work than all the rest of a first push.
//
// The format is that of gitformat-pack(5), version 2.
type pack struct {
	to     io.Writer
	sum    hash.Hash
	offset uint64
	index  idxfile.Writer
}

// packAtOnce is how many objects are compressed at the same time, at most.
const packAtOnce = 256

// writePack writes a pack of the objects, and returns its index.
func writePack(to io.Writer, objects []packed, rest *contents) (*idxfile.MemoryIndex, error) {
	p := &pack{to: to, sum: sha1.New()}
	header := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), uint32(len(objects)))
	if err := p.write(header); err != nil {
		return nil, err
	}
	if err := p.index.OnHeader(uint32(len(objects))); err != nil {
		return nil, err
	}
	for some := range slices.Chunk(objects, packAtOnce) {
		if err := p.add(some, rest); err != nil {
			return nil, err
		}
	}
	checksum := plumbing.Hash(p.sum.Sum(nil))
	if _, err := to.Write(checksum[:]); err != nil {
		return nil, err
	}
	if err := p.index.OnFooter(checksum); err != nil {
		return nil, err
	}
	return p.index.Index()
}

// add compresses some objects on all processors and writes them in their order.
func (p *pack) add(objects []packed, rest *contents) error {
	entries := make([][]byte, len(objects))
	group := new(errgroup.Group)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, o := range objects {
		data := o.data
		if data == nil {
			var err error
			if data, err = rest.take(o.hash); err != nil {
				_ = group.Wait() // what it works on is going away
				return err
			}
		}
		group.Go(func() error { entries[i] = packEntry(o.kind, data); return nil })
	}
	_ = group.Wait()
	for i, entry := range entries {
		p.index.Add(objects[i].hash, p.offset, crc32.ChecksumIEEE(entry))
		if err := p.write(entry); err != nil {
			return err
		}
	}
	return nil
}

func (p *pack) write(data []byte) error {
	p.sum.Write(data)
	p.offset += uint64(len(data))
	_, err := p.to.Write(data)
	return err
}

var compressors = sync.Pool{New: func() any {
	w, _ := zlib.NewWriterLevel(nil, zlib.BestSpeed) // fails for unknown levels only
	return w
}}

// packEntry is an object as it stands in a pack: its type and size, then its compressed content.
func packEntry(kind plumbing.ObjectType, data []byte) []byte {
	var entry bytes.Buffer
	size := len(data)
	first := byte(kind)<<4 | byte(size&0x0f)
	for size >>= 4; size > 0; size >>= 7 {
		entry.WriteByte(first | 0x80)
		first = byte(size & 0x7f)
	}
	entry.WriteByte(first)
	w := compressors.Get().(*zlib.Writer)
	defer compressors.Put(w)
	w.Reset(&entry)
	_, _ = w.Write(data) // a bytes.Buffer takes everything
	_ = w.Close()
	return entry.Bytes()
}
