package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// claim is the part of a cache directory that this process holds: a numbered folder beside a lock file
// of the same number. The lock ends with the process, however that ends.
type claim struct {
	path string // "" stands for memory
	lock *os.File
}

// maxClaims bounds how many repositories share one cache directory.
const maxClaims = 64

func claimDir(dir string) (*claim, error) {
	if dir == "" {
		return &claim{}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, dirError(dir, err)
	}
	for i := range maxClaims {
		path := filepath.Join(dir, strconv.Itoa(i))
		lock, err := lockFile(path + ".lock")
		if errors.Is(err, errLocked) {
			continue
		}
		if err != nil {
			return nil, dirError(dir, err)
		}
		dropUnclaimed(dir, i+1)
		_ = os.RemoveAll(nextStore(path))
		return &claim{path, lock}, nil
	}
	return nil, fmt.Errorf("the data directory %s is in use by %d others", dir, maxClaims)
}

// dropUnclaimed removes what processes that have ended left behind in higher numbers.
func dropUnclaimed(dir string, from int) {
	for i := from; i < maxClaims; i++ {
		path := filepath.Join(dir, strconv.Itoa(i))
		if _, err := os.Stat(path + ".lock"); err != nil {
			return
		}
		if lock, err := lockFile(path + ".lock"); err == nil {
			_ = os.RemoveAll(path)
			_ = lock.Close()
		}
	}
}

func (c *claim) release() error {
	if c.lock == nil {
		return nil
	}
	return c.lock.Close()
}

// dirError is for a directory that can't be used, where rebuilding the cache doesn't help.
func dirError(dir string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("the data directory %s is full: %w", dir, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("the data directory %s can't be written: %w", dir, err)
	}
	return fmt.Errorf("the data directory %s can't be used: %w", dir, err)
}
