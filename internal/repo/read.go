package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// MaxFileSize is the size in bytes from which on a file's content is not read, and not fetched where the
// server can leave it out.
const MaxFileSize = 32 << 20

// FileEntry is a source of a revision: a file to read objects from, or an obstacle.
type FileEntry struct {
	Path string // relative to Options.Path
	Hash plumbing.Hash
	// Size is in bytes. It is MaxFileSize for a file of that size or more whose content isn't here.
	Size int64
	// Obstacle says why it can't be read, and what to do; empty where it can.
	Obstacle string
}

// Change is a source that differs between two revisions.
type Change struct {
	tree.Change
	// Obstacle says why what is there now can't be read, and what to do; empty where it can.
	Obstacle string
}

// The reading methods take revisions that were fetched or pushed. The zero hash stands for a branch that
// doesn't exist, and holds nothing.

// Files lists the regular *.yaml, *.yml and *.json files of a revision, the files of a directory before those
// of the directories below it, and in between the obstacles: what a person may take for files with objects,
// and isn't read. What is hidden (a name that starts with a dot) is left out.
func (r *Repository) Files(revision plumbing.Hash) ([]FileEntry, error) {
	var files []FileEntry
	err := r.with(func(s *store) error {
		return s.compare(plumbing.ZeroHash, revision, r.path, func(c Change) (err error) {
			entry := FileEntry{Path: c.Path, Hash: c.To, Obstacle: c.Obstacle}
			if c.Obstacle == "" {
				entry.Size, err = s.size(c.To)
			}
			files = append(files, entry)
			return err
		})
	})
	return files, err
}

// Changes lists which of these differ between two revisions. It costs what differs.
func (r *Repository) Changes(from, to plumbing.Hash) ([]Change, error) {
	var changes []Change
	err := r.with(func(s *store) error {
		return s.compare(from, to, r.path, func(c Change) error {
			changes = append(changes, c)
			return nil
		})
	})
	return changes, err
}

// Read returns the content of a file by its hash; ErrTooLarge from MaxFileSize on.
func (r *Repository) Read(file plumbing.Hash) (data []byte, err error) {
	err = r.with(func(s *store) error {
		data, err = s.read(file)
		return err
	})
	return data, err
}

// ReadFile returns the content of a regular file of any name, given relative to Options.Path. The error
// is fs.ErrNotExist when there is none, ErrTooLarge from MaxFileSize on.
func (r *Repository) ReadFile(revision plumbing.Hash, name string) (data []byte, err error) {
	err = r.with(func(s *store) error {
		dir, file := path.Split(name)
		parts, err := splitPath(dir)
		if err != nil {
			return err
		}
		found, err := s.directory(revision, append(slices.Clip(r.path), parts...))
		if err != nil {
			return err
		}
		entries, err := s.entries(found)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Name == file && isRegular(e.Mode) {
				data, err = s.read(e.Hash)
				return err
			}
		}
		return fs.ErrNotExist
	})
	if err != nil {
		return nil, fmt.Errorf("read %s of revision %s: %w", name, short(revision), err)
	}
	return data, nil
}

// maxOccupied is the length of the list of Occupied.
const maxOccupied = 20

// Occupied lists what makes a revision not empty for an initial push, 20 paths at most, relative to the
// root of the repository. A repository with a README, a licence and the like at its top is empty; a
// directory given as Options.Path is only when it doesn't exist.
func (r *Repository) Occupied(revision plumbing.Hash) ([]string, error) {
	var paths []string
	err := r.with(func(s *store) error {
		root, err := s.directory(revision, nil)
		if err != nil {
			return err
		}
		if len(r.path) == 0 {
			return s.walk(root, "", func(path string, e object.TreeEntry) bool {
				if !(isRegular(e.Mode) && unimportant(path)) {
					paths = append(paths, path)
				}
				return len(paths) < maxOccupied
			})
		}
		dir, err := s.directory(revision, r.path)
		if errors.Is(err, errNoDirectory) {
			paths = append(paths, strings.Join(r.path, "/"))
			return nil
		}
		if err != nil || dir.IsZero() {
			return err
		}
		return s.walk(dir, strings.Join(r.path, "/")+"/", func(path string, _ object.TreeEntry) bool {
			paths = append(paths, path)
			return len(paths) < maxOccupied
		})
	})
	return paths, err
}

// unimportant tells the files that a Git server offers to put into a new repository.
func unimportant(path string) bool {
	return !strings.Contains(path, "/") && (strings.HasPrefix(path, "README") || strings.HasPrefix(path, "LICENSE") ||
		path == "CODEOWNERS" || path == ".gitignore" || path == ".gitattributes")
}

func isHidden(name string) bool { return strings.HasPrefix(name, ".") }

func isYAML(name string) bool {
	return strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

func isRegular(m filemode.FileMode) bool { return m == filemode.Regular || m == filemode.Executable }

// isManifest tells the files that a push owns.
func isManifest(e object.TreeEntry) bool {
	return isRegular(e.Mode) && isYAML(e.Name) && !isHidden(e.Name)
}

func short(revision plumbing.Hash) string { return revision.String()[:10] }

// errNoDirectory: something else stands where Options.Path needs a directory. It is an error rather than
// an empty directory, because an empty one would mean that each file is gone.
var errNoDirectory = errors.New("not a directory")

// directory is the tree at a path of a revision; zero when there is none.
func (s *store) directory(revision plumbing.Hash, path []string) (plumbing.Hash, error) {
	if revision.IsZero() {
		return plumbing.ZeroHash, nil
	}
	c, err := s.commit(revision)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	dir := c.TreeHash
	for i, name := range path {
		entries, err := s.entries(dir)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		at := slices.IndexFunc(entries, func(e object.TreeEntry) bool { return e.Name == name })
		if at < 0 {
			return plumbing.ZeroHash, nil
		}
		if entries[at].Mode != filemode.Dir {
			return plumbing.ZeroHash, fmt.Errorf("%s in revision %s is %s, %w",
				strings.Join(path[:i+1], "/"), short(revision), nameOf(entries[at].Mode), errNoDirectory)
		}
		dir = entries[at].Hash
	}
	return dir, nil
}

// walk visits what isn't a directory below one, until it is told to stop.
func (s *store) walk(dir plumbing.Hash, prefix string, visit func(string, object.TreeEntry) bool) error {
	_, err := s.walkOn(dir, prefix, visit)
	return err
}

func (s *store) walkOn(dir plumbing.Hash, prefix string, visit func(string, object.TreeEntry) bool) (bool, error) {
	entries, err := s.entries(dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		var on bool
		if e.Mode == filemode.Dir {
			on, err = s.walkOn(e.Hash, prefix+e.Name+"/", visit)
		} else {
			on = visit(prefix+e.Name, e)
		}
		if err != nil || !on {
			return false, err
		}
	}
	return true, nil
}

// size is the length of a file. A file that isn't here, where its directory is, is one that the server was
// asked to leave out.
func (s *store) size(file plumbing.Hash) (int64, error) {
	size, err := s.git.EncodedObjectSize(file)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return MaxFileSize, nil
	}
	return size, s.readError("blob", file, err)
}

func (s *store) read(file plumbing.Hash) ([]byte, error) {
	o, err := s.git.EncodedObject(plumbing.BlobObject, file)
	switch {
	case err == nil && o.Size() < MaxFileSize:
		return s.content(o)
	case err != nil && !errors.Is(err, plumbing.ErrObjectNotFound):
		return nil, s.readError("blob", file, err)
	}
	if _, err := s.size(file); err != nil { // a damaged pack can look as if the object was missing
		return nil, err
	}
	return nil, fmt.Errorf("%w: the limit is %d MiB, and %s has more or was never fetched",
		ErrTooLarge, MaxFileSize>>20, file)
}
