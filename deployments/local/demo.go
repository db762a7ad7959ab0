package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/process"
)

func demoCommand() *cli.Command {
	return &cli.Command{
		Name:  "demo",
		Usage: "start a stack and two workers, and tell the story of a standby cluster on them",
		Description: "The story always begins afresh: the data of an earlier stack in DIR is removed.\n" +
			"At its end everything stays up until Ctrl-C.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "once", Usage: "check each step, end everything and exit non-zero if a step failed; uses a temporary directory unless --dir is given"},
			dirFlag(), cacheDirFlag(),
			&cli.StringFlag{Name: "bin-dir", Usage: "where worker and starter are", Value: "bin"},
		},
		Action: func(c *cli.Context) error {
			d := &demo{
				say:    newNarrator(os.Stdout),
				once:   c.Bool("once"),
				binDir: c.String("bin-dir"),
			}
			options := stackOptions{
				Clusters: []string{"primary", "standby"},
				Repos:    []string{"demo"},
				Dir:      c.String("dir"),
				CacheDir: c.String("cache-dir"),
				Temporal: true,
				Git:      true,
			}
			temporary := d.once && !c.IsSet("dir")
			return d.main(c.Context, options, temporary)
		},
	}
}

// demo tells the story on a stack of its own.
type demo struct {
	say    *narrator
	once   bool
	binDir string

	stack   *stack
	workers []*process.Child
	passed  int
	failed  int
}

var errStoryFailed = errors.New("the story did not go as it should")

func (d *demo) main(ctx context.Context, options stackOptions, temporary bool) error {
	if err := d.findBinaries(); err != nil {
		return err
	}
	if temporary {
		dir, err := os.MkdirTemp("", "active-cluster-sync-demo-")
		if err != nil {
			return err
		}
		options.Dir = dir
	}
	if err := options.validate(); err != nil {
		return err
	}
	if err := startAfresh(options.Dir); err != nil {
		return err
	}

	err := d.run(ctx, options)
	switch {
	case temporary && err == nil:
		return os.RemoveAll(options.Dir)
	case temporary:
		fmt.Fprintf(os.Stderr, "\nThe data and logs of this run are kept in %s\n", options.Dir)
	}
	return err
}

// run starts the stack, tells the story and ends all that it started.
func (d *demo) run(ctx context.Context, options stackOptions) error {
	began := time.Now()
	stack, err := startStack(ctx, options)
	if err != nil && ctx.Err() != nil {
		return d.interrupted()
	}
	if err := d.record("stack", err); err != nil {
		d.conclude(began)
		return err
	}
	d.stack = stack
	defer stack.stop()
	defer d.stopWorkers()
	stack.printTable(os.Stdout)

	// A server or a worker that dies ends the story, too.
	alive, end := context.WithCancelCause(ctx)
	defer end(nil)
	go func() {
		select {
		case err := <-stack.failed:
			end(err)
		case <-alive.Done():
		}
	}()

	err = d.tell(alive, end)
	if ctx.Err() != nil {
		return d.interrupted()
	}
	if d.once {
		d.conclude(began)
		return err
	}
	if alive.Err() == nil {
		d.whereToLook()
		<-alive.Done()
		if ctx.Err() == nil {
			return context.Cause(alive)
		}
	}
	return err
}

// tell takes one step after the other up to the first that fails, for each
// stands on the one before.
func (d *demo) tell(ctx context.Context, end context.CancelCauseFunc) error {
	for i, step := range story {
		d.say.heading(i+1, len(story), step.title)
		if step.text != "" {
			d.say.text(step.text)
		}
		err := step.run(d, ctx, end)
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = cause
		}
		if err != nil {
			d.say.failed(err)
		}
		if err := d.record(step.name, err); err != nil {
			return err
		}
	}
	return nil
}

// interrupted is how a Ctrl-C ends a demo: well, unless somebody waits for its
// result.
func (d *demo) interrupted() error {
	if d.once {
		return context.Canceled
	}
	return nil
}

// record counts a step and, with --once, says how it went in a line for
// machines.
func (d *demo) record(step string, err error) error {
	if err == nil {
		d.passed++
		if d.once {
			fmt.Fprintf(d.say.out, "PASS %s\n", step)
		}
		return nil
	}
	d.failed++
	if d.once {
		reason, _, _ := strings.Cut(err.Error(), "\n")
		fmt.Fprintf(d.say.out, "FAIL %s: %s\n", step, reason)
	}
	return fmt.Errorf("%w: step %s: %w", errStoryFailed, step, err)
}

func (d *demo) conclude(began time.Time) {
	if !d.once {
		return
	}
	skipped := len(story) + 1 - d.passed - d.failed
	line := fmt.Sprintf("%d passed, %d failed", d.passed, d.failed)
	if skipped > 0 {
		line += fmt.Sprintf(", %d skipped", skipped)
	}
	fmt.Fprintf(d.say.out, "\nThe story took %s.\n%s\n", time.Since(began).Round(100*time.Millisecond), line)
}

func (d *demo) stopWorkers() {
	var workers sync.WaitGroup
	for _, worker := range d.workers {
		workers.Go(func() { worker.Stop(3 * time.Second) })
	}
	workers.Wait()
}

func (d *demo) whereToLook() {
	s := d.stack
	env := quoteIfNeeded(relative(s.path("env")))
	fmt.Fprintf(d.say.out, `
%s

  Web UI   %s
           the workflows cluster-sync-primary and cluster-sync-standby
  Git      %s git clone %s
  kubectl  . %s; PATH="$KUBE_ASSETS:$PATH"
           kubectl --context primary -n lantern-shop edit deployment storefront
           kubectl --context standby -n lantern-shop get deployments,services,promotions
  status   . %s; %s status standby
  diff     . %[6]s; %[7]s diff standby
  logs     ls %s

Ctrl-C ends it all.
`, d.say.paint(bold, "It all stays up now. Look around:"),
		s.temporal.UI(),
		d.shown(d.gitEnv(), nil), d.repository(),
		env, env, relative(d.binary("starter")), relative(s.path("logs")))
}

func (d *demo) findBinaries() error {
	for _, name := range []string{"worker", "starter"} {
		if stat, err := os.Stat(d.binary(name)); err != nil || stat.IsDir() {
			return fmt.Errorf("no %s in %s: run `make build` first, or name the directory with --bin-dir", name, d.binDir)
		}
	}
	return nil
}

func (d *demo) binary(name string) string { return filepath.Join(d.binDir, name) }

// startAfresh removes what an earlier stack or demo left in dir, and nothing
// else. It refuses to touch a directory that no stack has made.
func startAfresh(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	marked := slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == lockFile })
	if !marked {
		return fmt.Errorf("%s is not empty and not of an earlier stack: choose another --dir", dir)
	}
	lock, err := process.TryLock(filepath.Join(dir, lockFile))
	if err != nil {
		return fmt.Errorf("another stack runs in %s (%w): end it, or choose another --dir", dir, err)
	}
	defer lock.Release()
	for _, name := range []string{"clusters", "clone", "data", "git", "kube-cache", "logs", "sample", "temporal"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}
