package e2e

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets/agekey"
	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

var secretsResource = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}

// The plaintext that these tests look for everywhere.
const (
	password = "kestrel-over-the-harbour"
	rotated  = "heron-under-the-bridge"
	release  = "a-release-of-some-chart"
)

func opaque(namespace, name, value string) string {
	return "apiVersion: v1\nkind: Secret\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nstringData: {password: " + value + "}\n"
}

func TestSecretsTravelEncrypted(t *testing.T) {
	primary, standby, repo := clusters["primary"], clusters["standby"], newRepo(t)
	newNamespace(t, primary, "sealed")
	dropAfter(t, standby, "sealed")
	create(t, primary, configMaps, configMap("sealed", "settings", "one"))
	create(t, primary, secretsResource, opaque("sealed", "db", password))
	create(t, primary, secretsResource, "apiVersion: v1\nkind: Secret\ntype: helm.sh/release.v1\n"+
		"metadata: {name: sh.helm.release.v1.shop.v1, namespace: sealed}\nstringData: {release: "+release+"}\n")

	// The primary stores them, encrypted, and a person with its identity reads them.
	dir := t.TempDir()
	key, data := filepath.Join(dir, "primary.agekey"), filepath.Join(dir, "data")
	pushing := startWorker(t, "sealing", primary, data)
	said := enroll(t, "sealing", primary, repo, workflows.Push, "--age-key-out", key)
	require.Contains(t, said, "Secrets: encrypted for age1")
	reaches(t, "sealing", inSync)
	const file = "namespaces/sealed/secrets/db.yaml"
	require.Contains(t, files(t, repo), ".sops.yaml")
	require.Contains(t, files(t, repo), "namespaces/sealed/secrets/sh.helm.release.v1.shop.v1.yaml")
	require.Contains(t, git(t, repo, "show", "main:"+file), "password: ENC[AES256_GCM,")
	require.Contains(t, decrypted(t, repo, file, key), base64.StdEncoding.EncodeToString([]byte(password)))

	// What didn't change keeps its ciphertext: over other changes, and over a worker without a memory.
	stored := git(t, repo, "rev-parse", "main:"+file)
	change(t, primary, configMaps, "sealed", "settings", setKey("two"))
	require.Equal(t, []string{"configmaps sealed/settings"}, syncNow(t, "sealing").Recent[0].Changes.Objects)
	pushing.kill()
	pushing = startWorker(t, "sealing", primary, filepath.Join(dir, "other"))
	change(t, primary, configMaps, "sealed", "settings", setKey("three"))
	require.Equal(t, []string{"configmaps sealed/settings"}, syncNow(t, "sealing").Recent[0].Changes.Objects)
	require.Equal(t, stored, git(t, repo, "rev-parse", "main:"+file))

	// A standby without the identity says so, and applies the rest.
	pulling := startWorker(t, "opening", standby, filepath.Join(dir, "standby"))
	enroll(t, "opening", standby, repo, workflows.Pull)
	s := reaches(t, "opening", func(s workflows.Status) bool { return s.FailedCount == 2 })
	require.Equal(t, workflows.Degraded, s.State)
	require.Equal(t, "secrets sealed/db", s.Failed[0].Object)
	require.Equal(t, file+":1", s.Failed[0].File)
	require.Contains(t, s.Failed[0].Message, "is encrypted for age1")
	require.Contains(t, s.Failed[0].Message, "--age-key-file")
	require.Equal(t, "three", get(t, standby, configMaps, "sealed", "settings").Object["data"].(map[string]any)["key"])
	require.Nil(t, get(t, standby, secretsResource, "sealed", "db"))

	// With it, it has them; a change travels; drift is undone.
	enroll(t, "opening", standby, repo, workflows.Pull, "--age-key-file", key)
	reaches(t, "opening", inSync)
	require.Equal(t, password, passwordOf(t, standby))
	change(t, primary, secretsResource, "sealed", "db", setPassword(rotated))
	require.Equal(t, []string{"secrets sealed/db"}, syncNow(t, "sealing").Recent[0].Changes.Objects)
	syncNow(t, "opening")
	require.Equal(t, rotated, passwordOf(t, standby))
	change(t, standby, secretsResource, "sealed", "db", setPassword("edited-by-hand"))
	eventually(t, func() bool { return passwordOf(t, standby) == rotated }, func() string { return "the edit on standby stays" })

	// Another recipient: everything is encrypted again, in one commit.
	before := git(t, repo, "rev-parse", "main")
	other := filepath.Join(dir, "other.agekey")
	enroll(t, "sealing", primary, repo, workflows.Push, "--age-recipient", newIdentity(t, other))
	reaches(t, "sealing", func(s workflows.Status) bool { return inSync(s) && s.Revision != before })
	require.Equal(t, before, git(t, repo, "rev-parse", "main^"))
	require.Equal(t, ".sops.yaml\n"+file+"\nnamespaces/sealed/secrets/sh.helm.release.v1.shop.v1.yaml",
		git(t, repo, "diff", "--name-only", "main^", "main"))
	require.Contains(t, decrypted(t, repo, file, other), base64.StdEncoding.EncodeToString([]byte(rotated)))
	syncNow(t, "opening")
	require.Equal(t, rotated, passwordOf(t, standby))

	identity, err := os.ReadFile(key)
	require.NoError(t, err)
	texts := []string{strings.TrimSpace(string(identity[strings.Index(string(identity), "AGE-SECRET-KEY"):]))}
	for _, text := range []string{password, rotated, release} {
		texts = append(texts, text, base64.StdEncoding.EncodeToString([]byte(text)))
	}
	nowhere(t, traces{
		workers: []*worker{pushing, pulling}, enrolments: []string{"sealing", "opening"}, repo: repo,
		dirs: []string{data, filepath.Join(dir, "other"), filepath.Join(dir, "standby")},
	}, texts...)
}

func TestSecretsThatAreLeftOutStayInGit(t *testing.T) {
	primary, repo := clusters["primary"], newRepo(t)
	newNamespace(t, primary, "kept")
	create(t, primary, secretsResource, opaque("kept", "db", "plain"))
	startWorker(t, "keeping", primary, t.TempDir())
	enroll(t, "keeping", primary, repo, workflows.Push, "--secrets", "plaintext")
	reaches(t, "keeping", inSync)
	require.Contains(t, git(t, repo, "show", "main:namespaces/kept/secrets/db.yaml"), "password: cGxhaW4=")

	require.NoError(t, temporal.TerminateWorkflow(t.Context(), workflows.WorkflowID("keeping"), "", "enrolled anew"))
	enroll(t, "keeping", primary, repo, workflows.Push, "--secrets", "exclude")
	create(t, primary, configMaps, configMap("kept", "settings", "one"))
	s := reaches(t, "keeping", func(s workflows.Status) bool { return inSync(s) && len(s.Recent) > 0 })
	require.Contains(t, s.Message, "not synced (secrets policy: exclude)")
	require.Contains(t, files(t, repo), "namespaces/kept/configmaps/settings.yaml")
	require.Contains(t, files(t, repo), "namespaces/kept/secrets/db.yaml")
}

// sops runs the sops that go.mod names, in a clone of a repository.
func sops(t *testing.T, clone, key string, args ...string) string {
	t.Helper()
	binary := filepath.Join(stack.Dir, "sops")
	if _, err := os.Stat(binary); err != nil {
		build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/getsops/sops/v3/cmd/sops")
		build.Dir = stacktest.Root()
		out, err := build.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Dir, cmd.Env = clone, append(os.Environ(), "SOPS_AGE_KEY_FILE="+key)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "sops %v: %s", args, out)
	return string(out)
}

// decrypted is what sops makes of a file in a clone of the repository.
func decrypted(t *testing.T, repo, file, key string) string {
	t.Helper()
	clone := filepath.Join(t.TempDir(), "clone")
	out, err := exec.CommandContext(t.Context(), "git", "clone", "--quiet", stack.RepoDir(repo), clone).CombinedOutput()
	require.NoError(t, err, string(out))
	return sops(t, clone, key, "--decrypt", file)
}

// newIdentity writes an age key file, and returns its public half.
func newIdentity(t *testing.T, file string) string {
	t.Helper()
	content, err := agekey.Generate()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, content, 0o600))
	keys, err := agekey.Parse(content, nil)
	require.NoError(t, err)
	return keys.Own()[0]
}

func passwordOf(t *testing.T, on *cluster) string {
	t.Helper()
	secret := get(t, on, secretsResource, "sealed", "db")
	require.NotNil(t, secret)
	encoded, _, _ := unstructured.NestedString(secret.Object, "data", "password")
	text, err := base64.StdEncoding.DecodeString(encoded)
	require.NoError(t, err)
	return string(text)
}

func setPassword(text string) func(*unstructured.Unstructured) {
	return func(o *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(o.Object, base64.StdEncoding.EncodeToString([]byte(text)), "data", "password")
	}
}

func setKey(text string) func(*unstructured.Unstructured) {
	return func(o *unstructured.Unstructured) { _ = unstructured.SetNestedField(o.Object, text, "data", "key") }
}
