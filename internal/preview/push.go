package preview

import (
	"context"
	"errors"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
	"github.com/active-cluster-sync/active-cluster-sync/internal/terms"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// Push tells what the next commit on top of the revision would hold. Pushed is the revision that this enrolment
// pushed last; zero for none.
func Push(ctx context.Context, s Sides, pushed plumbing.Hash) (Preview, error) {
	p := &pushing{Sides: s, live: s.Rules.Within(s.Snapshot.Tree)}
	if !s.Revision.IsZero() {
		s.Say("reading revision %s", short(s.Revision))
		if err := s.Repository.Fetch(ctx, s.Revision); err != nil {
			return Preview{}, err
		}
		err := terms.MayPush(ctx, s.Repository, s.Config, s.Revision, pushed)
		var refusal *terms.Refusal
		if errors.As(err, &refusal) {
			return refused(s, refusal.Message), nil
		}
		if err != nil {
			return Preview{}, err
		}
	}
	return p.preview(ctx)
}

func (p *pushing) preview(ctx context.Context) (Preview, error) {
	for _, step := range []func(context.Context) error{p.readSettled, p.commit} {
		if err := step(ctx); err != nil {
			return Preview{}, err
		}
	}
	return of(p.Sides, append(p.changes, unread(p.Snapshot)...)), nil
}

// pushing is one run of Push.
type pushing struct {
	Sides
	live tree.Tree
	// known: what Git held when both sides agreed last can be had. moved is what it held of the files that are
	// different now.
	known   bool
	moved   map[string]plumbing.Hash
	changes []Change
}

// readSettled finds the files that have changed in Git since both sides agreed.
func (p *pushing) readSettled(ctx context.Context) error {
	if p.Settled.IsZero() {
		return nil
	}
	switch err := p.Repository.Fetch(ctx, p.Settled); {
	case errors.Is(err, repo.ErrMoved):
		return nil // the Git host doesn't hand it out any more
	case err != nil:
		return err
	}
	// Having fetched an older revision, the store may have made room for it.
	if err := p.Repository.Fetch(ctx, p.Revision); err != nil {
		return err
	}
	changes, err := p.Repository.Changes(p.Settled, p.Revision)
	if err != nil {
		return err
	}
	p.known, p.moved = true, map[string]plumbing.Hash{}
	for _, c := range changes {
		p.moved[c.Path] = c.From
	}
	return nil
}

// commit finds the files that would be written or taken away.
func (p *pushing) commit(ctx context.Context) error {
	p.Say("comparing %d objects with revision %s", p.live.Len(), name(p.Revision))
	files, err := p.desired()
	if err != nil {
		return err
	}
	left := p.Rules.Within(p.Snapshot.Left)
	changes, err := p.Repository.Preview(ctx, repo.Push{
		Parent: p.Revision, Desired: files,
		Keep: func(path string) bool { return p.Rules.Leaves(path, left, p.Snapshot.Knows) },
	})
	if err != nil {
		return err
	}
	var ask []tree.Change
	for _, c := range changes {
		if live, ok := p.live.Get(c.Path); ok && !c.To.IsZero() {
			ask = append(ask, tree.Change{Path: c.Path, To: live})
		}
	}
	p.Say("reading %d objects of the cluster", len(ask))
	content, err := p.Index.Content(ctx, ask)
	if err != nil {
		return err
	}
	for _, c := range changes {
		p.changes = append(p.changes, p.file(c, content[c.Path]))
	}
	return nil
}

// desired is the tree that Git shall hold: the cluster's, with the file that Git has in the place of each Secret
// that it holds already.
func (p *pushing) desired() (tree.Tree, error) {
	if p.Rules.Keys.Empty() {
		return p.live, nil
	}
	files, err := p.Repository.Changes(plumbing.ZeroHash, p.Revision)
	if err != nil {
		return tree.Tree{}, err
	}
	return p.live.Edit(func(e *tree.Editor) {
		for _, f := range files {
			if live, ok := p.live.Get(f.Path); ok && manifest.IsSecretPath(f.Path) && p.holds(f.To, live) {
				e.Put(f.Path, f.To)
			}
		}
	}), nil
}

// holds reports whether a file is this Secret of the cluster.
func (p *pushing) holds(file, secret plumbing.Hash) bool {
	content, err := p.Repository.Read(file)
	return err == nil && p.Rules.Holds(content, secret)
}

// file is what would become of one file. The content is that of the live object; nil for none.
func (p *pushing) file(c tree.Change, content []byte) Change {
	change := Change{Object: manifest.ObjectName(c.Path), Action: Update, Direction: ToGit, File: c.Path}
	switch {
	case c.From.IsZero():
		change.Action = Create
	case c.To.IsZero():
		change.Action = Delete
	}
	change.Reason, change.Message = p.moves(c).pushCause()
	stored := p.stored(c.From)
	if c.To.IsZero() {
		content = nil
	} else if content == nil {
		change.Message += "; it is changing right now"
		return change
	}
	change.Diff, change.Masked = compared("git/"+c.Path, "cluster/"+c.Path, stored.content, content, stored.sealed)
	switch {
	case stored.unread != nil:
		change.Message += "; what Git holds can't be compared: " + stored.unread.Error()
	case change.Action == Update && change.Diff == "" && stored.sealed:
		change.Reason, change.Message = Recipients, resealed
	case change.Action == Update && change.Diff == "":
		change.Message += "; only the way that it is written differs"
	}
	return change
}

const resealed = "encrypted for others than the recipients of the enrolment: it is encrypted anew"

// moves tells which side has changed a file since both agreed.
func (p *pushing) moves(c tree.Change) moves {
	live, _ := p.live.Get(c.Path)
	if c.To.IsZero() {
		live = plumbing.ZeroHash
	}
	m := moves{known: p.known, then: c.From, git: c.From, live: live}
	if then, moved := p.moved[c.Path]; moved {
		m.then = then
	}
	m.edited = m.then != live
	if manifest.IsSecretPath(c.Path) && !p.Rules.Keys.Empty() {
		m.edited = !p.holds(m.then, live)
	}
	return m
}

// stored is a file in Git.
type stored struct {
	content []byte // decrypted where that is possible; nil for none
	sealed  bool   // it is encrypted
	unread  error  // why it can't be read or decrypted
}

func (p *pushing) stored(file plumbing.Hash) stored {
	if file.IsZero() {
		return stored{}
	}
	content, err := p.Repository.Read(file)
	if err != nil {
		return stored{content: []byte{}, unread: err}
	}
	documents, _ := manifest.Decode("", content)
	if !slices.ContainsFunc(documents, func(doc manifest.Document) bool { return doc.Sealed }) {
		return stored{content: content}
	}
	plaintext, err := secrets.Open(p.Rules.Keys, content)
	if err != nil {
		return stored{content, true, err}
	}
	canonical, ok := manifest.Canonical(plaintext)
	if !ok {
		return stored{content, true, errors.New("it isn't one object")}
	}
	return stored{content: canonical, sealed: true}
}
