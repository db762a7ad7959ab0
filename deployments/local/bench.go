package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/assets"
	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/bench"
	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/controlplane"
	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/progress"
	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/temporal"
)

// benchCluster is the name of the cluster that is measured.
const benchCluster = "bench"

func benchCommand() *cli.Command {
	return &cli.Command{
		Name:  "bench",
		Usage: "measure the product against kubectl and git on clusters of several sizes",
		Description: "Each size gets a fresh stack in a temporary directory. The figures are printed and, with charts,\n" +
			"written to a directory. Whether they are good enough is told and doesn't change the exit status.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "sizes", Usage: "numbers of objects, separated by commas; none to measure the fleet alone and add it to an earlier report", Value: "1000,10000"},
			&cli.IntFlag{Name: "repeat", Usage: "how often to measure on each cluster; the report has the medians", Value: 3},
			&cli.DurationFlag{Name: "interval", Usage: "time between two ticks", Value: 10 * time.Second},
			&cli.IntFlag{Name: "idle-ticks", Usage: "how many ticks without a change to look at", Value: 12},
			&cli.IntFlag{Name: "edits", Usage: "how often to edit one object", Value: 5},
			&cli.IntFlag{Name: "fleet", Usage: "how many enrolled clusters to measure on one worker; 0 for none", Value: 200},
			&cli.StringFlag{Name: "out", Usage: "where to write README.md, results.json and cost.svg", Value: "docs/bench"},
			cacheDirFlag(),
			&cli.StringFlag{Name: "bin-dir", Usage: "where worker and starter are", Value: "bin"},
		},
		Action: func(c *cli.Context) error {
			sizes, err := parseSizes(c.String("sizes"))
			if err != nil {
				return err
			}
			b := &benchmark{
				sizes: sizes, fleet: c.Int("fleet"), cacheDir: c.String("cache-dir"),
				settings: bench.Settings{
					Repeat:          c.Int("repeat"),
					Interval:        c.Duration("interval"),
					IntervalSeconds: c.Duration("interval").Seconds(),
					IdleTicks:       c.Int("idle-ticks"),
					Edits:           c.Int("edits"),
					Many:            1000,
				},
			}
			if b.settings.Repeat < 1 || b.settings.IdleTicks < 1 || b.settings.Edits < 1 || b.settings.Interval < time.Second {
				return fmt.Errorf("%w: --repeat, --idle-ticks and --edits have to be at least 1, --interval 1s", errUsage)
			}
			if b.fleet < 0 || b.fleet == 0 && len(sizes) == 0 {
				return fmt.Errorf("%w: --fleet has to be at least 1 with --sizes none, else at least 0", errUsage)
			}
			if b.worker, b.starter, err = productBinaries(c.String("bin-dir")); err != nil {
				return err
			}
			return b.main(c.Context, c.String("out"))
		},
	}
}

func parseSizes(list string) ([]int, error) {
	if list == "none" {
		return nil, nil
	}
	var sizes []int
	for _, text := range splitNames(list) {
		size, err := strconv.Atoi(text)
		if err != nil || size < 20 {
			return nil, fmt.Errorf("%w: --sizes %q: give numbers of at least 20", errUsage, text)
		}
		sizes = append(sizes, size)
	}
	if len(sizes) == 0 {
		return nil, fmt.Errorf("%w: --sizes is empty", errUsage)
	}
	slices.Sort(sizes)
	return slices.Compact(sizes), nil
}

// benchmark measures one size after the other.
type benchmark struct {
	sizes           []int
	fleet           int
	settings        bench.Settings
	cacheDir        string
	worker, starter string // absolute
}

func (b *benchmark) main(ctx context.Context, out string) error {
	report := bench.Report{
		Date:     time.Now().UTC().Format(time.RFC3339),
		Commit:   bench.Commit(ctx),
		Machine:  bench.DescribeMachine(ctx, assets.KubernetesVersion),
		Settings: b.settings,
	}
	if len(b.sizes) == 0 {
		if earlier, err := bench.Read(out); err == nil {
			report = earlier
		}
	}
	for _, n := range b.sizes {
		size, err := b.measure(ctx, n)
		if err != nil {
			return fmt.Errorf("%d objects: %w", n, err)
		}
		report.Sizes = append(report.Sizes, size)
		report.Judge()
		// A large size takes long, and may fail; the smaller ones are kept.
		if err := report.Write(out); err != nil {
			return err
		}
	}
	if b.fleet > 0 {
		err := b.withStack(ctx, fmt.Sprintf("%d clusters", b.fleet), func(ctx context.Context, stack bench.Stack, part *progress.Part) error {
			fleet, err := bench.MeasureFleet(ctx, stack, b.settings, b.fleet, part)
			report.Fleet = &fleet
			return err
		})
		if err != nil {
			return fmt.Errorf("%d clusters: %w", b.fleet, err)
		}
		if err := report.Write(out); err != nil {
			return err
		}
	}
	fmt.Print("\n", report.Tables())
	fmt.Fprintf(os.Stderr, "\nWritten to %s: README.md, results.json and cost.svg\n", out)
	return nil
}

func (b *benchmark) measure(ctx context.Context, n int) (size bench.Size, err error) {
	err = b.withStack(ctx, strconv.Itoa(n)+" objects", func(ctx context.Context, stack bench.Stack, part *progress.Part) (err error) {
		size, err = bench.Measure(ctx, stack, b.settings, n, part)
		return err
	})
	return size, err
}

// withStack measures on a stack of its own, which is removed unless something failed.
func (b *benchmark) withStack(ctx context.Context, what string, measure func(context.Context, bench.Stack, *progress.Part) error) (err error) {
	dir, err := os.MkdirTemp("", "active-cluster-sync-bench-")
	if err != nil {
		return err
	}
	defer func() {
		if err == nil || ctx.Err() != nil {
			_ = os.RemoveAll(dir)
			return
		}
		fmt.Fprintf(os.Stderr, "\nThe data and logs of this run are kept in %s\n", dir)
	}()
	stack, err := startStack(ctx, stackOptions{
		Clusters: []string{benchCluster}, Dir: dir, CacheDir: b.cacheDir,
		Temporal: true, Git: true, Audited: bench.Audited(),
	})
	if err != nil {
		return err
	}
	defer stack.stop()
	port, err := stack.ports.Reserve()
	if err != nil {
		return err
	}

	// A server that dies ends the measuring.
	alive, end := context.WithCancelCause(ctx)
	defer end(nil)
	go func() {
		select {
		case err := <-stack.failed:
			end(err)
		case <-alive.Done():
		}
	}()
	board := progress.New(os.Stderr)
	defer board.Close()
	part := board.Part(what)
	err = measure(alive, b.environment(stack, port, part), part)
	if cause := context.Cause(alive); err != nil && cause != nil {
		return cause
	}
	if err == nil {
		part.Done("measured")
	}
	return err
}

func (b *benchmark) environment(s *stack, metricsPort int, part *progress.Part) bench.Stack {
	return bench.Stack{
		Cluster: s.clusters[0],
		Fresh: func(ctx context.Context, name string) (*controlplane.ControlPlane, error) {
			plane, err := s.launch(ctx, name, part)
			if err == nil {
				s.watchOver(plane.Failed())
			}
			return plane, err
		},
		Git:     s.git,
		GitRoot: s.path("git"),
		GitLog:  s.path("logs", "git.log"),
		Env:     []string{"TEMPORAL_ADDRESS=" + s.temporal.Address(), "TEMPORAL_NAMESPACE=" + temporal.Namespace},
		Polled:  s.temporal.Polled,
		Kubectl: filepath.Join(s.assets, "kubectl"),
		Worker:  b.worker, Starter: b.starter,
		Dir: s.path(), MetricsPort: metricsPort,
	}
}

// productBinaries are the absolute paths of worker and starter.
func productBinaries(dir string) (worker, starter string, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return "", "", err
	}
	worker, starter = filepath.Join(dir, "worker"), filepath.Join(dir, "starter")
	var lacking []string
	for _, path := range []string{worker, starter} {
		if stat, err := os.Stat(path); err != nil || stat.IsDir() {
			lacking = append(lacking, filepath.Base(path))
		}
	}
	if len(lacking) > 0 {
		return "", "", fmt.Errorf("no %s in %s: run `make build` first, or name the directory with --bin-dir", strings.Join(lacking, " and "), dir)
	}
	return worker, starter, nil
}
