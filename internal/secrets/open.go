package secrets

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/aes"
	sopsage "github.com/getsops/sops/v3/age"

	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets/agekey"
)

// Open decrypts a file that is encrypted with SOPS, of one or several documents, which it returns as JSON. The
// errors say what is missing, and quote nothing but recipients.
//
// The file has to be one that manifest.Decode could read: that has bounded its size and its aliases.
func Open(keys agekey.Keys, file []byte) ([]byte, error) {
	tree, dataKey, err := unlock(keys, file)
	if err != nil {
		return nil, err
	}
	return open(tree, dataKey)
}

// unlock reads an encrypted file and the data key that its values are encrypted by.
func unlock(keys agekey.Keys, file []byte) (tree sops.Tree, dataKey []byte, err error) {
	if tree, err = load(file); err != nil {
		return tree, nil, err
	}
	dataKey, err = unwrap(keys, tree.Metadata)
	return tree, dataKey, err
}

func open(tree sops.Tree, dataKey []byte) ([]byte, error) {
	cipher := aes.NewCipher()
	computed, err := tree.Decrypt(dataKey, cipher)
	if err != nil {
		return nil, errTampered
	}
	mac, err := cipher.Decrypt(tree.Metadata.MessageAuthenticationCode, dataKey, modified(tree.Metadata))
	if err != nil || mac != computed {
		return nil, errTampered
	}
	var plaintext bytes.Buffer
	encoder := json.NewEncoder(&plaintext)
	for _, branch := range tree.Branches {
		document, err := sops.EmitAsMap(sops.TreeBranches{branch})
		if err != nil {
			return nil, errMalformed
		}
		if err := encoder.Encode(document); err != nil {
			return nil, errMalformed
		}
	}
	return plaintext.Bytes(), nil
}

var (
	errMalformed = errors.New("the document looks like one encrypted with SOPS, but can't be read as one: encrypt it again with sops")
	errTampered  = errors.New("the document was changed after it was encrypted (its MAC doesn't match): restore it, or change it with sops")
)

// load reads an encrypted file. The library panics at some malformed files.
func load(file []byte) (tree sops.Tree, err error) {
	defer func() {
		if recover() != nil {
			err = errMalformed
		}
	}()
	if tree, err = store().LoadEncryptedFile(file); err != nil {
		return tree, errMalformed
	}
	return tree, nil
}

// unwrap finds the data key by the first identity that is among the recipients.
func unwrap(keys agekey.Keys, m sops.Metadata) ([]byte, error) {
	if len(m.KeyGroups) > 1 {
		return nil, errors.New("the document is encrypted for several key groups of SOPS, which isn't supported: encrypt it for age recipients")
	}
	found := recipients(m)
	switch {
	case len(found) == 0:
		return nil, errors.New("the document is encrypted with SOPS, but not for age: add an age recipient with sops updatekeys")
	case keys.Empty():
		return nil, fmt.Errorf("the document is encrypted for %s, and this cluster has no age identity: give it the one of the cluster that wrote it with `starter enroll --age-key-file`", listed(found))
	}
	for _, group := range m.KeyGroups {
		for _, key := range group {
			wrapped, ok := key.(*sopsage.MasterKey)
			if !ok {
				continue
			}
			if dataKey, err := unwrapOne(keys, wrapped.EncryptedKey); err == nil {
				return dataKey, nil
			}
		}
	}
	return nil, fmt.Errorf("the document is encrypted for %s, and this cluster has the identity of %s: give it that of the cluster that wrote it with `starter enroll --age-key-file`, or enrol that cluster again with --age-recipient %s",
		listed(found), listed(keys.Own()), keys.Own()[0])
}

// maxDataKey is more than the 32 bytes of a data key.
const maxDataKey = 64

func unwrapOne(keys agekey.Keys, wrapped string) ([]byte, error) {
	r, err := age.Decrypt(armor.NewReader(strings.NewReader(wrapped)), keys.Identities()...)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, maxDataKey))
}

// recipients are the age recipients of a file that are ones.
func recipients(m sops.Metadata) []string {
	var found []string
	for _, group := range m.KeyGroups {
		for _, key := range group {
			if k, ok := key.(*sopsage.MasterKey); ok && agekey.IsRecipient(k.Recipient) {
				found = append(found, k.Recipient)
			}
		}
	}
	return found
}

// listed names the first few recipients.
func listed(recipients []string) string {
	const shown = 3
	if len(recipients) <= shown {
		return strings.Join(recipients, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(recipients[:shown], ", "), len(recipients)-shown)
}
