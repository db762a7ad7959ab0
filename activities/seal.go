package activities

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"golang.org/x/sync/errgroup"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// sealed is what a worker remembers of its last Commit: the tree that Git holds, in which the files of Secrets
// are encrypted. It is a cache: without it each Secret of Git is decrypted once, to see whether it is the one
// of the cluster.
type sealed struct {
	repository *repo.Repository
	rules      string
	revision   plumbing.Hash
	// live is the tree of the cluster that git was made from.
	live, git tree.Tree
	// failed are the Secrets that can't be encrypted, by path.
	failed map[string]workflows.Failure
}

// sealing makes the tree that Git shall hold. Plaintext is in memory only while it runs.
type sealing struct {
	*view
	repository *repo.Repository
	// stored are the files of Secrets that differ in Git since the last time.
	stored map[string]plumbing.Hash
	last   sealed
	tree   *tree.Editor

	mu sync.Mutex
	// content are the files that are encrypted anew, by path.
	content map[string][]byte
	failed  map[string]workflows.Failure
}

// seal makes the tree that Git shall hold: the cluster's, with an encrypted file in the place of each Secret.
// That is the file that Git has where it holds the same Secret for the same recipients, and a new one
// otherwise. It costs what changed on the two sides.
func (a *Activities) seal(ctx context.Context, v *view, repository *repo.Repository, tip plumbing.Hash, p *progress) (*sealing, error) {
	s := &sealing{view: v, repository: repository, content: map[string][]byte{}, stored: map[string]plumbing.Hash{}}
	if v.Keys.Empty() {
		s.tree = tree.NewEditor(v.live)
		return s, nil
	}
	if a.sealed.repository == repository && a.sealed.rules == v.Digest() {
		s.last = a.sealed
	}
	changes, err := repository.Changes(s.last.revision, tip)
	if err != nil && !s.last.revision.IsZero() {
		s.last = sealed{} // it isn't in the store any more
		changes, err = repository.Changes(plumbing.ZeroHash, tip)
	}
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		if !manifest.IsSecretPath(c.Path) {
			continue
		}
		s.stored[c.Path] = c.To
		if c.Obstacle != "" {
			s.stored[c.Path] = plumbing.ZeroHash
		}
	}
	s.failed = map[string]workflows.Failure{}
	maps.Copy(s.failed, s.last.failed)
	return s, s.encryptChanged(ctx, s.follow(), p)
}

// follow brings the tree of the last time to the cluster's now, and lists the Secrets to look at: those that
// changed in the cluster or in Git.
func (s *sealing) follow() []tree.Change {
	s.tree = tree.NewEditor(s.last.git)
	look := map[string]plumbing.Hash{}
	for _, c := range tree.Diff(s.last.live, s.live) {
		delete(s.failed, c.Path)
		switch {
		case c.To.IsZero():
			s.tree.Remove(c.Path)
		case manifest.IsSecretPath(c.Path):
			look[c.Path] = c.To
		default:
			s.tree.Put(c.Path, c.To)
		}
	}
	for path := range s.stored {
		if hash, ok := s.live.Get(path); ok {
			look[path] = hash
		}
	}
	changes := make([]tree.Change, 0, len(look))
	for _, path := range slices.Sorted(maps.Keys(look)) {
		changes = append(changes, tree.Change{Path: path, To: look[path]})
	}
	return changes
}

// encryptChanged finds or makes the encrypted file of each of some Secrets.
func (s *sealing) encryptChanged(ctx context.Context, changes []tree.Change, p *progress) error {
	var missing []tree.Change
	err := s.each(ctx, changes, func(c tree.Change) {
		hash, same := s.inGit(c)
		s.mu.Lock()
		defer s.mu.Unlock()
		if same {
			s.tree.Put(c.Path, hash)
		} else {
			missing = append(missing, c)
		}
	})
	if err != nil || len(missing) == 0 {
		return err
	}
	p.say("encrypting %d Secrets", len(missing))
	plaintext, err := s.index.Content(ctx, missing)
	if err != nil {
		return err
	}
	if len(plaintext) < len(missing) {
		return fmt.Errorf("%w: %d of %d Secrets changed meanwhile", repo.ErrStale, len(missing)-len(plaintext), len(missing))
	}
	return s.each(ctx, missing, func(c tree.Change) { s.encrypt(c.Path, plaintext[c.Path]) })
}

// each handles Secrets on all processors: encryption is nothing but arithmetic.
func (s *sealing) each(ctx context.Context, changes []tree.Change, do func(tree.Change)) error {
	group := new(errgroup.Group)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, c := range changes {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error { do(c); return nil })
	}
	_ = group.Wait()
	return ctx.Err()
}

// inGit is the file that Git has for a Secret, if it is the Secret as it is in the cluster, encrypted for the
// recipients of now.
func (s *sealing) inGit(c tree.Change) (plumbing.Hash, bool) {
	hash, changed := s.stored[c.Path]
	if !changed {
		hash, _ = s.last.git.Get(c.Path)
	}
	if hash.IsZero() {
		return hash, false
	}
	file, err := s.repository.Read(hash)
	return hash, err == nil && s.Holds(file, c.To)
}

// encrypt makes a new file, and sees to it that what can be read from it is what was put in. A Secret for
// which that fails keeps the file that it has, and holds up nothing else.
func (s *sealing) encrypt(path string, plaintext []byte) {
	file, err := secrets.Seal(s.Keys, plaintext, func(readable []byte) error {
		if content, ok := manifest.Canonical(readable); !ok || !bytes.Equal(content, plaintext) {
			return errors.New("what sops reads from it isn't what was encrypted")
		}
		return nil
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.failed[path] = workflows.Failure{Object: manifest.ObjectName(path), Message: "it can't be stored encrypted: " + err.Error()}
		if hash, ok := s.stored[path]; ok && !hash.IsZero() {
			s.tree.Put(path, hash)
		}
		return
	}
	s.content[path] = file
	s.tree.Put(path, manifest.Hash(file))
}

// contents answers for the files that are to be pushed.
func (s *sealing) contents(ctx context.Context, missing []tree.Change) (map[string][]byte, error) {
	others := slices.DeleteFunc(slices.Clone(missing), func(c tree.Change) bool { return s.content[c.Path] != nil })
	content, err := s.index.Content(ctx, others)
	if err != nil {
		return nil, err
	}
	for _, c := range missing {
		if file := s.content[c.Path]; file != nil {
			content[c.Path] = file
		}
	}
	return content, nil
}

// files are what lies beside the manifests.
func (s *sealing) files(marker []byte) map[string][]byte {
	files := map[string][]byte{manifest.MarkerFile: marker}
	if !s.Keys.Empty() {
		files[secrets.ConfigFile] = secrets.Config(s.Keys)
	}
	return files
}

// remember keeps what Git holds now for the next time.
func (s *sealing) remember(revision plumbing.Hash) sealed {
	if s.Keys.Empty() {
		return sealed{}
	}
	return sealed{
		repository: s.repository, rules: s.Digest(), revision: revision,
		live: s.live, git: s.tree.Tree(), failed: s.failed,
	}
}

// failures lists the Secrets that could not be encrypted.
func (s *sealing) failures() []workflows.Failure {
	return slices.SortedFunc(maps.Values(s.failed), func(x, y workflows.Failure) int { return cmp.Compare(x.Object, y.Object) })
}
