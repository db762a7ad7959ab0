// Command local runs everything that Active Cluster Sync needs on one machine:
// a Temporal server with its Web UI, a Git server and Kubernetes control planes.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		// Ending takes seconds. Who presses Ctrl-C again doesn't want to wait,
		// and the kernel ends the children with us where it can.
		<-signals
		os.Exit(interrupted)
	}()

	app := &cli.App{
		Name:  "local",
		Usage: "the whole of Active Cluster Sync on one machine",
		Commands: []*cli.Command{
			strict(upCommand()),
			strict(assetsCommand()),
			strict(demoCommand()),
			strict(benchCommand()),
		},
		OnUsageError:   usageError,
		ExitErrHandler: func(*cli.Context, error) {}, // main prints and chooses the status
	}
	os.Exit(exitStatus(app.RunContext(ctx, os.Args)))
}

// strict refuses what a command doesn't know instead of passing over it.
func strict(command *cli.Command) *cli.Command {
	command.OnUsageError = usageError
	command.Before = func(c *cli.Context) error {
		if c.Args().Present() {
			return fmt.Errorf("%w: %s takes no argument %q, see `local %s --help`", errUsage, command.Name, c.Args().First(), command.Name)
		}
		return nil
	}
	return command
}

func usageError(_ *cli.Context, err error, _ bool) error {
	return fmt.Errorf("%w: %w", errUsage, err)
}

// interrupted is the exit status that shells give to a command that a Ctrl-C
// ended before its time.
const interrupted = 130

// errUsage marks what the caller typed wrong.
var errUsage = errors.New("wrong usage")

func exitStatus(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "local:", err)
		return 2
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "local: interrupted")
		return interrupted
	default:
		fmt.Fprintln(os.Stderr, "local:", err)
		return 1
	}
}
