package secrets_test

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets/agekey"
)

const plain = `apiVersion: v1
data:
  empty: ""
  password: aHVudGVyMi1vbi1hLXN0aWNr
kind: Secret
metadata:
  annotations:
    example.com/date: "2026-01-02"
    example.com/flag: "yes"
    example.com/number: "0777"
  name: db
  namespace: shop
type: Opaque
`

// identity is a new age key file.
func identity(t testing.TB) []byte {
	file, err := agekey.Generate()
	require.NoError(t, err)
	return file
}

func keysOf(t testing.TB, identities []byte, recipients ...string) agekey.Keys {
	k, err := agekey.Parse(identities, []byte(strings.Join(recipients, "\n")))
	require.NoError(t, err)
	return k
}

// canonical is a manifest as the index has it.
func canonical(t testing.TB, file []byte) string {
	docs, problems := manifest.Decode("f.yaml", file)
	require.Empty(t, problems)
	require.Len(t, docs, 1)
	out, err := manifest.Encode(docs[0].Object)
	require.NoError(t, err)
	return string(out)
}

func seal(t testing.TB, k agekey.Keys) []byte {
	sealed, err := secrets.Seal(k, []byte(plain), func([]byte) error { return nil })
	require.NoError(t, err)
	return sealed
}

func TestSealedSecretShowsItsNameAndNotItsData(t *testing.T) {
	k := keysOf(t, identity(t))
	sealed := seal(t, k)
	require.Contains(t, string(sealed), "name: db")
	require.Contains(t, string(sealed), "password: ENC[AES256_GCM,")
	require.NotContains(t, string(sealed), "aHVudGVyMi1vbi1hLXN0aWNr")
	require.NotContains(t, string(sealed), "hunter2")
	require.NotEqual(t, sealed, seal(t, k), "each encryption has its own key")

	docs, problems := manifest.Decode("f.yaml", sealed)
	require.Empty(t, problems)
	require.True(t, docs[0].Sealed)
	require.Equal(t, "Secret shop/db", manifest.IDOf(docs[0].Object).String())

	opened, err := secrets.Open(k, sealed)
	require.NoError(t, err)
	require.Equal(t, plain, canonical(t, opened))
}

func TestOpeningWhatWasSealedGivesTheSameObject(t *testing.T) {
	k := keysOf(t, identity(t))
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.MapOf(rapid.StringMatching(`[-._a-zA-Z0-9]{1,20}`), rapid.OneOf(rapid.String(), rapid.StringMatching("[ \\t\\n\\r#a:'\"-]{0,9}")))
		data := map[string]any{}
		for key, value := range texts.Draw(t, "data") {
			data[key] = base64.StdEncoding.EncodeToString([]byte(value))
		}
		annotations := map[string]any{}
		for key, value := range texts.Draw(t, "annotations") {
			annotations[key] = value
		}
		object := map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": rapid.Bool().Draw(t, "immutable"), "data": data,
			"metadata": map[string]any{"name": "db", "namespace": "shop", "annotations": annotations},
		}
		file, err := manifest.Encode(object)
		require.NoError(t, err)
		var readable []byte
		sealed, err := secrets.Seal(k, file, func(plaintext []byte) error { readable = plaintext; return nil })
		require.NoError(t, err)
		opened, err := secrets.Open(k, sealed)
		require.NoError(t, err)
		require.Equal(t, string(opened), string(readable))
		docs, problems := manifest.Decode("f.yaml", opened)
		require.Empty(t, problems)
		again, err := manifest.Encode(docs[0].Object)
		require.NoError(t, err)
		require.Equal(t, string(file), string(again))
	})
}

func TestEachRecipientCanOpenAndNobodyElse(t *testing.T) {
	other := identity(t)
	k := keysOf(t, identity(t), keysOf(t, other).Own()...)
	require.Len(t, k.Recipients(), 2)
	sealed := seal(t, k)
	opened, err := secrets.Open(keysOf(t, other), sealed)
	require.NoError(t, err)
	require.Equal(t, plain, canonical(t, opened))

	stranger := keysOf(t, identity(t))
	_, err = secrets.Open(stranger, sealed)
	require.ErrorContains(t, err, "is encrypted for "+k.Recipients()[0])
	require.ErrorContains(t, err, "this cluster has the identity of "+stranger.Own()[0])
	_, err = secrets.Open(agekey.Keys{}, sealed)
	require.ErrorContains(t, err, "this cluster has no age identity")
	require.ErrorContains(t, err, "--age-key-file")

	require.True(t, secrets.SealedFor(k, sealed))
	require.False(t, secrets.SealedFor(stranger, sealed))
	require.False(t, secrets.SealedFor(keysOf(t, other), sealed), "one recipient too many")
}

func TestAFileOfPeopleStaysReadableForAllOfThem(t *testing.T) {
	mine, colleague := identity(t), identity(t)
	file := seal(t, keysOf(t, colleague, keysOf(t, mine).Own()...))
	changed := strings.Replace(plain, "name: db", "name: database", 1)
	k := keysOf(t, mine) // of which the file has more recipients
	resealed, err := secrets.Reseal(k, file, []byte(changed), func(readable []byte) error {
		require.Equal(t, changed, canonical(t, readable))
		return nil
	})
	require.NoError(t, err)
	for _, identity := range [][]byte{mine, colleague} {
		opened, err := secrets.Open(keysOf(t, identity), resealed)
		require.NoError(t, err)
		require.Equal(t, changed, canonical(t, opened))
	}
	_, err = secrets.Reseal(keysOf(t, identity(t)), file, []byte(changed), func([]byte) error { return nil })
	require.ErrorContains(t, err, "is encrypted for")
}

func TestTamperedFilesAreRefused(t *testing.T) {
	k := keysOf(t, identity(t))
	sealed := string(seal(t, k))
	for name, change := range map[string]func(string) string{
		"a clear field": func(s string) string { return strings.Replace(s, "name: db", "name: bd", 1) },
		"a moved value": func(s string) string { return strings.Replace(s, "  password: ENC", "  passwort: ENC", 1) },
		"a value": func(s string) string {
			return strings.Replace(s, "ENC[AES256_GCM,data:", "ENC[AES256_GCM,data:AAAA", 1)
		},
		"an added field": func(s string) string { return strings.Replace(s, "type: Opaque", "type: Opaque\nimmutable: true", 1) },
		"no code":        func(s string) string { return strings.Replace(s, "  mac: ENC", "  mac_: ENC", 1) },
		"no recipients": func(s string) string {
			return before(s, "  age:") + from(s, "  encrypted_regex")
		},
		"metadata of a list": func(s string) string { return before(s, "sops:") + "sops:\n- mac: x\n" },
	} {
		t.Run(name, func(t *testing.T) {
			changed := change(sealed)
			require.NotEqual(t, sealed, changed)
			_, err := secrets.Open(k, []byte(changed))
			require.Error(t, err)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func before(s, mark string) string {
	head, _, _ := strings.Cut(s, mark)
	return head
}

func from(s, mark string) string {
	_, tail, _ := strings.Cut(s, mark)
	return mark + tail
}

// A file from Git must not make the worker call a key service that the file names.
func TestKeyServicesAreNotAsked(t *testing.T) {
	k := keysOf(t, identity(t))
	sealed := string(seal(t, k))
	vault := before(sealed, "  age:") + "  hc_vault:\n  - vault_address: http://127.0.0.1:1\n    engine_path: a\n    key_name: b\n    created_at: \"2026-01-01T00:00:00Z\"\n    enc: x\n" + from(sealed, "  encrypted_regex")
	_, err := secrets.Open(k, []byte(vault))
	require.ErrorContains(t, err, "not for age")
}

func TestSopsReadsAndWritesTheSameFiles(t *testing.T) {
	sops := buildSops(t)
	dir, key := t.TempDir(), identity(t)
	k := keysOf(t, key)
	keyFile := filepath.Join(dir, "age.agekey")
	require.NoError(t, os.WriteFile(keyFile, key, 0o600))
	place := filepath.Join(dir, "repo", "namespaces", "shop", "secrets")
	require.NoError(t, os.MkdirAll(place, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "repo", secrets.ConfigFile), secrets.Config(k), 0o644))
	run := func(args ...string) string {
		command := exec.Command(sops, args...)
		command.Dir = filepath.Join(dir, "repo")
		command.Env = append(os.Environ(), "SOPS_AGE_KEY_FILE="+keyFile)
		out, err := command.CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}

	ours := filepath.Join(place, "db.yaml")
	require.NoError(t, os.WriteFile(ours, seal(t, k), 0o644))
	require.Equal(t, plain, canonical(t, []byte(run("--decrypt", ours))))

	theirs := filepath.Join(place, "more.yaml")
	require.NoError(t, os.WriteFile(theirs, []byte(plain+"---\n"+strings.Replace(plain, "name: db", "name: other", 1)), 0o644))
	run("--encrypt", "--in-place", theirs)
	file, err := os.ReadFile(theirs)
	require.NoError(t, err)
	require.NotContains(t, string(file), "aHVudGVyMi1vbi1hLXN0aWNr")
	require.True(t, secrets.SealedFor(k, file), "the folder's %s says how to encrypt", secrets.ConfigFile)
	docs, problems := manifest.Decode("more.yaml", file)
	require.Empty(t, problems)
	require.True(t, docs[0].Sealed && docs[1].Sealed)
	opened, err := secrets.Open(k, file)
	require.NoError(t, err)
	docs, problems = manifest.Decode("more.yaml", opened)
	require.Empty(t, problems)
	require.Len(t, docs, 2)
	require.Equal(t, "Secret shop/other", manifest.IDOf(docs[1].Object).String())
	require.Equal(t, "aHVudGVyMi1vbi1hLXN0aWNr", docs[1].Object["data"].(map[string]any)["password"])

	resealed, err := secrets.Reseal(k, file, []byte(plain+"---\n"+strings.Replace(plain, "name: db", "name: third", 1)), func([]byte) error { return nil })
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(theirs, resealed, 0o644))
	require.Contains(t, run("--decrypt", theirs), "name: third")
}

// buildSops builds the sops command from its module.
func buildSops(t *testing.T) string {
	bin := filepath.Join(t.TempDir(), "sops")
	out, err := exec.Command("go", "build", "-o", bin, "github.com/getsops/sops/v3/cmd/sops").CombinedOutput()
	require.NoError(t, err, string(out))
	return bin
}

func TestRedactTakesTheValuesOut(t *testing.T) {
	object := map[string]any{
		"data":       map[string]any{"password": base64.StdEncoding.EncodeToString([]byte("hunter2-on-a-stick")), "port": "NTQz"},
		"stringData": map[string]any{"user": "hunter2"},
	}
	require.Equal(t, `denied: "[redacted]" and [redacted] and [redacted]`,
		secrets.Redact(`denied: "hunter2-on-a-stick" and aHVudGVyMi1vbi1hLXN0aWNr and hunter2`, object))
}

func TestRecipientsAreReadFromEveryFormOfTheConfigFile(t *testing.T) {
	k := keysOf(t, identity(t), keysOf(t, identity(t)).Own()...)
	for name, test := range map[string]struct {
		file string
		want []string
	}{
		"as it is written": {string(secrets.Config(k)), k.Recipients()},
		"one text":         {"creation_rules:\n- age: age1b, age1a\n- age: >-\n    age1a,\n    age1c\n", []string{"age1a", "age1b", "age1c"}},
		"a list":           {"creation_rules: [{age: [age1b, age1a]}]", []string{"age1a", "age1b"}},
		"groups":           {"creation_rules: [{key_groups: [{age: [age1b]}, {pgp: [x]}, {age: [age1a]}]}]", []string{"age1a", "age1b"}},
		"nothing":          {"stores: {}", nil},
	} {
		found, err := secrets.Recipients([]byte(test.file))
		require.NoError(t, err, name)
		require.Equal(t, test.want, found, name)
	}
	_, err := secrets.Recipients([]byte("creation_rules: [{age: 7}]"))
	require.ErrorContains(t, err, ".sops.yaml can't be read")
}
