package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/process"
)

// typed runs a command before the eyes of the reader and returns what it
// printed. Variables of env are shown before it, as one would type them.
func (d *demo) typed(ctx context.Context, env []string, args ...string) (string, error) {
	d.say.command(d.shown(env, args))

	read, write := io.Pipe()
	var printed string
	done := make(chan struct{})
	go func() {
		defer close(done)
		printed = d.say.output(read)
		_, _ = io.Copy(io.Discard, read)
	}()
	err := d.execute(ctx, env, write, write, args...)
	_ = write.Close()
	<-done
	return printed, err
}

// kubectl types commands for one cluster.
func (d *demo) kubectl(ctx context.Context, cluster string, commands ...[]string) error {
	for _, command := range commands {
		if _, err := d.typed(ctx, nil, append([]string{"kubectl", "--context", cluster}, command...)...); err != nil {
			return err
		}
	}
	return nil
}

// ask runs a command that is of no interest to the reader and returns its
// standard output.
func (d *demo) ask(ctx context.Context, env []string, args ...string) (string, error) {
	var out, errs strings.Builder
	err := d.execute(ctx, env, &out, &errs, args...)
	if err != nil && errs.Len() > 0 {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(errs.String()))
	}
	return out.String(), err
}

func (d *demo) execute(ctx context.Context, env []string, out, errs io.Writer, args ...string) error {
	path, err := d.program(args[0])
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, args[1:]...)
	cmd.Env = append(d.environment(), env...)
	cmd.Stdout, cmd.Stderr = out, errs
	if err := process.StartGroup(cmd, 2*time.Second); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s %s: %w", args[0], strings.Join(args[1:min(len(args), 3)], " "), err)
	}
	return nil
}

func (d *demo) program(name string) (string, error) {
	switch name {
	case "worker", "starter":
		return filepath.Abs(d.binary(name))
	case "kubectl":
		return filepath.Join(d.stack.assets, name), nil
	default:
		return exec.LookPath(name)
	}
}

// shown is a command line that a reader can type where the demo was started.
func (d *demo) shown(env, args []string) string {
	words := make([]string, 0, len(env)+len(args))
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		words = append(words, name+"="+quoteIfNeeded(relative(value)))
	}
	for i, arg := range args {
		if i == 0 && (arg == "starter" || arg == "worker") {
			arg = d.binary(arg)
		}
		words = append(words, quoteIfNeeded(relative(arg)))
	}
	return strings.Join(words, " ")
}

// environment is a person's shell after `. env`, without the settings that
// would lead the commands elsewhere.
func (d *demo) environment() []string {
	var env []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, "TEMPORAL_") && !strings.HasPrefix(name, "GIT_") && name != "KUBECONFIG" {
			env = append(env, variable)
		}
	}
	for _, v := range d.stack.env() {
		env = append(env, v.name+"="+v.value)
	}
	return append(env, "KUBECACHEDIR="+d.stack.path("kube-cache"),
		// A credential helper in the person's own settings would keep the token.
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_TERMINAL_PROMPT=0")
}

// startWorker runs the product's worker as a user does, with an identity of
// its own. The story ends when the worker does.
func (d *demo) startWorker(cluster string, end context.CancelCauseFunc) error {
	kubeconfig := d.stack.path("worker-" + cluster + ".kubeconfig")
	plane := d.stack.clusters[slices.Index(d.stack.options.Clusters, cluster)]
	if err := plane.WriteKubeconfig(kubeconfig, "active-cluster-sync", ""); err != nil {
		return err
	}
	args := []string{"worker", "--cluster", cluster + "=" + cluster,
		"--kubeconfig", kubeconfig, "--data-dir", d.stack.path("data", "worker-"+cluster)}
	path, err := d.program(args[0])
	if err != nil {
		return err
	}
	log := d.stack.path("logs", "worker-"+cluster+".log")
	d.say.command(d.shown(nil, args) + " 2> " + relative(log) + " &")
	worker, err := process.Start(process.Command{
		Name: "worker of " + cluster, Path: path, Args: args[1:], Env: d.environment(), Log: log,
	})
	if err != nil {
		return err
	}
	d.workers = append(d.workers, worker)
	go func() {
		<-worker.Done()
		if crash := worker.Crash(); crash != nil {
			end(crash)
		}
	}()
	return nil
}

// askpass is the program that Git asks for credentials. It reads the token
// from its file, so that it is in no argument and no variable.
func (d *demo) askpass() string { return d.stack.path("askpass") }

func (d *demo) writeAskpass() error {
	script := fmt.Sprintf("#!/bin/sh\ncase \"$1\" in\nUsername*) echo git ;;\n*) cat \"${TOKEN_FILE:-%s}\" ;;\nesac\n", d.tokenFile())
	return os.WriteFile(d.askpass(), []byte(script), 0o700)
}

func (d *demo) gitEnv() []string { return []string{"GIT_ASKPASS=" + d.askpass()} }

func (d *demo) repository() string { return d.stack.git.URL() + "/demo.git" }

func (d *demo) tokenFile() string { return d.stack.git.TokenFile("demo") }

// eventually repeats an attempt until it succeeds, and returns its last error
// when it doesn't for longer than a person would wait.
func eventually(ctx context.Context, attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	for {
		err := attempt(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err // an attempt that the deadline cut short says less
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", patience, last)
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// relative is path as seen from the working directory, if that is shorter.
func relative(path string) string {
	here, err := os.Getwd()
	if err != nil || !filepath.IsAbs(path) {
		return path
	}
	short, err := filepath.Rel(here, path)
	if err != nil || strings.HasPrefix(short, "..") {
		return path
	}
	return short
}

func quoteIfNeeded(arg string) string {
	if strings.ContainsAny(arg, " '\"{}$*?;&|<>()") {
		return shellQuote(arg)
	}
	return arg
}
