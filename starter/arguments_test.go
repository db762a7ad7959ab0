package main

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFlagsMayStandBeforeAndAfterArguments(t *testing.T) {
	commands := newApp(newTerminal(strings.NewReader(""), nil, nil)).Commands
	for _, test := range []struct{ name, line, want string }{
		{"flags after the cluster", "enroll primary --repo URL --strategy push", "enroll --repo URL --strategy push -- primary"},
		{"flags before the cluster", "enroll --repo URL primary", "enroll --repo URL -- primary"},
		{"flags on both sides", "enroll --repo URL primary --pat-stdin", "enroll --repo URL --pat-stdin -- primary"},
		{"value with an equals sign", "enroll primary --repo=URL extra", "enroll --repo=URL -- primary extra"},
		{"switches take no value", "sync --wait primary", "sync --wait -- primary"},
		{"short names", "status primary -o json", "status -o json -- primary"},
		{"one dash", "status primary -output json", "status -output json -- primary"},
		{"repeated flags", "set-ignored-namespaces primary --add a --add b", "set-ignored-namespaces --add a --add b -- primary"},
		{"arguments keep their order", "set-ignored-namespaces primary b -o json a", "set-ignored-namespaces -o json -- primary b a"},
		{"everything after two dashes is an argument", "status -o json -- -primary -o", "status -o json -- -primary -o"},
		{"a lone dash is an argument", "status - -o json", "status -o json -- -"},
		{"value missing at the end", "enroll primary --repo", "enroll --repo"},
		{"unknown flags stay flags", "enroll primary --pat TOKEN", "enroll --pat -- primary TOKEN"},
		{"before the command", "--help status primary", "--help status -- primary"},
		{"no command", "--version", "--version"},
		{"unknown command", "enrol primary --repo URL", "enrol primary --repo URL"},
		{"no arguments", "list -o json", "list -o json"},
		{"nothing", "", ""},
		{"a shell that completes", "status -o json primary --generate-bash-completion", "status -o json primary --generate-bash-completion"},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := append([]string{"starter"}, strings.Fields(test.line)...)
			require.Equal(t, append([]string{"starter"}, strings.Fields(test.want)...), flagsFirst(commands, args))
		})
	}
}

func TestWrongUsageIsOneSentenceAndStatusTwo(t *testing.T) {
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
	for _, test := range []struct{ line, want string }{
		{"enrol primary", `unknown command "enrol": Did you mean "enroll"? See starter --help`},
		{"histories primary", "unknown command"},
		{"enroll primary --repo http://git.example/a.git --nonsense", "unknown flag --nonsense: see starter enroll --help"},
		{"status primary -x", "unknown flag -x: see starter status --help"},
		{"--nonsense", "unknown flag --nonsense: see starter --help"},
		{"enroll primary --repo", "flag --repo needs a value: see starter enroll --help"},
		{"enroll primary --repo http://git.example/a.git --interval soon", "the value of flag --interval is not a time: write it like 10s or 2m"},
		{"enroll primary --repo http://git.example/a.git --interval 5ms", "interval 5ms is too short: use 1s or more"},
		{"enroll primary --repo http://git.example/a.git --pat-stdin=maybe", "the value of flag --pat-stdin is not valid: see starter enroll --help"},
		{"enroll --repo http://git.example/a.git", "the name of the cluster is missing: starter enroll CLUSTER"},
		{"enroll primary", "the repository is missing: give its address with --repo URL"},
		{"enroll team/primary --repo http://git.example/a.git", `cluster name "team/primary" is not a DNS label: use at most 63 of a-z, 0-9 and '-', with a letter or digit at both ends`},
		{"enroll primary --repo http://git.example/a.git --strategy mirror", `unknown strategy "mirror": use none, push, pull or push-pull`},
		{"enroll primary --repo http://git.example/a.git --secrets hide", `unknown policy "hide" for Secrets: use encrypt, exclude or plaintext`},
		{"enroll primary --repo http://git.example/a.git --branch a..b", `"a..b" is not a valid Git branch name`},
		{"enroll primary --repo http://git.example/a.git --path ../up", `path "../up" is not a folder in the repository: give a relative path such as clusters/primary, without hidden folders`},
		{"enroll primary --repo http://git.example/a.git --ignore-namespace A", `"A" is not a namespace: use at most 63 of a-z, 0-9 and '-', with a letter or digit at both ends`},
		{"enroll primary --repo http://git.example/a.git --pat-file f --pat-stdin", "the token can come from one place only: give --pat-file or --pat-stdin"},
		{"enroll primary --repo git@git.example:a.git", "the repository's address is one for SSH, which isn't supported yet: use its https:// address and a token"},
		{"enroll primary --repo http://git.example/a.git -o xml", `unknown output format "xml": use table, json or yaml`},
		{"status", "the name of the cluster is missing: starter status CLUSTER"},
		{"status a b", "status takes one argument, the name of the cluster, and got 2: see starter status --help"},
		{"status A", "is not a DNS label"},
		{"list extra", "list takes no argument: see starter list --help"},
		{"set-strategy primary", "set-strategy takes a cluster and a strategy: starter set-strategy primary none|push|pull|push-pull"},
		{"set-strategy primary push --adopt git", "adopting git goes with strategy push-pull, not with push"},
		{"set-strategy primary push-pull --adopt both", `either git or cluster can be adopted, not "both"`},
		{"enroll primary --repo http://git.example/a.git --strategy pull --adopt git", "adopting git goes with strategy push-pull, not with pull"},
		{"enroll primary --repo http://git.example/a.git --on-conflict newest", `unknown policy "newest" for conflicts: use git, cluster or hold`},
		{"diff primary --as pull --adopt git", "--adopt and --on-conflict go with push-pull, not with pull: add --as push-pull, or leave them out"},
		{"diff primary --as push --on-conflict hold", "--adopt and --on-conflict go with push-pull, not with push"},
		{"diff primary --adopt both", `either git or cluster can be adopted, not "both"`},
		{"diff primary --on-conflict newest", `unknown policy "newest" for conflicts: use git, cluster or hold`},
		{"set-strategy primary mirror", `unknown strategy "mirror": use none, push, pull or push-pull`},
		{"set-ignored-namespaces primary", "no namespace is given: starter set-ignored-namespaces primary NS… (the whole list), --add NS or --remove NS"},
		{"set-ignored-namespaces primary a --add b", "give either the whole list of namespaces, or --add and --remove"},
		{"set-ignored-namespaces primary --remove b --add b", "namespace b can't be added and removed at once"},
		{"set-ignored-namespaces primary a_b", "is not a namespace"},
		{"sync primary --timeout 0s", "the value of --timeout must be above zero"},
		{"history primary -n 0", "the value of --number must be above zero"},
		{"history primary -n some", "the value of flag -n is not valid: see starter history --help"},
		{"diff primary --as none", "strategy none does nothing: preview push, pull or push-pull"},
		{"diff primary --against main~1", "--against takes the hash of a commit, or the first 4 or more digits of one"},
		{"diff primary --against abc", "--against takes the hash of a commit, or the first 4 or more digits of one"},
		{"unenroll primary", "unenroll needs --yes when nobody can be asked"},
	} {
		t.Run(test.line, func(t *testing.T) {
			a := starter(context.Background(), "", strings.Fields(test.line)...)
			require.Contains(t, a.sentence(t), test.want)
			require.Equal(t, misused, a.code)
			require.Empty(t, a.out)
		})
	}
}

// What stands in the place of a token is never repeated, whatever is wrong with the command line.
func TestTokenInTheWrongPlaceIsNotRepeated(t *testing.T) {
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
	const token = "ghp_0123456789abcdef"
	for _, line := range []string{
		"enroll primary --repo http://git.example/a.git --pat " + token,
		"enroll primary --repo http://git.example/a.git --pat=" + token,
		"enroll primary --repo http://git.example/a.git --token " + token,
		"enroll primary --repo http://git.example/a.git --pat-file " + token,
		"enroll primary --repo http://git.example/a.git --pat-stdin=" + token,
		"enroll primary --repo http://git.example/a.git " + token,
		"enroll primary --repo https://git:" + token + "@git.example/a.git",
		"enroll primary --repo https://git.example/a.git?token=" + token,
		"enroll primary --repo " + token,
	} {
		t.Run(strings.ReplaceAll(line, token, "TOKEN"), func(t *testing.T) {
			a := starter(context.Background(), "", strings.Fields(line)...)
			require.NotEqual(t, done, a.code)
			require.NotEmpty(t, a.sentence(t))
			require.NotContains(t, a.err+a.out, token)
		})
	}
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	for _, command := range newApp(newTerminal(strings.NewReader(""), nil, nil)).Commands {
		a := starter(context.Background(), "", command.Name, "--help")
		require.Equal(t, done, a.code)
		require.Contains(t, a.out, "Example")
		require.Contains(t, a.out, "starter "+command.Name)
		require.Empty(t, a.err)
	}
}

func TestCompletionOffersCommandsFlagsAndStrategies(t *testing.T) {
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
	for _, test := range []struct{ line, offered, not string }{
		{"", "set-strategy", "--help"},
		{"-", "--version", "set-strategy"},
		{"status -", "--watch", "--repo"},
		{"enroll primary --repo URL --p", "--pat-file", "--watch"},
		{"diff primary --", "--against", "--watch"},
		{"set-strategy primary", "push", "--output"},
		{"status", "", "--watch"},
	} {
		t.Run(test.line, func(t *testing.T) {
			a := starter(context.Background(), "", append(strings.Fields(test.line), completionFlag)...)
			require.Equal(t, done, a.code)
			require.Empty(t, a.err)
			require.Contains(t, a.out, test.offered)
			require.NotContains(t, a.out, test.not)
		})
	}
}

func TestTheCompletionScriptWorksInBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash on this machine")
	}
	script := starter(context.Background(), "", "completion")
	require.Equal(t, done, script.code)
	for typed, want := range map[string]string{
		"status pri":    "status --generate-bash-completion: primary",
		"status -":      "status - --generate-bash-completion: --watch",
		"set-strategy ": "set-strategy --generate-bash-completion: primary standby",
	} {
		// The program's part is played by a function that says what it was asked.
		shell := script.out + `
starter() { echo "$*" >asked; if [[ $* == *" - "* ]]; then echo --watch; else printf 'primary\nstandby\n'; fi; }
COMP_WORDS=(starter "${@}"); COMP_CWORD=$#
_starter starter "${!#}"
echo "$(cat asked): ${COMPREPLY[*]}"`
		command := exec.CommandContext(t.Context(), bash, append([]string{"-c", shell, "bash"}, strings.Split(typed, " ")...)...)
		command.Dir = t.TempDir()
		out, err := command.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Equal(t, want+"\n", string(out))
	}
}
