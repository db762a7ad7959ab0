package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// completionFlag is what a shell appends to ask for completions.
const completionFlag = "--generate-bash-completion"

func completionCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the script for completion in bash",
		UsageText: "starter completion",
		Description: `Completes commands, flags, strategies and the names of enrolled clusters, for which Temporal is asked.

Examples:
  source <(starter completion)
  starter completion > ~/.local/share/bash-completion/completions/starter`,
		BashComplete: completing(func(*cli.Context) {}),
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return misuse("completion takes no argument: see starter completion --help")
			}
			t.say("%s", completionScript)
			return nil
		},
	}
}

// completionScript asks the program itself. The word that is being completed is passed on only when it is a flag:
// the shell picks what fits.
const completionScript = `_starter() {
  local words=("${COMP_WORDS[@]:0:COMP_CWORD}")
  [[ $2 == -* ]] && words+=("$2")
  COMPREPLY=($(compgen -W "$("${words[@]}" ` + completionFlag + ` 2>/dev/null)" -- "$2"))
}
complete -o default -F _starter starter`

// wordKey is where the app keeps the word that is being completed.
const wordKey = "word"

// wordToComplete takes the beginning of a flag, which the parser could not understand, out of a request
// for completions.
func wordToComplete(args []string) (rest []string, word string) {
	last := len(args) - 1
	if last < 2 || args[last] != completionFlag || !strings.HasPrefix(args[last-1], "-") {
		return args, ""
	}
	return append(slices.Clone(args[:last-1]), completionFlag), args[last-1]
}

// completing offers flags to those who have begun one, and otherwise what is given.
func completing(offer func(*cli.Context)) cli.BashCompleteFunc {
	return func(c *cli.Context) {
		if word, _ := c.App.Metadata[wordKey].(string); word == "" {
			offer(c)
			return
		}
		for _, flag := range c.Command.VisibleFlags() {
			for _, name := range flag.Names() {
				fmt.Fprintln(c.App.Writer, dashed(name))
			}
		}
	}
}

func completeCommand(c *cli.Context) {
	for _, command := range c.App.VisibleCommands() {
		fmt.Fprintln(c.App.Writer, command.Name)
	}
}

// completeCluster offers the names of enrolled clusters, and nothing when Temporal can't be asked.
func completeCluster(c *cli.Context) {
	if c.NArg() > 0 {
		return
	}
	ctx, cancel := context.WithTimeout(c.Context, askTime)
	defer cancel()
	r, err := openRegistry(ctx)
	if err != nil {
		return
	}
	defer r.close()
	found, _ := r.list(ctx)
	for _, e := range found {
		fmt.Fprintln(c.App.Writer, e.cluster)
	}
}

func completeStrategy(c *cli.Context) {
	if c.NArg() != 1 {
		completeCluster(c)
		return
	}
	for _, strategy := range []workflows.Strategy{workflows.None, workflows.Push, workflows.Pull, workflows.PushPull} {
		fmt.Fprintln(c.App.Writer, strategy)
	}
}
