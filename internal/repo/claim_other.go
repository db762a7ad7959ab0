//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package repo

import (
	"errors"
	"os"
)

var errLocked = errors.New("locked by another one")

// lockFile takes a lock that goes when the file is closed: the system doesn't remove an open file.
func lockFile(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, errLocked
	}
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}
