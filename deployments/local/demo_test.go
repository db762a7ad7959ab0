package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDemoFailsWithTheReasonWhenAWorkerDies(t *testing.T) {
	t.Parallel()
	bin, dir := t.TempDir(), filepath.Join(t.TempDir(), "stack")
	for name, script := range map[string]string{"worker": "echo no such context >&2; exit 4", "starter": "exit 1"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	demo := run(t, "demo", "--once", "--dir", dir, "--cache-dir", cacheDir, "--bin-dir", bin)
	if status := demo.wait(3 * time.Minute); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	lines := strings.Split(strings.TrimSpace(demo.stdout.String()), "\n")
	if last := lines[len(lines)-1]; last != "1 passed, 1 failed, 10 skipped" {
		t.Errorf("the closing line is %q", last)
	}
	if !slices.Contains(lines, "PASS stack") {
		t.Error("the stack's start is not counted")
	}
	failure := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "FAIL workers: worker of ") })
	if failure < 0 || !strings.Contains(demo.stdout.String(), "no such context") {
		t.Errorf("the reason is not told:\n%s", &demo.stdout)
	}
}

func TestDemoNeedsTheBinaries(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "stack")
	demo := run(t, "demo", "--once", "--dir", dir, "--bin-dir", t.TempDir())
	if status := demo.wait(10 * time.Second); status != 1 || !strings.Contains(demo.stderr.String(), "make build") {
		t.Errorf("exit status %d: %s", status, &demo.stderr)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory was made although nothing can run")
	}
}

func TestDemoStartsAfreshOnlyInADirectoryOfAStack(t *testing.T) {
	dir := t.TempDir()
	write := func(path string) {
		t.Helper()
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := startAfresh(dir); err != nil {
		t.Errorf("an empty directory: %v", err)
	}
	write("git/thesis")
	write("notes.txt")
	if err := startAfresh(dir); err == nil {
		t.Error("somebody else's directory is taken")
	}
	if _, err := os.Stat(filepath.Join(dir, "git/thesis")); err != nil {
		t.Fatalf("somebody else's file: %v", err)
	}

	write(lockFile)
	if err := startAfresh(dir); err != nil {
		t.Errorf("a directory of a stack: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "git")); err == nil {
		t.Error("the old repositories are still there")
	}
	if _, err := os.Stat(filepath.Join(dir, "notes.txt")); err != nil {
		t.Errorf("what no stack makes: %v", err)
	}
}
