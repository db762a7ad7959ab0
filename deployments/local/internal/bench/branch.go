package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// branch is main of a bare repository, seen from the server's side: looking at
// it is no request.
type branch struct {
	directory  string
	repository string // name
}

// tip is the branch's commit, "" while there is none.
func (b branch) tip() (string, error) {
	text, err := os.ReadFile(filepath.Join(b.directory, "refs/heads/main"))
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	// Housekeeping of the repository moves refs to here.
	packed, err := os.ReadFile(filepath.Join(b.directory, "packed-refs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	for line := range strings.Lines(string(packed)) {
		if hash, ok := strings.CutSuffix(strings.TrimSpace(line), " refs/heads/main"); ok {
			return hash, nil
		}
	}
	return "", nil
}

// waitFor returns the moment at which the branch's tip became one that is
// accepted. Not accepting it is an error that says what is missing.
func (b branch) waitFor(ctx context.Context, limit time.Duration, accept func(ctx context.Context, tip string) error) (time.Time, error) {
	seen, when, reason := "", time.Time{}, errors.New("nothing was pushed")
	err := eventually(ctx, limit, func(ctx context.Context) error {
		tip, err := b.tip()
		if err != nil {
			return err
		}
		if tip != seen {
			seen, when = tip, time.Now()
			reason = accept(ctx, tip)
		}
		return reason
	})
	if err != nil {
		return when, fmt.Errorf("branch main of %s: %w", b.repository, err)
	}
	return when, nil
}

// filled counts the files of a commit that are of the benchmark's objects, by
// the folder of their kind.
func (b branch) filled(ctx context.Context, tip string) (map[string]int, error) {
	counts := map[string]int{}
	err := b.gitLines(ctx, func(path string) {
		// namespaces/<ns>/<folder>/<name>.yaml
		parts := strings.Split(path, "/")
		if len(parts) == 4 && strings.HasPrefix(parts[1], namespacePrefix) {
			counts[parts[2]]++
		}
	}, "ls-tree", "-r", "--name-only", tip)
	return counts, err
}

// changed counts the files that differ between two commits.
func (b branch) changed(ctx context.Context, from, to string) (int, error) {
	return b.countLines(ctx, "diff-tree", "-r", "--name-only", from, to)
}

// received counts the Git objects that came with a commit since another one,
// or since the beginning of history.
func (b branch) received(ctx context.Context, from, to string) (float64, error) {
	args := []string{"rev-list", "--objects", to}
	if from != "" {
		args = append(args, "^"+from)
	}
	n, err := b.countLines(ctx, args...)
	return float64(n), err
}

func (b branch) countLines(ctx context.Context, args ...string) (int, error) {
	n := 0
	err := b.gitLines(ctx, func(string) { n++ }, args...)
	return n, err
}

func (b branch) gitLines(ctx context.Context, each func(string), args ...string) error {
	git := exec.CommandContext(ctx, "git", append([]string{"-C", b.directory, "-c", "safe.directory=*"}, args...)...)
	out, err := git.StdoutPipe()
	if err != nil {
		return err
	}
	if err := git.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		each(lines.Text())
	}
	if err := git.Wait(); err != nil {
		return fmt.Errorf("git %s in %s: %w", args[0], b.directory, err)
	}
	return lines.Err()
}
