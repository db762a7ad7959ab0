package gitserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// tokenPrefix makes a token that got somewhere it shouldn't easy to find.
const tokenPrefix = "acs_"

// CreateRepository makes an empty bare repository with the default branch main
// and a token; what is there already stays as it is.
func (s *Server) CreateRepository(ctx context.Context, name string) error {
	if err := s.createToken(name); err != nil {
		return fmt.Errorf("create the token of repository %s: %w", name, err)
	}
	directory := s.directory(name)
	if _, err := os.Stat(directory); err == nil {
		return nil
	}
	// Made beside its place, so that a half-made one is never served.
	half := directory + ".making"
	if err := os.RemoveAll(half); err != nil {
		return fmt.Errorf("create repository %s: %w", name, err)
	}
	steps := [][]string{
		{"init", "--quiet", "--bare", "--initial-branch=main", half},
		{"-C", half, "config", "http.receivepack", "true"},
		{"-C", half, "config", "uploadpack.allowFilter", "true"},
		{"-C", half, "config", "uploadpack.allowReachableSHA1InWant", "true"},
	}
	for _, args := range steps {
		git := exec.CommandContext(ctx, s.gitPath, args...)
		git.Env = append([]string{"PATH=" + os.Getenv("PATH")}, isolatedGit()...)
		if out, err := git.CombinedOutput(); err != nil {
			return fmt.Errorf("create repository %s: git %s: %w: %s", name, args[0], err, strings.TrimSpace(string(out)))
		}
	}
	return os.Rename(half, directory)
}

// TokenFile is where the token of a repository is read from.
func (s *Server) TokenFile(name string) string { return filepath.Join(s.root, "tokens", name) }

func (s *Server) directory(name string) string { return filepath.Join(s.root, name+".git") }

func (s *Server) createToken(name string) error {
	file, err := os.OpenFile(s.TokenFile(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = file.WriteString(tokenPrefix + rand.Text() + "\n")
	return errors.Join(err, file.Close())
}
