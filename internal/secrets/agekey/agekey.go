// Package agekey is the age identities and recipients of an enrolment: who can read the Secrets in Git.
package agekey

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"filippo.io/age"
)

// Keys are what a cluster has to encrypt and to decrypt with. The zero value has nothing.
type Keys struct {
	identities []age.Identity
	own        []string // the identities' recipients, in their order
	recipients []string
	digest     [sha256.Size]byte
}

// Parse reads the content of an age key file, one identity (AGE-SECRET-KEY-1…) a line, and a list of more
// recipients (age1…), one a line. Both may be empty, and hold comments and empty lines. Errors don't quote
// the content.
func Parse(identities, recipients []byte) (Keys, error) {
	var k Keys
	if len(bytes.TrimSpace(identities)) > 0 {
		parsed, err := age.ParseIdentities(bytes.NewReader(identities))
		if err != nil {
			return Keys{}, errors.New("the age identity can't be read: expected the content of an age key file, a line AGE-SECRET-KEY-1…")
		}
		k.identities = parsed
	}
	for _, identity := range k.identities {
		recipient, err := recipientOf(identity)
		if err != nil {
			return Keys{}, err
		}
		k.own = append(k.own, recipient)
	}
	k.recipients = slices.Clone(k.own)
	for line := range strings.Lines(string(recipients)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if !IsRecipient(line) {
			return Keys{}, errors.New("an age recipient can't be read: expected lines age1…")
		}
		k.recipients = append(k.recipients, line)
	}
	slices.Sort(k.recipients)
	k.recipients = slices.Compact(k.recipients)
	k.digest = sha256.Sum256(identities)
	return k, nil
}

// recipientOf is the public half of an identity.
func recipientOf(identity age.Identity) (string, error) {
	switch i := identity.(type) {
	case *age.X25519Identity:
		return i.Recipient().String(), nil
	case *age.HybridIdentity:
		return i.Recipient().String(), nil
	}
	return "", fmt.Errorf("an age identity of type %T can't be used: give one as age-keygen makes it", identity)
}

// IsRecipient reports whether the text is an age recipient.
func IsRecipient(text string) bool {
	_, err := ParseRecipient(text)
	return err == nil
}

// ParseRecipient reads an age recipient.
func ParseRecipient(text string) (age.Recipient, error) {
	if r, err := age.ParseX25519Recipient(text); err == nil {
		return r, nil
	}
	r, err := age.ParseHybridRecipient(text)
	if err != nil {
		return nil, errors.New("not an age recipient")
	}
	return r, nil
}

// Generate makes a new identity, as the content of an age key file.
func Generate() ([]byte, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("make an age identity: %w", err)
	}
	return fmt.Appendf(nil, "# public key: %s\n%s\n", identity.Recipient(), identity), nil
}

// Empty reports whether there is no identity.
func (k Keys) Empty() bool { return len(k.identities) == 0 }

// Identities decrypt.
func (k Keys) Identities() []age.Identity { return k.identities }

// Own are the public halves of the identities.
func (k Keys) Own() []string { return k.own }

// Recipients are all who shall be able to decrypt: the own ones and the others, sorted.
func (k Keys) Recipients() []string { return k.recipients }

// Digest names the identities and the recipients, without giving anything of the identities away.
func (k Keys) Digest() string {
	return fmt.Sprintf("%x", k.mac(append([]string{"digest"}, k.recipients...)...))
}

func (k Keys) mac(parts ...string) []byte {
	h := hmac.New(sha256.New, k.digest[:])
	for _, part := range parts {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return h.Sum(nil)
}

// Mac is a hash of the content that only who has the identities can compute: what has little to guess in it,
// like a PIN, can't be found out by trying.
func (k Keys) Mac(content []byte) []byte {
	return k.mac("content", string(content))
}
