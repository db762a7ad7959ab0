// Command starter enrols Kubernetes clusters in Active Cluster Sync, shows how their sync is doing and
// changes it. It talks to Temporal, and for an enrolment also to the cluster and to the Git server.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/urfave/cli/v2"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// Exit statuses.
const (
	done    = 0
	failed  = 1
	misused = 2
)

// run is the program: it carries out one command line and answers with the exit status. An error is one
// line on stderr.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	t := newTerminal(stdin, stdout, stderr)
	app := newApp(t)
	args, app.Metadata[wordKey] = wordToComplete(args)
	err := app.RunContext(ctx, flagsFirst(app.Commands, args))
	if err == nil {
		return done
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if errors.Is(err, errDiffers) {
		return failed
	}
	fmt.Fprintf(stderr, "starter: %s\n", oneLine(err.Error()))
	if errors.As(err, new(*usageError)) {
		return misused
	}
	return failed
}

func newApp(t *terminal) *cli.App {
	app := &cli.App{
		Name:                 "starter",
		Usage:                "keep Kubernetes clusters and Git branches in step",
		UsageText:            "starter COMMAND [CLUSTER] [flags]",
		Description:          appDescription,
		Version:              builtFrom(),
		EnableBashCompletion: true,
		BashComplete:         completing(completeCommand),
		Metadata:             map[string]any{},
		Reader:               t.in,
		Writer:               t.out,
		ErrWriter:            t.err,
		// The exit status and the words of an error are run's business.
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   explainUsage,
		Action:         withoutCommand,
		Commands: []*cli.Command{
			enrollCommand(t), listCommand(t), statusCommand(t), diffCommand(t), historyCommand(t), doctorCommand(t),
			setStrategyCommand(t), setIgnoredNamespacesCommand(t),
			syncCommand(t), pauseCommand(t), resumeCommand(t), approveCommand(t),
			unenrollCommand(t), completionCommand(t), codecServerCommand(t),
		},
	}
	for _, command := range app.Commands {
		command.OnUsageError = explainUsage
		withCodecKey(command)
		// Otherwise a cluster could not be called "help".
		command.HideHelpCommand = true
		if command.BashComplete == nil {
			command.BashComplete = completing(completeCluster)
		}
	}
	return app
}

const appDescription = `The connection to Temporal comes from TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY,
TEMPORAL_TLS_… or a profile of the Temporal configuration file (TEMPORAL_PROFILE).

Examples:
  starter enroll primary --repo https://git.example.com/ops/primary.git --strategy push --pat-file token
  starter status primary
  starter diff standby
  starter set-strategy primary none
  starter list -o json

Exit status: 0 done, 1 failed, 2 wrong usage.

Completion of commands, flags and cluster names in bash:
  source <(starter completion)`

// withoutCommand runs when the first argument is no command.
func withoutCommand(c *cli.Context) error {
	if !c.Args().Present() {
		return cli.ShowAppHelp(c)
	}
	name := c.Args().First()
	if question := cli.SuggestCommand(c.App.Commands, name); question != "" {
		return misuse("unknown command %q: %s See starter --help", name, question)
	}
	return misuse("unknown command %q: see starter --help", name)
}

// version is set by the linker where the build knows one.
var version string

// builtFrom is what `--version` tells.
func builtFrom() string {
	if version != "" {
		return version
	}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	if build.Main.Version != "" && build.Main.Version != "(devel)" {
		return build.Main.Version
	}
	for _, setting := range build.Settings {
		if setting.Key == "vcs.revision" {
			return "dev-" + short(setting.Value)
		}
	}
	return "dev"
}
