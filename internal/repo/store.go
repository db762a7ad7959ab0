package repo

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/memfs"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-billy/v5/util"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// store is the cache: a bare, shallow Git repository whose objects all are in packs. A pack gets into it
// as a whole or not at all.
type store struct {
	dir string // "" in memory
	fs  billy.Filesystem
	git *filesystem.Storage

	// packs and bytes are what is in the store; base is the size of the largest pack, which is about
	// what one revision needs.
	packs       int
	bytes, base int64
	// patience is how many times larger than usual the store may grow; it doubles when a rebuild fails.
	patience int64
	// whole holds the revisions of which each directory is known to be here.
	whole map[plumbing.Hash]bool
	// inert holds directories without a YAML file in or below them, which a push has nothing to take
	// away from.
	inert map[plumbing.Hash]bool
	// damaged is set when an object that must be here can't be read.
	damaged bool
}

// origin says what a store on disk was made of.
type origin struct {
	Format int    `json:"format"`
	URL    string `json:"url"`
	Branch string `json:"branch"`
}

const (
	storeFormat  = 1
	originFile   = "active-cluster-sync.json"
	packDir      = "objects/pack"
	incomingDir  = "incoming"
	lastRevision = plumbing.ReferenceName("refs/heads/last")
	// objectCacheSize bounds the memory for unpacked objects, which mostly are the bases of deltas.
	objectCacheSize = 8 * cache.MiByte
	maxOpenPacks    = 32
)

// openStore opens the store below dir, or makes an empty one when there is none, it belongs to another
// remote, or any byte of it is wrong.
func openStore(dir string, from origin) (*store, error) {
	if dir != "" {
		if s, err := loadStore(dir, from); err == nil {
			return s, nil
		}
	}
	return newStore(dir, from)
}

func newStore(dir string, from origin) (*store, error) {
	if dir != "" {
		if err := os.RemoveAll(dir); err != nil {
			return nil, dirError(dir, err)
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, dirError(dir, err)
		}
	}
	s := attach(dir)
	mark, err := json.Marshal(from)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		s.git.Init(),
		s.fs.MkdirAll(packDir, 0o700),
		s.fs.MkdirAll(incomingDir, 0o700),
		// A HEAD makes it a repository for the git command line too.
		s.git.SetReference(plumbing.NewSymbolicReference(plumbing.HEAD, lastRevision)),
		util.WriteFile(s.fs, originFile, mark, 0o600),
	)
	if err != nil {
		return nil, s.writeError(err)
	}
	return s, nil
}

func attach(dir string) *store {
	s := &store{dir: dir, patience: 1, whole: map[plumbing.Hash]bool{}, inert: map[plumbing.Hash]bool{}}
	if dir == "" {
		s.fs = memfs.New()
	} else {
		s.fs = osfs.New(dir)
	}
	s.git = filesystem.NewStorageWithOptions(s.fs, cache.NewObjectLRU(objectCacheSize),
		filesystem.Options{MaxOpenDescriptors: maxOpenPacks})
	return s
}

// loadStore opens a store on disk. It reads each pack once, because a power cut or a full disk may have
// left anything, and a wrong object found later would be an error for the user.
func loadStore(dir string, from origin) (*store, error) {
	s := attach(dir)
	mark, err := util.ReadFile(s.fs, originFile)
	if err != nil {
		return nil, err
	}
	var found origin
	if err := json.Unmarshal(mark, &found); err != nil || found != from {
		return nil, errors.New("a store of something else")
	}
	if err := s.checkPacks(); err != nil {
		return nil, err
	}
	if err := s.git.ForEachObjectHash(func(plumbing.Hash) error { return errors.New("a loose object") }); err != nil {
		return nil, err
	}
	if last := s.last(); s.damaged || !last.IsZero() && !s.has(last) {
		return nil, errors.New("the last revision is missing")
	}
	if err := util.RemoveAll(s.fs, incomingDir); err != nil {
		return nil, err
	}
	return s, s.fs.MkdirAll(incomingDir, 0o700)
}

func (s *store) checkPacks() error {
	files, err := s.fs.ReadDir(packDir)
	if err != nil {
		return err
	}
	for _, file := range files {
		name, isPack := strings.CutSuffix(file.Name(), ".pack")
		if !isPack && !strings.HasSuffix(file.Name(), ".idx") {
			return fmt.Errorf("%s was not completed", file.Name())
		}
		if isPack {
			if err := s.checkPack(strings.TrimPrefix(name, "pack-")); err != nil {
				return err
			}
			s.count(file.Size())
		}
	}
	return nil
}

// checkPack compares a pack with the checksum at its end and in its name.
func (s *store) checkPack(name string) error {
	f, err := s.fs.Open(path.Join(packDir, "pack-"+name+".pack"))
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size < sha1.Size {
		return errors.New("a pack is too short")
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	sum := sha1.New()
	if _, err := io.CopyN(sum, f, size-sha1.Size); err != nil {
		return err
	}
	end, err := io.ReadAll(f)
	if err != nil || !bytes.Equal(end, sum.Sum(nil)) || plumbing.NewHash(name) != plumbing.Hash(end) {
		return errors.New("a pack is damaged")
	}
	return nil
}

func (s *store) close() error { return s.git.Close() }

// last is the revision that was fetched or pushed last, with all that it needs here; zero when there is
// none. It is what an incremental fetch starts from.
func (s *store) last() plumbing.Hash {
	ref, err := s.git.Reference(lastRevision)
	if err != nil {
		s.damaged = s.damaged || !errors.Is(err, plumbing.ErrReferenceNotFound)
		return plumbing.ZeroHash
	}
	return ref.Hash()
}

// settle records that a revision is here with all that it needs.
func (s *store) settle(revision plumbing.Hash) error {
	if err := s.git.SetReference(plumbing.NewHashReference(lastRevision, revision)); err != nil {
		return s.writeError(err)
	}
	s.whole[revision] = true
	return nil
}

// shallow records that a revision's parents are not here.
func (s *store) shallow(revision plumbing.Hash) error {
	boundary, err := s.git.Shallow()
	if err != nil {
		return s.writeError(err)
	}
	if slices.Contains(boundary, revision) {
		return nil
	}
	if err := s.git.SetShallow(append(boundary, revision)); err != nil {
		return s.writeError(err)
	}
	return nil
}

// install adds a pack that a spool holds in full. Going through a spool is what makes a cut connection
// leave nothing behind: go-git's pack writer keeps its files open when its input ends early.
func (s *store) install(f *spool) error {
	if f.objects() > worthIndexing {
		return s.installIndexed(f)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return s.writeError(err)
	}
	w, err := s.git.PackfileWriter()
	if err != nil {
		return s.writeError(err)
	}
	n, err := io.Copy(w, f)
	if err = errors.Join(err, w.Close()); err != nil {
		s.dropPartial()
		return s.writeError(err)
	}
	s.count(n)
	return nil
}

// worthIndexing is how many objects a pack has whose index isn't made again. For fewer it is not worth that
// go-git has to look at all packs again.
const worthIndexing = 2000

// installIndexed adds a pack that was written here, with its index.
func (s *store) installIndexed(f *spool) error {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return s.writeError(err)
	}
	base := path.Join(packDir, "pack-"+plumbing.Hash(f.index.PackfileChecksum).String())
	index, err := s.fs.Create(base + ".idx")
	if err != nil {
		return s.writeError(err)
	}
	w := bufio.NewWriter(index)
	_, err = idxfile.NewEncoder(w).Encode(f.index)
	if err = errors.Join(err, w.Flush(), index.Close()); err == nil {
		err = s.fs.Rename(f.Name(), base+".pack")
	}
	if err != nil {
		s.dropPartial()
		return s.writeError(err)
	}
	s.git.Reindex()
	s.count(size)
	return nil
}

func (s *store) count(bytes int64) {
	s.packs++
	s.bytes += bytes
	s.base = max(s.base, bytes)
}

// dropPartial removes what a failed install has left, and makes go-git forget about it.
func (s *store) dropPartial() {
	files, _ := s.fs.ReadDir(packDir)
	packs := map[string]bool{}
	for _, file := range files {
		if name, ok := strings.CutSuffix(file.Name(), ".pack"); ok {
			packs[name] = true
		}
	}
	for _, file := range files {
		name, isIndex := strings.CutSuffix(file.Name(), ".idx")
		if isIndex && !packs[name] || strings.HasPrefix(file.Name(), "tmp_") {
			_ = s.fs.Remove(path.Join(packDir, file.Name()))
		}
	}
	s.git.Reindex()
}

// has tells whether an object is here.
func (s *store) has(h plumbing.Hash) bool { return s.git.HasEncodedObject(h) == nil }

func (s *store) commit(h plumbing.Hash) (*object.Commit, error) {
	c, err := object.GetCommit(s.git, h)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, fmt.Errorf("revision %s is %w: fetch it first", h, errMissing)
	}
	return c, s.readError("commit", h, err)
}

// entries are what a directory holds; nothing for the zero hash.
func (s *store) entries(dir plumbing.Hash) ([]object.TreeEntry, error) {
	if dir.IsZero() || dir == tree.Empty {
		return nil, nil
	}
	t, err := object.GetTree(s.git, dir)
	if err != nil {
		return nil, s.readError("tree", dir, err)
	}
	return t.Entries, nil
}

// blob reads a file's content.
func (s *store) blob(h plumbing.Hash) ([]byte, error) {
	o, err := s.git.EncodedObject(plumbing.BlobObject, h)
	if err != nil {
		return nil, s.readError("blob", h, err)
	}
	return s.content(o)
}

func (s *store) content(o plumbing.EncodedObject) ([]byte, error) {
	r, err := o.Reader()
	if err != nil {
		return nil, s.readError("blob", o.Hash(), err)
	}
	defer r.Close()
	data := make([]byte, o.Size())
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, s.readError("blob", o.Hash(), err)
	}
	return data, nil
}

// errMissing: an object isn't here, which is damage only where the revision was complete.
var errMissing = errors.New("not in the local cache")

func (s *store) readError(kind string, h plumbing.Hash, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return fmt.Errorf("%s %s: %w", kind, h, errMissing)
	}
	s.damaged = true
	return fmt.Errorf("%s %s: the local cache is damaged and gets rebuilt by the next fetch: %w", kind, h, err)
}

// writeError tells a directory that can't be used from one whose content is wrong.
func (s *store) writeError(err error) error {
	for _, plain := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, fs.ErrPermission} {
		if errors.Is(err, plain) {
			return dirError(s.dir, err)
		}
	}
	s.damaged = true
	return fmt.Errorf("write to the local cache: %w", err)
}
