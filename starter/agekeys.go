package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets/agekey"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// readAgeKeys reads the identity and the recipients that were given. No error repeats the identity.
func (e *enrolling) readAgeKeys() error {
	if e.flags.ageKeyFile != "" {
		text, err := readSmallFile(e.flags.ageKeyFile)
		if err != nil {
			return errors.New("the file of --age-key-file can't be read (" + reason(err) + "): give the path of an age key file")
		}
		if len(strings.TrimSpace(string(text))) == 0 {
			return errors.New("the file of --age-key-file is empty: give an age key file, as age-keygen and --age-key-out write it")
		}
		e.identity = text
	}
	e.flags.recipients = slices.DeleteFunc(e.flags.recipients, func(text string) bool { return text == "" }) // "" takes them away
	if _, err := agekey.Parse(e.identity, []byte(strings.Join(e.flags.recipients, "\n"))); err != nil {
		return fmt.Errorf("%w (--age-key-file, --age-recipient)", err)
	}
	if e.flags.ageKeyOut != "" {
		if _, err := os.Lstat(e.flags.ageKeyOut); err == nil {
			return errors.New("the file of --age-key-out is there already: give another name, so that no key is lost")
		}
	}
	return nil
}

// checkSecrets says what becomes of Secrets, and makes an identity where one is needed and there is none.
func (e *enrolling) checkSecrets(context.Context) (string, error) {
	switch e.config.Secrets {
	case workflows.SecretsExclude:
		return "left alone", nil
	case workflows.SecretsPlaintext:
		return "stored in plain text: who can read the repository can read them", nil
	}
	origin := "the identity of --age-key-file"
	if e.identity == nil {
		origin = "the identity in the cluster"
		if len(strings.TrimSpace(string(e.stored[workflows.AgeIdentityKey]))) == 0 {
			origin, e.made = "a new identity", true
			var err error
			if e.identity, err = agekey.Generate(); err != nil {
				return "", err
			}
		}
	}
	wanted := e.wanted()
	keys, err := agekey.Parse(wanted[workflows.AgeIdentityKey], wanted[workflows.AgeRecipientsKey])
	if err != nil {
		return "", fmt.Errorf("the age keys in the cluster's Secret can't be used: %w; give another one with --age-key-file", err)
	}
	return fmt.Sprintf("encrypted for %s (%s)", strings.Join(keys.Recipients(), ", "), origin), nil
}

// writeIdentity writes the file of --age-key-out.
func (e *enrolling) writeIdentity() error {
	if e.flags.ageKeyOut == "" {
		return nil
	}
	identity := e.wanted()[workflows.AgeIdentityKey]
	if len(identity) == 0 {
		return errors.New("there is no age identity to write to the file of --age-key-out: use --secrets encrypt")
	}
	file, err := os.OpenFile(e.flags.ageKeyOut, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errors.New("the file of --age-key-out can't be written (" + reason(err) + ")")
	}
	_, err = file.Write(identity)
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.New("the file of --age-key-out can't be written (" + reason(err) + ")")
	}
	return nil
}
