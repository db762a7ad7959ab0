package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"text/tabwriter"

	"golang.org/x/sync/errgroup"

	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/controlplane"
	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/gitserver"
	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/process"
	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/progress"
	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/temporal"
)

// The parts that have a port besides the clusters, by the names under which
// their ports are remembered.
const (
	partTemporal = "temporal"
	partUI       = "temporal-ui"
	partGit      = "git"
)

// usualPorts are taken when they are free and no others were in use before.
var usualPorts = map[string]int{partTemporal: 7233, partUI: 8233, partGit: 3000}

// lockFile also marks a directory as one of ours.
const lockFile = "local.lock"

type stackOptions struct {
	Clusters []string
	Repos    []string
	Dir      string // absolute
	CacheDir string
	Temporal bool
	Git      bool
	// Ports are those that somebody asked for by number, by part; 0 for any.
	Ports map[string]int
	// Audited are users whose requests the API servers log.
	Audited []string
}

// stack is what runs: the servers, their ports and the directory's lock.
type stack struct {
	options stackOptions
	lock    *process.Lock
	ports   *process.Ports
	failed  chan error // gets the first error of a part that ended by itself

	temporal *temporal.Server
	git      *gitserver.Server
	clusters []*controlplane.ControlPlane // as in options.Clusters
	assets   string                       // directory of the Kubernetes binaries

	mu         sync.Mutex
	remembered map[string]int // ports of the last time, then of this one
}

// startStack returns when every part is ready and the env file is written, or
// when one failed and the others have ended.
func startStack(ctx context.Context, options stackOptions) (*stack, error) {
	s, err := openStack(options)
	if err != nil {
		return nil, err
	}
	board := progress.New(os.Stderr)
	err = s.startParts(ctx, board)
	board.Close()
	if err == nil {
		err = s.announce()
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	s.watch()
	return s, nil
}

// openStack takes the directory for this process.
func openStack(options stackOptions) (*stack, error) {
	if err := os.MkdirAll(filepath.Join(options.Dir, "logs"), 0o700); err != nil {
		return nil, fmt.Errorf("create the stack's directory: %w", err)
	}
	lock, err := process.TryLock(filepath.Join(options.Dir, lockFile))
	if errors.Is(err, process.ErrLocked) {
		return nil, fmt.Errorf("another stack runs in %s (%w); end it, or choose another --dir", options.Dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the stack's directory: %w", err)
	}
	ports, err := process.NewPorts()
	if err != nil {
		lock.Release()
		return nil, err
	}
	s := &stack{
		options:    options,
		lock:       lock,
		ports:      ports,
		failed:     make(chan error, 1),
		clusters:   make([]*controlplane.ControlPlane, len(options.Clusters)),
		remembered: map[string]int{},
	}
	// Without memory the stack takes new ports, which is no reason to fail.
	if text, err := os.ReadFile(s.path("ports.json")); err == nil {
		_ = json.Unmarshal(text, &s.remembered)
	}
	if err := s.removeEnv(); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// startParts starts all at once, for the slowest, a build of Kubernetes,
// shouldn't make the others wait.
func (s *stack) startParts(ctx context.Context, board *progress.Board) error {
	group, ctx := errgroup.WithContext(ctx)
	if s.options.Temporal {
		group.Go(func() error { return s.startTemporal(ctx, board.Part("temporal")) })
	}
	if s.options.Git {
		group.Go(func() error { return s.startGit(ctx, board.Part("git")) })
	}
	if len(s.options.Clusters) > 0 {
		group.Go(func() (err error) {
			if s.assets, err = ensureAssets(ctx, board, s.options.CacheDir); err != nil {
				return err
			}
			for i := range s.options.Clusters {
				group.Go(func() error { return s.startCluster(ctx, i, board.Part(s.options.Clusters[i])) })
			}
			return nil
		})
	}
	return group.Wait()
}

func (s *stack) startTemporal(ctx context.Context, part *progress.Part) error {
	part.Step("starting")
	config := temporal.Config{
		Database: s.path("temporal", "temporal.db"),
		Log:      s.path("logs", "temporal.log"),
	}
	var err error
	if config.Port, err = s.port(partTemporal); err != nil {
		return err
	}
	if config.UIPort, err = s.port(partUI); err != nil {
		return err
	}
	for i := range config.Internal {
		if config.Internal[i], err = s.ports.Reserve(); err != nil {
			return err
		}
	}
	if s.temporal, err = temporal.Start(ctx, config); err != nil {
		return err
	}
	part.Done("ready at %s, Web UI %s", s.temporal.Address(), s.temporal.UI())
	return nil
}

func (s *stack) startGit(ctx context.Context, part *progress.Part) error {
	part.Step("starting")
	port, err := s.port(partGit)
	if err != nil {
		return err
	}
	s.git, err = gitserver.Start(ctx, s.path("git"), port, s.path("logs", "git.log"))
	if err != nil {
		return err
	}
	s.remember(partGit, s.git.Port())
	for _, repository := range s.options.Repos {
		part.Step("creating repository %s", repository)
		if err := s.git.CreateRepository(ctx, repository); err != nil {
			return err
		}
	}
	part.Done("ready at %s", s.git.URL())
	return nil
}

func (s *stack) startCluster(ctx context.Context, i int, part *progress.Part) error {
	name := s.options.Clusters[i]
	plane, err := s.launch(ctx, name, part)
	if err != nil {
		return err
	}
	s.clusters[i] = plane
	s.remember("cluster "+name, plane.Port())
	part.Done("ready at %s", plane.URL())
	return nil
}

// launch starts a cluster. Who calls it stops it.
func (s *stack) launch(ctx context.Context, name string, part *progress.Part) (*controlplane.ControlPlane, error) {
	return controlplane.Start(ctx, controlplane.Config{
		Name:       name,
		Dir:        s.path("clusters", name),
		LogDir:     s.path("logs"),
		Kubeconfig: s.kubeconfig(name),
		Binaries:   s.assets,
		Ports:      s.ports,
		Port:       s.lastPort("cluster " + name),
		Audited:    s.options.Audited,
		Report:     part.Step,
	})
}

// announce writes what others need to find the parts; the env file comes last,
// because its existence means that all is ready.
func (s *stack) announce() error {
	if len(s.clusters) > 0 {
		if err := controlplane.MergeKubeconfigs(s.path("kubeconfig"), s.clusters); err != nil {
			return err
		}
	}
	text, err := json.Marshal(s.remembered)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path("ports.json"), text, 0o600); err != nil {
		return fmt.Errorf("remember the ports: %w", err)
	}
	return writeEnv(s.path("env"), s.env())
}

func (s *stack) removeEnv() error {
	if err := os.RemoveAll(s.path("env")); err != nil {
		return fmt.Errorf("remove the old env file: %w", err)
	}
	return nil
}

func (s *stack) watch() {
	var failures []<-chan error
	if s.temporal != nil {
		failures = append(failures, s.temporal.Failed())
	}
	if s.git != nil {
		failures = append(failures, s.git.Failed())
	}
	for _, plane := range s.clusters {
		failures = append(failures, plane.Failed())
	}
	for _, failure := range failures {
		s.watchOver(failure)
	}
}

// watchOver passes on that a part ended by itself.
func (s *stack) watchOver(failure <-chan error) {
	go func() {
		err := <-failure
		select {
		case s.failed <- err:
		default: // the first one is the cause
		}
	}()
}

// stop ends all parts, the clusters at the same time.
func (s *stack) stop() {
	_ = s.removeEnv()
	var parts sync.WaitGroup
	if s.temporal != nil {
		parts.Go(s.temporal.Stop)
	}
	if s.git != nil {
		parts.Go(s.git.Stop)
	}
	for _, plane := range s.clusters {
		if plane != nil {
			parts.Go(plane.Stop)
		}
	}
	parts.Wait()
	s.ports.Release()
	s.lock.Release()
}

func (s *stack) printTable(out io.Writer) {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	defer func() { _ = table.Flush() }()
	row := func(cells ...string) {
		for i, cell := range cells {
			if i > 0 {
				fmt.Fprint(table, "\t")
			}
			fmt.Fprint(table, cell)
		}
		fmt.Fprintln(table)
	}
	row("PART", "ADDRESS", "DETAILS")
	if s.temporal != nil {
		row("temporal", s.temporal.Address(), "namespace "+temporal.Namespace+", log "+s.path("logs", "temporal.log"))
		row("web ui", s.temporal.UI(), "")
	}
	if s.git != nil {
		row("git", s.git.URL(), "log "+s.path("logs", "git.log"))
		for _, repository := range s.options.Repos {
			row("  "+repository, s.git.URL()+"/"+repository+".git", "token in "+s.git.TokenFile(repository))
		}
	}
	for i, name := range s.options.Clusters {
		row("cluster "+name, s.clusters[i].URL(), "kubeconfig "+s.kubeconfig(name))
	}
}

func (s *stack) path(elements ...string) string {
	return filepath.Join(append([]string{s.options.Dir}, elements...)...)
}

func (s *stack) kubeconfig(cluster string) string { return s.path(cluster + ".kubeconfig") }

// port reserves the one that was asked for, else the one of the last time
// (addresses are part of what Temporal and Git clones remember), else the usual
// one, else any.
func (s *stack) port(part string) (int, error) {
	if asked := s.options.Ports[part]; asked != 0 {
		if err := s.ports.ReserveExactly(asked); err != nil {
			return 0, fmt.Errorf("%s: %w", part, err)
		}
		s.remember(part, asked)
		return asked, nil
	}
	port, err := s.ports.Reserve(s.lastPort(part), usualPorts[part])
	if err != nil {
		return 0, fmt.Errorf("%s: %w", part, err)
	}
	s.remember(part, port)
	return port, nil
}

func (s *stack) lastPort(part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remembered[part]
}

func (s *stack) remember(part string, port int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remembered[part] = port
}
