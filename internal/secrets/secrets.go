// Package secrets stores manifests encrypted with SOPS for age recipients, as `sops` and Flux read them, and
// reads such files of others. It asks no key service: a file from Git can't make it talk to anybody.
package secrets

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/aes"
	sopsage "github.com/getsops/sops/v3/age"
	"github.com/getsops/sops/v3/config"
	"github.com/getsops/sops/v3/stores/yaml"
	"github.com/getsops/sops/v3/version"
	"github.com/go-git/go-git/v5/plumbing"
	k8syaml "sigs.k8s.io/yaml"

	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets/agekey"
)

// encryptedFields are what is encrypted of a Secret; the rest stays readable, so that everybody can see in
// Git which Secret it is.
const encryptedFields = "^(data|stringData)$"

// ConfigFile tells sops how the files in the folder are encrypted.
const ConfigFile = ".sops.yaml"

// Config is the content of ConfigFile.
func Config(keys agekey.Keys) []byte {
	return fmt.Appendf(nil, "# Written by Active Cluster Sync. Recipients are changed by the enrolment; don't edit it.\n"+
		"creation_rules:\n- path_regex: (^|/)secrets/.+\\.yaml$\n  encrypted_regex: %s\n  age: %s\n",
		encryptedFields, strings.Join(keys.Recipients(), ","))
}

// Recipients are the age recipients that a ConfigFile names, in any form that sops takes, sorted.
func Recipients(configFile []byte) ([]string, error) {
	type keys struct {
		Age ageKeys `json:"age"`
	}
	var c struct {
		Rules []struct {
			keys
			Groups []keys `json:"key_groups"`
		} `json:"creation_rules"`
	}
	if err := k8syaml.Unmarshal(configFile, &c); err != nil {
		return nil, fmt.Errorf("%s can't be read: it is no YAML of the form that sops takes", ConfigFile)
	}
	var found []string
	for _, rule := range c.Rules {
		for _, k := range append(rule.Groups, rule.keys) {
			found = append(found, k.Age...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// ageKeys is a list of recipients, or one text with commas between them.
type ageKeys []string

func (k *ageKeys) UnmarshalJSON(data []byte) error {
	var list []string
	if err := json.Unmarshal(data, &list); err != nil {
		list = make([]string, 1)
		if err := json.Unmarshal(data, &list[0]); err != nil {
			return err
		}
	}
	for _, text := range list {
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				*k = append(*k, part)
			}
		}
	}
	return nil
}

// Fingerprint stands for a plaintext where hashes are compared. It says nothing about the plaintext to whom
// doesn't have the identities.
func Fingerprint(keys agekey.Keys, plaintext []byte) plumbing.Hash {
	return plumbing.Hash(keys.Mac(plaintext)[:len(plumbing.ZeroHash)])
}

// Seal encrypts the data of a Secret's manifest for the recipients. Each call gives another result. The check
// is given what can be read from the file, before it is handed out.
func Seal(keys agekey.Keys, manifest []byte, check func(plaintext []byte) error) ([]byte, error) {
	dataKey := make([]byte, 32)
	_, _ = rand.Read(dataKey) // it never fails
	group, err := wrap(dataKey, keys.Recipients())
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return seal(manifest, dataKey, sops.Metadata{
		EncryptedRegex: encryptedFields,
		KeyGroups:      []sops.KeyGroup{group},
		Version:        version.Version,
	}, check)
}

// Reseal encrypts what a file shall hold as the file is encrypted now, so that all who can read it can go on doing
// that: for the same recipients, by the same data key and the same rules.
func Reseal(keys agekey.Keys, file, manifest []byte, check func(plaintext []byte) error) ([]byte, error) {
	tree, dataKey, err := unlock(keys, file)
	if err != nil {
		return nil, err
	}
	return seal(manifest, dataKey, tree.Metadata, check)
}

// seal encrypts by a data key that the metadata hold for all recipients.
func seal(manifest, dataKey []byte, metadata sops.Metadata, check func(plaintext []byte) error) ([]byte, error) {
	branches, err := store().LoadPlainFile(manifest)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	metadata.LastModified = time.Now().UTC()
	tree := sops.Tree{Branches: branches, Metadata: metadata}
	cipher := aes.NewCipher()
	mac, err := tree.Encrypt(dataKey, cipher)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	tree.Metadata.MessageAuthenticationCode, err = cipher.Encrypt(mac, dataKey, modified(tree.Metadata))
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	file, err := emit(tree)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	stored, err := load(file)
	if err != nil {
		return nil, err
	}
	plaintext, err := open(stored, dataKey)
	if err != nil {
		return nil, err
	}
	return file, check(plaintext)
}

func store() *yaml.Store { return yaml.NewStore(&config.YAMLStoreConfig{Indent: 2}) }

// modified is what SOPS authenticates a file's code with.
func modified(m sops.Metadata) string { return m.LastModified.Format(time.RFC3339) }

// wrap encrypts the data key for each of the recipients.
func wrap(dataKey []byte, recipients []string) (sops.KeyGroup, error) {
	var group sops.KeyGroup
	for _, text := range recipients {
		recipient, err := agekey.ParseRecipient(text)
		if err != nil {
			return nil, err
		}
		var wrapped strings.Builder
		armored := armor.NewWriter(&wrapped)
		w, err := age.Encrypt(armored, recipient)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(dataKey); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		if err := armored.Close(); err != nil {
			return nil, err
		}
		group = append(group, &sopsage.MasterKey{Recipient: text, EncryptedKey: wrapped.String()})
	}
	return group, nil
}

// SealedFor reports whether the file is encrypted for exactly the recipients of the keys.
func SealedFor(keys agekey.Keys, file []byte) bool {
	tree, err := load(file)
	if err != nil {
		return false
	}
	found := recipients(tree.Metadata)
	slices.Sort(found)
	return tree.Metadata.EncryptedRegex == encryptedFields && slices.Equal(found, keys.Recipients())
}
