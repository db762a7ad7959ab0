package model

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	gitobject "github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"sigs.k8s.io/yaml"
)

// Branch is the other side: the main branch of a bare repository, as people with a clone of it see it.
type Branch struct{ Dir string }

// file is a YAML file as the documents in it.
type file []string

func split(text string) file {
	var documents file
	for _, document := range strings.Split("\n"+text, "\n---\n") {
		if document = strings.TrimPrefix(document, "\n"); strings.TrimSpace(document) != "" {
			if !strings.HasSuffix(document, "\n") {
				document += "\n" // which the separator has taken
			}
			documents = append(documents, document)
		}
	}
	return documents
}

func (f file) String() string { return strings.Join(f, "---\n") }

// place is where the document of an object stands.
type place struct {
	file  string
	index int
}

// revision is the branch at one moment.
type revision struct {
	tip    string
	files  map[string]file
	fields map[object]Fields
	places map[object]place
}

func (r revision) text(o object) string {
	at, ok := r.places[o]
	if !ok {
		return ""
	}
	return r.files[at.file][at.index]
}

// now reads the tip.
func (b Branch) now() (r revision, err error) {
	repository := filesystem.NewStorage(osfs.New(b.Dir), cache.NewObjectLRUDefault())
	ref, err := repository.Reference(plumbing.NewBranchReferenceName("main"))
	if err != nil {
		return r, err
	}
	commit, err := gitobject.GetCommit(repository, ref.Hash())
	if err != nil {
		return r, err
	}
	files, err := commit.Files()
	if err != nil {
		return r, err
	}
	r = revision{tip: ref.Hash().String(), files: map[string]file{}, fields: map[object]Fields{}, places: map[object]place{}}
	return r, files.ForEach(func(f *gitobject.File) error {
		if path.Ext(f.Name) != ".yaml" || strings.HasPrefix(f.Name, ".") {
			return nil
		}
		reader, err := f.Reader()
		if err != nil {
			return err
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			return err
		}
		return r.take(f.Name, split(string(content)))
	})
}

func (r revision) take(name string, documents file) error {
	r.files[name] = documents
	for i, text := range documents {
		content := map[string]any{}
		if err := yaml.Unmarshal([]byte(text), &content); err != nil {
			return fmt.Errorf("%s: %w\n%s", name, err, text)
		}
		o, fields := read(content)
		if before, twice := r.places[o]; twice {
			return fmt.Errorf("%v stands in %s and in %s", o, before.file, name)
		}
		r.fields[o], r.places[o] = fields, place{name, i}
	}
	return nil
}

// commit changes files as a person does; one without documents is removed.
func (b Branch) commit(ctx context.Context, from, message string, files map[string]file) error {
	var in strings.Builder
	fmt.Fprintf(&in, "commit refs/heads/main\ncommitter P <p@example.com> now\ndata %d\n%s\n", len(message), message)
	if from != "" {
		fmt.Fprintf(&in, "from %s\n", from)
	}
	for name, documents := range files {
		if len(documents) == 0 {
			fmt.Fprintf(&in, "D %s\n", name)
			continue
		}
		text := documents.String()
		fmt.Fprintf(&in, "M 644 inline %s\ndata %d\n%s\n", name, len(text), text)
	}
	cmd := exec.CommandContext(ctx, "git", "-C", b.Dir, "fast-import", "--quiet", "--date-format=now")
	cmd.Stdin = strings.NewReader(in.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git fast-import: %w: %s", err, out)
	}
	return nil
}

// patches are all changes that commits have made since a revision, on all ways that lead to the tip.
func (b Branch) patches(ctx context.Context, since string) (string, error) {
	return b.git(ctx, "log", "-p", "-m", "--format=%H %s", since+"..main")
}

// descends fails where the branch doesn't continue an earlier revision.
func (b Branch) descends(ctx context.Context, from string) error {
	_, err := b.git(ctx, "merge-base", "--is-ancestor", from, "main")
	return err
}

func (b Branch) git(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", b.Dir}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %v: %w: %s", args, err, out)
	}
	return string(out), nil
}

// Begin makes the branch.
func (b Branch) Begin(ctx context.Context, namespace, label string) error {
	for _, setting := range [][]string{{"gc.auto", "0"}, {"receive.autogc", "false"}} {
		if _, err := b.git(ctx, "config", setting[0], setting[1]); err != nil {
			return err
		}
	}
	keeper := document(object{"ConfigMap", "keeper"}, namespace, label, Fields{"k0": "for-ever"})
	return b.commit(ctx, "", "Begin", map[string]file{"README.md": {"Our clusters.\n"}, "people/one.yaml": {keeper}})
}

// put makes an object what is wanted, as a person edits a file; nil takes it out. The file is that of a new object.
func (b Branch) put(ctx context.Context, o object, fields Fields, newFile, namespace, label string) error {
	for {
		now, err := b.now()
		if err != nil {
			return err
		}
		at, there := now.places[o]
		if !there {
			at = place{newFile, len(now.files[newFile])}
		}
		documents := slices.Clone(now.files[at.file])
		switch {
		case fields == nil:
			documents = slices.Delete(documents, at.index, at.index+1)
		case there:
			documents[at.index] = edited(documents[at.index], o, now.fields[o], fields, namespace, label)
		default:
			documents = append(documents, document(o, namespace, label, fields))
		}
		if raced, err := b.attempt(ctx, now.tip, "Edit "+o.name, map[string]file{at.file: documents}); !raced {
			return err
		}
	}
}

// move takes an object's document into another file.
func (b Branch) move(ctx context.Context, o object, to string) error {
	for {
		now, err := b.now()
		if err != nil {
			return err
		}
		at, there := now.places[o]
		if !there || at.file == to {
			return nil
		}
		files := map[string]file{
			at.file: slices.Delete(slices.Clone(now.files[at.file]), at.index, at.index+1),
			to:      append(slices.Clone(now.files[to]), now.text(o)),
		}
		if raced, err := b.attempt(ctx, now.tip, "Move "+o.name, files); !raced {
			return err
		}
	}
}

// attempt commits on top of a tip, unless that has been left behind.
func (b Branch) attempt(ctx context.Context, tip, message string, files map[string]file) (raced bool, err error) {
	err = b.commit(ctx, tip, message, files)
	if err == nil {
		return false, nil
	}
	now, readErr := b.now()
	return readErr == nil && now.tip != tip, err
}

// edited is a document after a person's edit: a value is replaced where it stands, a line of settings is taken
// out; for everything else the person writes the document anew.
func edited(text string, o object, from, to Fields, namespace, label string) string {
	for field := range union(from, to) {
		old, now := from[field], to[field]
		switch {
		case old == now:
		case old != "" && now != "":
			text = strings.ReplaceAll(text, old, now)
		case old != "" && o.kind == "ConfigMap" && len(to) > 0:
			lines := strings.SplitAfter(text, "\n")
			text = strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, old) }), "")
		default:
			return document(o, namespace, label, to)
		}
	}
	return text
}
