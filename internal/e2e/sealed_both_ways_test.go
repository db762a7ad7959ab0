package e2e

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets/agekey"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// TestSecretsTravelBothWaysEncrypted has a Secret of a person's own encrypted file, which a colleague can read too,
// be changed on both sides.
func TestSecretsTravelBothWaysEncrypted(t *testing.T) {
	t.Parallel()
	const ns, file = "sealed-both", "people/db.yaml"
	plain := []string{"osprey-in-the-reeds", "lapwing-on-the-dyke", "curlew-at-low-tide", "dunlin-in-the-fog", "avocet-on-the-mud", "bittern-in-the-marsh"}
	on, repo, dir := clusters["standby"], newRepo(t), t.TempDir()
	key, colleague := filepath.Join(dir, "cluster.agekey"), filepath.Join(dir, "colleague.agekey")
	readers := newIdentity(t, key) + "," + newIdentity(t, colleague)
	labels := func(name string) string {
		return strings.Replace(opaque(ns, name, "PASSWORD"), "metadata: {", "metadata: {labels: {acs: "+ns+"}, ", 1)
	}
	edit(t, repo, "The shop", func(dir string) {
		write(t, dir, "shop/namespace.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+ns+", labels: {acs: "+ns+"}}\n")
		write(t, dir, file, strings.Replace(labels("db"), "PASSWORD", plain[0], 1))
		sops(t, dir, colleague, "encrypt", "--in-place", "--age", readers, "--encrypted-regex", "^(data|stringData)$", file)
	})
	s := join(t, on, "sealed-both", ns, repo, "--secrets", "encrypt", "--age-key-file", key)
	s.settled()
	password := func(name string) string {
		encoded, _, _ := unstructured.NestedString(get(t, on, secretsResource, ns, name).Object, "data", "password")
		text, err := base64.StdEncoding.DecodeString(encoded)
		require.NoError(t, err)
		return string(text)
	}
	require.Equal(t, plain[0], password("db"))
	held := func(file, key, want string) {
		t.Helper()
		text := decrypted(t, repo, file, key)
		require.True(t, strings.Contains(text, want) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(want))), "%s isn't in\n%s", want, text)
	}
	byPerson := func(value string) {
		t.Helper()
		edit(t, repo, "Rotate", func(dir string) {
			if strings.Contains(sops(t, dir, colleague, "--decrypt", file), "stringData") {
				sops(t, dir, colleague, "set", file, `["stringData"]["password"]`, `"`+value+`"`)
				return
			}
			sops(t, dir, colleague, "set", file, `["data"]["password"]`, `"`+base64.StdEncoding.EncodeToString([]byte(value))+`"`)
		})
	}

	// Each way.
	create(t, on, secretsResource, strings.Replace(labels("fresh"), "PASSWORD", plain[1], 1))
	changeAs(t, "kubectl-edit", on, secretsResource, ns, "db", setPassword(plain[2]))
	s.settled()
	held("namespaces/"+ns+"/secrets/fresh.yaml", key, plain[1])
	held(file, key, plain[2])
	held(file, colleague, plain[2])
	require.Equal(t, 2, strings.Count(s.file(file), "recipient:"), s.file(file))
	byPerson(plain[3])
	tip := git(t, repo, "rev-parse", "main")
	s.settled()
	require.Equal(t, plain[3], password("db"))
	require.Equal(t, tip, git(t, repo, "rev-parse", "main"), "it isn't stored again")

	// Both at once: Git's is used, and the other one can be had again by those who could read it.
	update(t, s.name, workflows.PauseMessage)
	changeAs(t, "kubectl-edit", on, secretsResource, ns, "db", setPassword(plain[4]))
	byPerson(plain[5])
	update(t, s.name, workflows.ResumeMessage)
	now := s.settled()
	require.Equal(t, plain[5], password("db"))
	held(file, colleague, plain[5])
	require.Len(t, now.Conflicts, 1, describe(now, nil))
	require.Equal(t, "secrets "+ns+"/db", now.Conflicts[0].Object)
	require.Equal(t, []string{"/data/password"}, now.Conflicts[0].Fields)
	lost := filepath.Join(dir, "lost.yaml")
	require.NoError(t, os.WriteFile(lost, []byte(git(t, repo, "show", now.Conflicts[0].Revision+":"+file)), 0o600))
	require.Contains(t, sops(t, dir, colleague, "--decrypt", lost), base64.StdEncoding.EncodeToString([]byte(plain[4])))

	identities := []string{}
	for _, path := range []string{key, colleague} {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		identities = append(identities, strings.TrimSpace(string(content[strings.Index(string(content), "AGE-SECRET-KEY"):])))
	}
	require.True(t, agekey.IsRecipient(strings.Split(readers, ",")[0]))
	texts := identities
	for _, text := range plain {
		texts = append(texts, text, base64.StdEncoding.EncodeToString([]byte(text)))
	}
	nowhere(t, traces{workers: []*worker{s.worker}, enrolments: []string{s.name}, repo: repo, dirs: []string{s.data}}, texts...)
}
