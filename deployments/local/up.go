package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/assets"
	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/progress"
)

func upCommand() *cli.Command {
	return &cli.Command{
		Name:  "up",
		Usage: "start a stack and keep it up until Ctrl-C",
		Description: "What was in the directory of an earlier stack is used again. When everything is ready,\n" +
			"DIR/env has what a shell needs: run `. DIR/env`.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "clusters", Usage: "names of Kubernetes clusters, separated by commas; may be empty", Value: "primary,standby"},
			&cli.StringFlag{Name: "repos", Usage: "names of Git repositories, separated by commas; may be empty", Value: "demo"},
			dirFlag(), cacheDirFlag(),
			&cli.BoolFlag{Name: "temporal", Usage: "start Temporal and its Web UI", Value: true},
			&cli.BoolFlag{Name: "git", Usage: "start the Git server", Value: true},
			&cli.IntFlag{Name: "temporal-port", Usage: "port of Temporal; 0 for the last one, 7233 or any free one"},
			&cli.IntFlag{Name: "ui-port", Usage: "port of the Web UI; 0 for the last one, 8233 or any free one"},
			&cli.IntFlag{Name: "git-port", Usage: "port of the Git server; 0 for the last one, 3000 or any free one"},
		},
		Action: func(c *cli.Context) error {
			options := stackOptions{
				Clusters: splitNames(c.String("clusters")),
				Repos:    splitNames(c.String("repos")),
				Dir:      c.String("dir"),
				CacheDir: c.String("cache-dir"),
				Temporal: c.Bool("temporal"),
				Git:      c.Bool("git"),
				Ports: map[string]int{
					partTemporal: c.Int("temporal-port"),
					partUI:       c.Int("ui-port"),
					partGit:      c.Int("git-port"),
				},
			}
			return up(c.Context, options)
		},
	}
}

func dirFlag() cli.Flag {
	return &cli.StringFlag{Name: "dir", Usage: "where the stack keeps its data, logs and env file", Value: ".local"}
}

func cacheDirFlag() cli.Flag {
	return &cli.StringFlag{Name: "cache-dir", Usage: "where Kubernetes binaries are kept for the next time", Value: ".cache"}
}

// up returns nil after an interrupt, and an error when a part couldn't be
// started or ended by itself.
func up(ctx context.Context, options stackOptions) error {
	if err := options.validate(); err != nil {
		return err
	}
	stack, err := startStack(ctx, options)
	if err != nil && ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	defer stack.stop()
	stack.printTable(os.Stdout)
	fmt.Fprintf(os.Stderr, "\nReady. In another shell: . %s\nCtrl-C ends it all.\n", quoteIfNeeded(relative(stack.path("env"))))

	select {
	case <-ctx.Done():
		fmt.Fprintln(os.Stderr, "\nending the stack")
		return nil
	case err := <-stack.failed:
		return err
	}
}

func assetsCommand() *cli.Command {
	return &cli.Command{
		Name:  "assets",
		Usage: "provide the Kubernetes binaries and print their directory",
		Flags: []cli.Flag{cacheDirFlag()},
		Action: func(c *cli.Context) error {
			board := progress.New(os.Stderr)
			dir, err := ensureAssets(c.Context, board, c.String("cache-dir"))
			board.Close()
			if err != nil {
				return err
			}
			fmt.Println(dir)
			return nil
		},
	}
}

func ensureAssets(ctx context.Context, board *progress.Board, cacheDir string) (string, error) {
	part := board.Part("binaries")
	dir, err := assets.Ensure(ctx, assets.Options{
		CacheDir: cacheDir,
		Given:    os.Getenv("KUBEBUILDER_ASSETS"),
		Report:   part.Step,
		Note:     part.Note,
	})
	if err == nil {
		part.Done("ready in %s", dir)
	}
	return dir, err
}

// A name becomes part of paths, URLs and variables.
var dnsLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (o *stackOptions) validate() error {
	if len(o.Clusters) == 0 && !o.Temporal && !o.Git {
		return fmt.Errorf("%w: nothing to start, name a cluster or leave Temporal or Git on", errUsage)
	}
	seen := map[string]bool{}
	for kind, names := range map[string][]string{"cluster": o.Clusters, "repository": o.Repos} {
		for _, name := range names {
			if !dnsLabel.MatchString(name) {
				return fmt.Errorf("%w: %s name %q: use lower-case letters, digits and hyphens, at most 63", errUsage, kind, name)
			}
			if seen[kind+name] {
				return fmt.Errorf("%w: %s %s is named twice", errUsage, kind, name)
			}
			seen[kind+name] = true
		}
	}
	var err error
	o.Dir, err = filepath.Abs(o.Dir)
	return err
}

func splitNames(list string) []string {
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}
