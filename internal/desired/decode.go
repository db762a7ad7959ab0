package desired

import (
	"runtime"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"golang.org/x/sync/errgroup"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// decoded is what decode makes of a file: its documents, decrypted where they are encrypted. If that isn't
// possible, sealed says why, and the documents are as they lie in Git.
type decoded struct {
	documents []manifest.Document
	sealed    string
	problems  []manifest.Problem
}

// decodeAll decodes files on all processors, somewhat ahead of take, which gets them in their order.
func (d *State) decodeAll(files []tree.Change, take func(tree.Change, decoded)) {
	processors := runtime.GOMAXPROCS(0)
	ahead := make(chan chan decoded, 2*processors)
	go func() {
		group := new(errgroup.Group)
		group.SetLimit(processors)
		for _, c := range files {
			content := make(chan decoded, 1)
			ahead <- content
			group.Go(func() error { content <- d.decode(c.Path, c.To); return nil })
		}
	}()
	for _, c := range files {
		take(c, <-<-ahead)
	}
}

func (d *State) decode(path string, blob plumbing.Hash) decoded {
	content, err := d.repository.Read(blob)
	if err != nil {
		return decoded{problems: []manifest.Problem{{File: path, Line: 1, Message: err.Error()}}}
	}
	documents, problems := manifest.Decode(path, content)
	if !slices.ContainsFunc(documents, func(doc manifest.Document) bool { return doc.Sealed }) {
		return decoded{documents: documents, problems: problems}
	}
	plaintext, err := secrets.Open(d.rules.Keys, content)
	if err != nil {
		return decoded{documents, err.Error(), problems}
	}
	opened, problems := manifest.Decode(path, plaintext)
	if len(opened) == len(documents) {
		for i := range opened {
			opened[i].Line, opened[i].Sealed = documents[i].Line, documents[i].Sealed // decryption writes the file anew
		}
	}
	return decoded{documents: opened, problems: problems}
}
