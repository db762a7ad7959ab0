package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets/agekey"
	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// patient is an enrolled cluster in good health: it has a worker, something in Git, age keys, and under pull the
// lock. A gate stands before the Git server.
type patient struct {
	*world
	standin  *standin
	identity []byte
	git      *stacktest.Gate
	address  string // of the repository
	stop     func() // the worker
}

func newPatient(t *testing.T, strategy workflows.Strategy) *patient {
	t.Helper()
	p := &patient{world: newWorld(t), standin: &standin{}}
	p.git = stacktest.NewGate(t, p.stack.Env["GIT_URL"], http.DefaultTransport, nil)
	p.address = p.git.URL() + "/" + p.repo + ".git"
	var keys agekey.Keys
	p.identity, keys = newIdentity(t)
	files := map[string]string{"a.yaml": "a: 1\n", secrets.ConfigFile: string(secrets.Config(keys))}
	if strategy != workflows.Pull {
		files[".cluster-sync.yaml"] = fmt.Sprintf("layout: 1\ncluster: %s\nuid: %s\n", p.cluster, p.uid())
	}
	p.commit(files)
	p.stop = p.startWorker(p.standin)
	p.standin.set(func(s *standin) { s.revision = p.tip() })
	identityFile := filepath.Join(t.TempDir(), "identity")
	require.NoError(t, os.WriteFile(identityFile, p.identity, 0o600))
	require.Equal(t, done, p.enroll("--repo", p.address, "--strategy", string(strategy), "--age-key-file", identityFile).code)
	p.awaitState(workflows.InSync)
	if strategy == workflows.Pull {
		p.lock()
		p.Cleanup(func() { require.NoError(p, p.admin().RemoveLock(context.Background(), p.cluster)) })
	}
	return p
}

func newIdentity(t *testing.T) ([]byte, agekey.Keys) {
	t.Helper()
	identity, err := agekey.Generate()
	require.NoError(t, err)
	keys, err := agekey.Parse(identity, nil)
	require.NoError(t, err)
	return identity, keys
}

func (w *world) admin() *kube.Cluster {
	w.Helper()
	cluster, err := kube.Connect(w.stack.Kubeconfig(kubernetesName), "")
	require.NoError(w, err)
	return cluster
}

// in is the same for a part of the test.
func (w *world) in(t *testing.T) *world {
	t.Helper()
	part := *w
	part.T = t
	return &part
}

// lock puts up what the standin only says it has.
func (p *patient) lock() {
	p.Helper()
	_, err := p.admin().EnsureLock(p.Context(), kube.Lock{
		Cluster: p.cluster, Repository: p.url(), Branch: "main", Path: ".", BreakGlassGroup: workflows.DefaultBreakGlassGroup,
		Namespaces: workflows.DefaultIgnoredNamespaces(),
	})
	require.NoError(p, err)
}

// keep makes these the content of the Secret, beside what it has.
func (p *patient) keep(data map[string][]byte) {
	p.Helper()
	require.NoError(p, p.admin().WriteSecret(p.Context(), workflows.CredentialsNamespace, workflows.CredentialsSecret, data, nil))
}

// examined is what doctor says of a cluster.
type examined struct {
	*world
	answer
	diagnosis
}

func (w *world) doctor() examined {
	w.Helper()
	e := examined{world: w, answer: w.run("doctor", w.cluster, "-o", "json")}
	require.NoError(w, json.Unmarshal([]byte(e.out), &e.diagnosis))
	require.Len(w, e.Checks, len((&doctor{}).checks()))
	require.NotContains(w, e.out, "AGE-SECRET-KEY")
	return e
}

// of is the finding of a check.
func (e examined) of(name string) finding {
	e.Helper()
	for _, f := range e.Checks {
		if f.Name == name {
			return f
		}
	}
	require.Fail(e, "no check "+name)
	return finding{}
}

// failing are the names of the checks that failed.
func (e examined) failing() (names []string) {
	for _, f := range e.Checks {
		if f.Result == isWrong {
			names = append(names, f.Name)
		}
	}
	return names
}

// names makes sure that exactly this check failed, with these words and this remedy.
func (e examined) names(check, message, remedy string) {
	e.Helper()
	require.Equal(e, failed, e.code)
	require.Equal(e, []string{check}, e.failing())
	require.False(e, e.Healthy)
	require.Contains(e, e.of(check).Message, message)
	require.Contains(e, strings.Join(e.of(check).Remedy, "\n"), remedy)
	require.Contains(e, e.sentence(e), "failed: "+check)
}

// replaceBody changes a text in an answer for one of the same length.
func replaceBody(r *http.Response, from, to string) error {
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(bytes.ReplaceAll(body, []byte(from), []byte(to))))
	return err
}

// recommit makes a branch main with these files only.
func (w *world) recommit(files map[string]string) {
	w.Helper()
	out, err := exec.CommandContext(w.Context(), "git", "-C", w.stack.RepoDir(w.repo), "update-ref", "-d", "refs/heads/main").CombinedOutput()
	require.NoError(w, err, string(out))
	w.commit(files)
}

// silent is the address of a server that takes connections and says nothing.
func silent(t *testing.T) string {
	t.Helper()
	front := stacktest.NewGate(t, "http://127.0.0.1:1", http.DefaultTransport, nil)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	front.Refuse(func(*http.Request) int { <-release; return http.StatusTeapot })
	return strings.TrimPrefix(front.URL(), "http://")
}
