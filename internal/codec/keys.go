// Package codec encrypts what Temporal stores about the syncs: the input and result of everything, messages, the text
// of errors, summaries and the page in the Web UI. Search attributes stay readable, for Temporal searches by them.
package codec

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// keySize is that of AES-256, in bytes.
const keySize = 32

// Keys decrypt, and the first of them encrypts.
type Keys struct {
	first string
	byID  map[string][]byte
}

// keyID names a key in the metadata of what it encrypts.
var keyID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// howToMake is what an error says to do.
const howToMake = `make one with: echo "key-1:$(openssl rand -base64 32)"`

// ReadKeys reads a key file: a line ID:BASE64 for each key of 32 bytes, that to encrypt with first. Empty lines and
// those that begin with # don't count. No error holds a key.
func ReadKeys(path string) (Keys, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Keys{}, fmt.Errorf("the codec's key file can't be read: %w", err)
	}
	keys, err := parseKeys(text)
	if err != nil {
		return Keys{}, fmt.Errorf("the codec's key file %s can't be used: %w", path, err)
	}
	return keys, nil
}

func parseKeys(text []byte) (Keys, error) {
	keys := Keys{byID: map[string][]byte{}}
	number := 0
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		number++
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, encoded, ok := strings.Cut(line, ":")
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
		switch {
		case !ok || !keyID.MatchString(id):
			return Keys{}, fmt.Errorf("line %d is not ID:KEY: %s", number, howToMake)
		case err != nil || len(key) != keySize:
			return Keys{}, fmt.Errorf("the key in line %d is not %d bytes in Base64: %s", number, keySize, howToMake)
		case keys.byID[id] != nil:
			return Keys{}, fmt.Errorf("line %d has a second key %s: give each an ID of its own", number, id)
		}
		if keys.first == "" {
			keys.first = id
		}
		keys.byID[id] = key
	}
	if keys.first == "" {
		return Keys{}, errors.New("there is no key in it: " + howToMake)
	}
	return keys, nil
}
