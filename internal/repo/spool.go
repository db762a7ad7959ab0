package repo

import (
	"io"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
)

// spool is a file of a store for a pack on its way in or out. It is written and read without holding the
// store, and made and removed while holding it.
type spool struct {
	billy.File
	repository *Repository
	store      *store
	// index is that of the pack, where it was written here.
	index *idxfile.MemoryIndex
}

func (r *Repository) spool(s *store) (*spool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := s.fs.TempFile(incomingDir, "pack-")
	if err != nil {
		return nil, s.writeError(err)
	}
	return &spool{File: f, repository: r, store: s}, nil
}

// objects is how many objects the pack has, 0 where that isn't known.
func (f *spool) objects() int64 {
	if f.index == nil {
		return 0
	}
	n, _ := f.index.Count() // it never fails
	return n
}

func (f *spool) drop() {
	f.repository.mu.Lock()
	defer f.repository.mu.Unlock()
	_ = f.Close()
	_ = f.store.fs.Remove(f.Name())
}

// failed explains an error of writing.
func (f *spool) failed(err error) error {
	f.repository.mu.Lock()
	defer f.repository.mu.Unlock()
	return f.store.writeError(err)
}

// markingWriter remembers the file's error, to tell it from the network's.
type markingWriter struct {
	to  io.Writer
	err error
}

func (w *markingWriter) Write(p []byte) (n int, err error) {
	n, w.err = w.to.Write(p)
	return n, w.err
}
