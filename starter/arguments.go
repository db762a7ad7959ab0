package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// usageError is a command line that can't be carried out as it is written.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func misuse(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// asMisuse is err as a usageError.
func asMisuse(err error) error {
	if err == nil {
		return nil
	}
	return &usageError{err.Error()}
}

// flagsFirst moves the flags of a command before its arguments: the parser stops at the first argument,
// and people write `starter status primary -o json`. What follows "--" is an argument, whatever it looks
// like.
func flagsFirst(commands []*cli.Command, args []string) []string {
	if len(args) < 2 || args[len(args)-1] == completionFlag {
		return args
	}
	at := 1
	for at < len(args) && strings.HasPrefix(args[at], "-") {
		at++ // the flags before a command are --help and --version, which take no value
	}
	if at == len(args) {
		return args
	}
	named := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(args[at]) })
	if named < 0 {
		return args
	}
	flags := slices.Clone(args[:at+1])
	var positional []string
	for rest := args[at+1:]; len(rest) > 0; {
		arg := rest[0]
		rest = rest[1:]
		switch {
		case arg == "--":
			positional = append(positional, rest...)
			rest = nil
		case !isFlag(arg):
			positional = append(positional, arg)
		case !takesValue(commands[named], arg):
			flags = append(flags, arg)
		case len(rest) == 0:
			// The value is missing. Nothing may follow that would be taken for it.
			return append(flags, arg)
		default:
			flags = append(flags, arg, rest[0])
			rest = rest[1:]
		}
	}
	if len(positional) == 0 {
		return flags
	}
	return append(append(flags, "--"), positional...)
}

// isFlag: a lone dash is an argument.
func isFlag(arg string) bool { return len(arg) > 1 && arg[0] == '-' }

// takesValue tells whether the argument after a flag is its value. The parser will reject unknown flags;
// what follows them is left alone.
func takesValue(command *cli.Command, arg string) bool {
	name := strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-")
	if strings.Contains(name, "=") {
		return false
	}
	for _, flag := range command.Flags {
		if slices.Contains(flag.Names(), name) {
			described, ok := flag.(cli.DocGenerationFlag)
			return ok && described.TakesValue()
		}
	}
	return false
}

// explainUsage turns the parser's errors into sentences. It repeats names of flags, but never what was
// given for a text: that may be a token in the wrong place.
func explainUsage(c *cli.Context, err error, _ bool) error {
	help := "starter --help"
	if c.Command != nil && c.Command.Name != "" && c.Command.Name != c.App.Name {
		help = "starter " + c.Command.Name + " --help"
	}
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		name = strings.TrimPrefix(name, "-")
		if slices.Contains([]string{"pat", "token", "password"}, name) {
			return misuse("there is no flag --%s, because others could read the token in the list of processes: use --pat-file or --pat-stdin", name)
		}
		return misuse("unknown flag %s: see %s", dashed(name), help)
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok {
		return misuse("flag %s needs a value: see %s", dashed(strings.TrimPrefix(name, "-")), help)
	}
	if found := invalidValue.FindStringSubmatch(text); found != nil {
		if name := found[1]; name == "interval" || name == "timeout" {
			return misuse("the value of flag %s is not a time: write it like 10s or 2m", dashed(name))
		}
		return misuse("the value of flag %s is not valid: see %s", dashed(found[1]), help)
	}
	return misuse("the flags can't be understood: see %s", help)
}

// invalidValue is how package flag complains; the value in the middle may be anything.
var invalidValue = regexp.MustCompile(`(?s)^invalid .*value .* for (?:flag )?-([a-z-]+): `)

// dashed is a flag as people write it.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// clusterArgument is the name that stands alone after a command.
func clusterArgument(c *cli.Context) (string, error) {
	switch n := c.NArg(); {
	case n == 0:
		return "", missingCluster(c)
	case n > 1:
		return "", misuse("%s takes one argument, the name of the cluster, and got %d: see starter %[1]s --help", c.Command.Name, n)
	}
	return clusterName(c)
}

// clusterName is the first argument.
func clusterName(c *cli.Context) (string, error) {
	if c.NArg() == 0 {
		return "", missingCluster(c)
	}
	name := c.Args().First()
	return name, asMisuse(workflows.ValidateCluster(name))
}

func missingCluster(c *cli.Context) error {
	return misuse("the name of the cluster is missing: starter %s CLUSTER", c.Command.Name)
}
