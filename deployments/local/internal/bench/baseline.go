package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// script is what somebody writes to keep a cluster in Git without the product:
// kubectl get into files, git add, commit and push. It gets the benefit of the
// doubt wherever it could be written in more than one way:
//
//   - one kubectl for all resources, not one for each, and no paging;
//   - what the product never exports isn't read either;
//   - cutting kubectl's answer into a file for each object isn't counted, and
//     only files whose content differs are written, so that Git has to look
//     into these alone;
//   - Git packs nothing on its own account in between.
type script struct {
	*run
	branch    branch
	clone     string
	resources []string // for kubectl get
	oneByOne  bool     // a kubectl for each
	env       []string

	// What the last run used.
	wall, cpu time.Duration
	peak      float64 // bytes, of one process
}

// leftOut are resources that the product doesn't export, as a whole or because
// a controller makes their objects.
var leftOut = []string{
	"componentstatuses", "endpoints", "endpointslices.discovery.k8s.io", "events", "events.events.k8s.io",
	"leases.coordination.k8s.io", "controllerrevisions.apps", "replicasets.apps", "pods", "nodes",
	"csinodes.storage.k8s.io", "volumeattachments.storage.k8s.io", "ipaddresses.networking.k8s.io",
	"jobs.batch",
}

// baseline measures the script in a new clone of a new repository.
func (r *run) baseline(ctx context.Context, number int, withSecrets bool) (costs Costs, err error) {
	s, err := r.newScript(ctx, fmt.Sprintf("baseline-%d", number), withSecrets)
	if err != nil {
		return costs, err
	}
	steps := []struct {
		name   string
		cost   *Cost
		edited []object
	}{
		{"first push", &costs.First, nil},
		{"nothing changed", &costs.Idle, nil},
		{"one object changed", &costs.One, r.toEdit(1, false)},
		{"many objects changed", &costs.Many, r.toEdit(r.Many, withSecrets)},
	}
	for _, step := range steps {
		if *step.cost, err = s.measure(ctx, step.name, step.edited); err != nil {
			return costs, err
		}
		costs.PeakRSS = max(costs.PeakRSS, s.peak)
	}
	return costs, nil
}

// loop is the first push of the script in the form in which it is most often
// written: a kubectl for each resource.
func (r *run) loop(ctx context.Context, number int, withSecrets bool) (Cost, error) {
	s, err := r.newScript(ctx, fmt.Sprintf("loop-%d", number), withSecrets)
	if err != nil {
		return Cost{}, err
	}
	s.oneByOne = true
	return s.measure(ctx, "first push", nil)
}

func (r *run) newScript(ctx context.Context, name string, withSecrets bool) (*script, error) {
	b, err := r.repository(ctx, name)
	if err != nil {
		return nil, err
	}
	s := &script{run: r, branch: b, clone: filepath.Join(r.Dir, name)}
	return s, s.prepare(ctx, withSecrets)
}

func (s *script) prepare(ctx context.Context, withSecrets bool) error {
	askpass := s.clone + ".askpass"
	text := fmt.Sprintf("#!/bin/sh\ncase \"$1\" in\nUsername*) echo git ;;\n*) cat '%s' ;;\nesac\n", s.Git.TokenFile(s.branch.repository))
	if err := os.WriteFile(askpass, []byte(text), 0o700); err != nil {
		return err
	}
	s.env = append(s.environment(),
		"KUBECONFIG="+s.primary.kubeconfig(kubectlUser), "KUBECACHEDIR="+s.clone+".kube-cache",
		"GIT_ASKPASS="+askpass, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_TERMINAL_PROMPT=0")

	if err := s.execute(ctx, nil, "git", "clone", "--quiet", s.repositoryURL(s.branch.repository), s.clone); err != nil {
		return err
	}
	for setting, value := range map[string]string{"user.name": "bench", "user.email": "bench@example.com", "gc.auto": "0"} {
		if err := s.git(ctx, "config", setting, value); err != nil {
			return err
		}
	}
	resources, err := s.listable(ctx)
	s.resources = slices.DeleteFunc(resources, func(name string) bool {
		return slices.Contains(leftOut, name) || name == secrets && !withSecrets
	})
	return err
}

func (s *script) listable(ctx context.Context) ([]string, error) {
	answer, err := os.Create(s.clone + ".resources")
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	if err := s.execute(ctx, answer, s.Kubectl, "api-resources", "--verbs=list", "-o", "name"); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(answer.Name())
	return strings.Fields(string(text)), err
}

// measure runs the script once, after edits that aren't counted.
func (s *script) measure(ctx context.Context, step string, edited []object) (Cost, error) {
	s.Step("%s, %s", s.branch.repository, step)
	cost, err := s.once(ctx, edited)
	if err != nil {
		return cost, fmt.Errorf("%s, %s: %w", s.branch.repository, step, err)
	}
	s.tell(s.branch.repository, step, cost)
	return cost, nil
}

func (s *script) once(ctx context.Context, edited []object) (Cost, error) {
	if len(edited) > 0 {
		if err := s.edit(ctx, edited); err != nil {
			return Cost{}, err
		}
	}
	meter, err := s.meter(s.primary, kubectlUser, s.branch)
	if err != nil {
		return Cost{}, err
	}
	s.wall, s.cpu, s.peak = 0, 0, 0
	groups := []string{strings.Join(s.resources, ",")}
	if s.oneByOne {
		groups = s.resources
	}
	for _, resources := range groups {
		if err := s.export(ctx, resources); err != nil {
			return Cost{}, err
		}
	}
	if err := s.push(ctx); err != nil {
		return Cost{}, err
	}
	cost, err := meter.read(ctx)
	cost.Wall, cost.CPU, cost.Edited = s.wall.Seconds(), s.cpu.Seconds(), float64(len(edited))
	return cost, err
}

// export makes the clone's files equal to the cluster's objects.
func (s *script) export(ctx context.Context, resources string) error {
	answer, err := os.Create(s.clone + ".yaml")
	if err != nil {
		return err
	}
	defer answer.Close()
	if err := s.execute(ctx, answer, s.Kubectl, "get", resources, "--all-namespaces", "--chunk-size=0", "-o", "yaml"); err != nil {
		return err
	}
	list, err := os.ReadFile(answer.Name())
	if err != nil {
		return err
	}
	return splitList(list, func(path string, content []byte) error {
		return writeIfNew(filepath.Join(s.clone, path), content)
	})
}

func (s *script) push(ctx context.Context) error {
	if err := s.git(ctx, "add", "--all"); err != nil {
		return err
	}
	// Exit status 1 means that there is something to commit.
	err := s.git(ctx, "diff", "--cached", "--quiet")
	var status *exec.ExitError
	if !errors.As(err, &status) || status.ExitCode() != 1 {
		return err
	}
	if err := s.git(ctx, "commit", "--quiet", "--message", "cluster"); err != nil {
		return err
	}
	return s.git(ctx, "push", "--quiet", "origin", "HEAD:main")
}

func (s *script) git(ctx context.Context, args ...string) error {
	return s.execute(ctx, nil, "git", append([]string{"-C", s.clone}, args...)...)
}

// execute runs a program and adds up what it and its children used.
func (s *script) execute(ctx context.Context, out *os.File, program string, args ...string) error {
	var errs strings.Builder
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Stderr = s.env, &errs
	if out != nil {
		cmd.Stdout = out
	}
	began := time.Now()
	err := cmd.Run()
	s.wall += time.Since(began)
	if state := cmd.ProcessState; state != nil {
		s.cpu += state.UserTime() + state.SystemTime()
		if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
			s.peak = max(s.peak, float64(usage.Maxrss)*maxRSS)
		}
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(program), strings.Join(args[:min(len(args), 3)], " "), err, strings.TrimSpace(errs.String()))
	}
	return nil
}
