package repo_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

var stack *stacktest.Stack

func TestMain(m *testing.M) {
	stacktest.Main(m, stacktest.Options{Git: true}, func(s *stacktest.Stack) error {
		stack = s
		return nil
	})
}

// origin is a bare repository on the real Git server, with a clone in which a person works.
type origin struct {
	testing.TB
	name, url, token string
	bare, work       string
}

func newOrigin(t testing.TB) *origin {
	t.Helper()
	id := make([]byte, 6)
	_, _ = rand.Read(id)
	o := &origin{TB: t, name: "repo-" + hex.EncodeToString(id), work: t.TempDir()}
	o.token = "token-of-" + o.name
	require.NoError(t, stack.AddRepo(t.Context(), o.name, o.token))
	o.url, o.bare = stack.RepoURL(o.name), stack.RepoDir(o.name)
	o.git(o.work, "init", "--quiet", "--initial-branch=main")
	o.git(o.work, "remote", "add", "origin", o.bare)
	return o
}

// git runs the git command line in a directory and returns its output.
func (o *origin) git(dir string, args ...string) string {
	o.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_AUTHOR_NAME=A Person", "GIT_AUTHOR_EMAIL=person@example.com",
		"GIT_COMMITTER_NAME=A Person", "GIT_COMMITTER_EMAIL=person@example.com")
	out, err := cmd.CombinedOutput()
	require.NoError(o, err, "git %s: %s", strings.Join(args, " "), out)
	return strings.TrimRight(string(out), "\n")
}

// server runs the git command line in the bare repository.
func (o *origin) server(args ...string) string {
	o.Helper()
	return o.git(o.bare, args...)
}

// write puts files into the clone; a nil content removes one.
func (o *origin) write(files map[string]string) {
	o.Helper()
	for name, content := range files {
		path := filepath.Join(o.work, name)
		require.NoError(o, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(o, os.WriteFile(path, []byte(content), 0o644))
	}
}

// commit commits what is in the clone and pushes it over what the branch holds.
func (o *origin) commit(files map[string]string) plumbing.Hash {
	o.Helper()
	o.write(files)
	o.git(o.work, "add", "--all")
	o.git(o.work, "commit", "--quiet", "--allow-empty", "-m", "by hand")
	return o.force("HEAD")
}

// force moves the branch.
func (o *origin) force(to string) plumbing.Hash {
	o.Helper()
	o.git(o.work, "push", "--quiet", "--force", "origin", to+":refs/heads/main")
	return plumbing.NewHash(o.git(o.work, "rev-parse", to))
}

// catchUp takes over into the clone what was pushed to the branch.
func (o *origin) catchUp() {
	o.Helper()
	o.git(o.work, "fetch", "--quiet", "origin", "main")
	o.git(o.work, "reset", "--quiet", "--hard", "FETCH_HEAD")
}

// files are the paths of the branch, with their modes when it isn't that of a regular file.
func (o *origin) files() []string {
	o.Helper()
	var files []string
	for line := range strings.Lines(o.server("ls-tree", "-r", "main")) {
		meta, path, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if mode, _, _ := strings.Cut(meta, " "); mode != "100644" {
			path += " " + mode
		}
		files = append(files, path)
	}
	return files
}

// sound checks each object of the bare repository.
func (o *origin) sound() {
	o.Helper()
	out := o.server("fsck", "--strict", "--full", "--no-dangling")
	require.Empty(o, out, "git fsck")
}

func (o *origin) options() repo.Options {
	return repo.Options{
		URL: o.url,
		Credentials: func(context.Context) (repo.Credentials, error) {
			token, err := stack.Token(o.name)
			return repo.Credentials{Username: "git", Password: token}, err
		},
	}
}

// open opens the repository as changed by the functions given.
func (o *origin) open(change ...func(*repo.Options)) *repo.Repository {
	o.Helper()
	options := o.options()
	for _, c := range change {
		c(&options)
	}
	r, err := repo.Open(options)
	require.NoError(o, err)
	o.Cleanup(func() { require.NoError(o, r.Close()) })
	return r
}

func at(path string) func(*repo.Options)        { return func(o *repo.Options) { o.Path = path } }
func in(dir string) func(*repo.Options)         { return func(o *repo.Options) { o.Dir = dir } }
func by(front *front) func(*repo.Options)       { return func(o *repo.Options) { o.URL = front.url } }
func after(d time.Duration) func(*repo.Options) { return func(o *repo.Options) { o.Timeout = d } }

// front stands before the real server: it counts the requests and may spoil them.
type front struct {
	url   string
	proxy *httputil.ReverseProxy

	mu       sync.Mutex
	requests []string
	fault    func(w http.ResponseWriter, r *http.Request) (handled bool)
}

func (o *origin) front() *front {
	target, err := url.Parse(o.url)
	require.NoError(o, err)
	f := &front{proxy: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: target.Scheme, Host: target.Host})}
	f.proxy.ErrorLog = silent
	server := httptest.NewServer(f)
	o.Cleanup(server.Close)
	f.url = server.URL + target.Path
	return f
}

// silent is for servers whose clients go away on purpose.
var silent = log.New(io.Discard, "", 0)

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r.Method+" "+filepath.Base(r.URL.Path))
	fault := f.fault
	f.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	f.proxy.ServeHTTP(w, r)
}

// spoil sets what happens to requests from now on; nil for nothing.
func (f *front) spoil(fault func(http.ResponseWriter, *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// unfiltered hides from the client that the server can leave out files.
func (f *front) unfiltered(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasSuffix(r.URL.Path, "info/refs") {
		return false
	}
	whole := httptest.NewRecorder()
	f.proxy.ServeHTTP(whole, r)
	w.Header().Set("Content-Type", whole.Header().Get("Content-Type"))
	w.WriteHeader(whole.Code)
	_, _ = w.Write(bytes.ReplaceAll(whole.Body.Bytes(), []byte(" filter"), []byte(" hidden"))) // of the same length
	return true
}

// counted returns the requests since the last call.
func (f *front) counted() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	requests := f.requests
	f.requests = nil
	return requests
}

// manifests are files as a push takes them.
type manifests map[string]string

func (m manifests) tree() tree.Tree {
	return tree.Tree{}.Edit(func(e *tree.Editor) {
		for path, content := range m {
			e.Put(path, plumbing.ComputeHash(plumbing.BlobObject, []byte(content)))
		}
	})
}

func (m manifests) content(_ context.Context, missing []tree.Change) (map[string][]byte, error) {
	data := map[string][]byte{}
	for _, c := range missing {
		if content, ok := m[c.Path]; ok {
			data[c.Path] = []byte(content)
		}
	}
	return data, nil
}

func (m manifests) push(parent plumbing.Hash) repo.Push {
	return repo.Push{Parent: parent, Desired: m.tree(), Content: m.content}
}

// files are the content for an edit.
func (m manifests) files() map[string][]byte {
	files := map[string][]byte{}
	for path, content := range m {
		files[path] = []byte(content)
	}
	return files
}

// push pushes and checks what the remote holds afterwards.
func (o *origin) push(r *repo.Repository, p repo.Push) repo.Pushed {
	o.Helper()
	pushed, err := r.Push(o.Context(), p)
	require.NoError(o, err)
	require.Equal(o, o.server("rev-parse", "main"), pushed.Revision.String())
	o.sound()
	return pushed
}

// edit edits and checks what the remote holds afterwards.
func (o *origin) edit(r *repo.Repository, e repo.Edit) repo.Pushed {
	o.Helper()
	edited, err := r.Edit(o.Context(), e)
	require.NoError(o, err)
	require.Equal(o, o.server("rev-parse", "main"), edited.Revision.String())
	o.sound()
	return edited
}

// paths are what a list of changes is about.
func paths(changes []tree.Change) []string {
	var list []string
	for _, c := range changes {
		sign := "~"
		switch {
		case c.From.IsZero():
			sign = "+"
		case c.To.IsZero():
			sign = "-"
		}
		list = append(list, sign+c.Path)
	}
	return list
}

// diskUsage is the size of all files below a directory.
func diskUsage(t testing.TB, dir string) (size int64) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	}))
	return size
}

func many(n int, revision string) manifests {
	m := manifests{}
	for i := range n {
		m[fmt.Sprintf("namespaces/ns-%03d/configmaps/cm-%05d.yaml", i/50, i)] = fmt.Sprintf(
			"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: cm-%05d\n  namespace: ns-%03d\ndata:\n  revision: %q\n  key: %x\n",
			i, i/50, revision, i*7919)
	}
	return m
}

func (o *origin) writeExecutable(path, content string) {
	o.Helper()
	require.NoError(o, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(o, os.WriteFile(path, []byte(content), 0o755))
}

// objects is the number of objects in the bare repository.
func (o *origin) objects() int {
	o.Helper()
	return len(strings.Split(o.server("cat-file", "--batch-all-objects", "--batch-check"), "\n"))
}
