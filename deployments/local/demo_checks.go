package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// syncStatus is what the demo reads of `starter status -o json`.
type syncStatus struct {
	State    string `json:"state"`
	Reason   string `json:"reason"`
	Message  string `json:"message"`
	Revision string `json:"revision"`
	Objects  int    `json:"objects"`
}

func (d *demo) status(ctx context.Context, cluster string) (syncStatus, error) {
	var status syncStatus
	out, err := d.ask(ctx, nil, "starter", "status", cluster, "-o", "json")
	if err != nil {
		return status, err
	}
	if err := json.Unmarshal([]byte(out), &status); err != nil {
		return status, fmt.Errorf("read the status of %s: %w", cluster, err)
	}
	return status, nil
}

func (d *demo) waitInSync(ctx context.Context, cluster string) (syncStatus, error) {
	var status syncStatus
	err := eventually(ctx, func(ctx context.Context) (err error) {
		if status, err = d.status(ctx, cluster); err != nil {
			return err
		}
		if status.State != "InSync" {
			return fmt.Errorf("%s is %s (%s: %s)", cluster, status.State, status.Reason, status.Message)
		}
		return nil
	})
	return status, err
}

// waitSame returns when the sample's objects are the same on both clusters,
// and how many they are.
func (d *demo) waitSame(ctx context.Context) (int, error) {
	count := 0
	err := eventually(ctx, func(ctx context.Context) error {
		primary, err := d.sampleOn(ctx, "primary")
		if err != nil {
			return err
		}
		standby, err := d.sampleOn(ctx, "standby")
		if err != nil {
			return err
		}
		count = len(primary)
		if found := differences(primary, standby); len(found) > 0 {
			return fmt.Errorf("standby is not like primary: %s", strings.Join(found, ", "))
		}
		return nil
	})
	return count, err
}

// sampleOn returns the sample's objects as they are in a cluster.
func (d *demo) sampleOn(ctx context.Context, cluster string) ([]object, error) {
	out, err := d.ask(ctx, nil, "kubectl", "--context", cluster, "get", "--ignore-not-found", "-o", "json", "-f", d.stack.path("sample"))
	if err != nil {
		return nil, err
	}
	return parseList(out)
}

func (d *demo) tip(ctx context.Context) (string, error) {
	out, err := d.ask(ctx, d.gitEnv(), "git", "ls-remote", d.repository(), "refs/heads/main")
	hash, _, _ := strings.Cut(out, "\t")
	return hash, err
}

// checkClone looks for every object of the sample in Git, its Secrets encrypted.
func (d *demo) checkClone(ctx context.Context, clone string) error {
	want, err := readManifests(sampleFiles)
	if err != nil {
		return err
	}
	stored, err := readManifests(os.DirFS(clone))
	if err != nil {
		return err
	}
	inGit := map[string]object{}
	for _, o := range stored {
		inGit[o.identity()] = o
	}
	complete := 0
	for _, o := range want {
		file, ok := inGit[o.identity()]
		if !ok {
			return fmt.Errorf("%s of the sample is not in Git", o.identity())
		}
		if o.text("kind") == "Secret" && len(file.child("sops")) == 0 {
			return fmt.Errorf("%s is in Git and isn't encrypted", o.identity())
		}
		complete++
	}
	d.say.ok("all %d objects of the sample are in Git, one file each", complete)

	history, err := d.ask(ctx, nil, "git", "-C", clone, "log", "--all", "--patch")
	if err != nil {
		return err
	}
	for _, o := range want {
		for _, value := range object(o.child("stringData")) {
			plain := fmt.Sprint(value)
			if strings.Contains(history, plain) || strings.Contains(history, base64.StdEncoding.EncodeToString([]byte(plain))) {
				return fmt.Errorf("a value of %s is in Git's history", o.identity())
			}
		}
	}
	d.say.ok("its Secrets are encrypted, and no value of theirs is anywhere in Git's history")
	return nil
}

// findNoToken reads all files of the stack, Git's history and the arguments of
// all processes. The token may be in the Git server's own file and in etcd,
// where the enrolment's Secret is.
func (d *demo) findNoToken(ctx context.Context, _ context.CancelCauseFunc) error {
	token, err := os.ReadFile(d.tokenFile())
	if err != nil {
		return err
	}
	token = bytes.TrimSpace(token)
	leaked := func(text []byte) bool {
		return bytes.Contains(text, token) || bytes.Contains(text, []byte(base64.StdEncoding.EncodeToString(token)))
	}

	files := 0
	allowed := []string{filepath.Dir(d.tokenFile())}
	for _, cluster := range d.stack.options.Clusters {
		allowed = append(allowed, d.stack.path("clusters", cluster, "etcd"))
	}
	err = filepath.WalkDir(d.stack.options.Dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && slices.Contains(allowed, path) {
			return filepath.SkipDir
		}
		if err == nil && entry.Type().IsRegular() {
			var text []byte
			if text, err = os.ReadFile(path); leaked(text) {
				return fmt.Errorf("the token is in %s", path)
			}
			files++
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil // a database's temporary file, say
		}
		return err
	})
	if err != nil {
		return err
	}
	d.say.ok("not in the stack's %d other files, such as both workers' logs and Temporal's database", files)

	for place, command := range map[string][]string{
		"Git's history":              {"git", "-C", d.stack.path("clone"), "log", "--all", "--patch"},
		"the arguments of a process": {"ps", "-A", "-o", "args="},
	} {
		out, err := d.ask(ctx, nil, command...)
		if err != nil {
			return err
		}
		if leaked([]byte(out)) {
			return fmt.Errorf("the token is in %s", place)
		}
		d.say.ok("not in %s", place)
	}
	return nil
}
