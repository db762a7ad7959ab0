package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/terms"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func enrollCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "enroll",
		Usage:     "start syncing a cluster, or change its enrolment",
		UsageText: "starter enroll CLUSTER --repo URL [flags]",
		Description: `Checks everything first (arguments, Temporal, cluster, repository, branch, worker) and changes nothing
unless all of it is well. Then stores the access token in the cluster (Secret git-credentials in
namespace active-cluster-sync), registers what Temporal needs and starts the sync.

Repeating it is safe: with the same repository, branch, path and cluster it takes over a new token,
strategy or list of ignored namespaces. Flags that aren't given stay as they are.

With push-pull, changes go both ways. Where the cluster and the branch both hold objects already, --adopt says whose
win where both hold one and differ; what only one side holds is carried to the other, and nothing is deleted.

Examples:
  starter enroll primary --repo https://git.example.com/ops/primary.git --strategy push --pat-file token
  pass git/token | starter enroll standby --repo https://git.example.com/ops/primary.git \
      --strategy pull --pat-stdin --context standby
  starter enroll edge --repo https://git.example.com/ops/edge.git --path clusters/edge --pat-file token
  starter enroll edge --repo https://git.example.com/ops/edge.git --strategy push-pull --adopt git --pat-file token

Secrets are stored encrypted with SOPS for the cluster's age identity, which is made if there is none and kept
beside the Git credentials. A standby needs the same identity, or to be a recipient:
  starter enroll primary … --age-key-out primary.agekey
  starter enroll standby … --age-key-file primary.agekey`,
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "repo", Usage: "`URL` of the repository (https or http, without user name)"},
			&cli.StringFlag{Name: "branch", Usage: "`NAME` of the branch", Value: workflows.DefaultBranch},
			&cli.StringFlag{Name: "path", Usage: "`FOLDER` in the repository", Value: workflows.DefaultPath},
			&cli.StringFlag{Name: "strategy", Usage: "`DIRECTION`: none, push (cluster to Git), pull (Git to cluster) or push-pull (both ways)", Value: string(workflows.None)},
			&cli.StringSliceFlag{Name: "ignore-namespace", Usage: "`NS` to leave out, beside kube-system, kube-public and kube-node-lease; may be repeated"},
			&cli.DurationFlag{Name: "interval", Usage: "`TIME` between two looks at both sides", Value: workflows.DefaultInterval},
			&cli.StringFlag{Name: "pat-file", Usage: "`FILE` that holds the access token for the repository"},
			&cli.BoolFlag{Name: "pat-stdin", Usage: "read the access token from standard input; on a terminal, ask for it"},
			&cli.StringFlag{Name: "username", Usage: "`NAME` to send with the token; GitHub, GitLab, Gitea and Azure DevOps take any, Bitbucket wants x-token-auth", Value: terms.DefaultUsername},
			&cli.StringFlag{Name: "ca-file", Usage: "`FILE` with the certificates (PEM) of the Git server's authority, where the system doesn't know it"},
			&cli.StringFlag{Name: "secrets", Usage: "`POLICY` for Secrets: encrypt (SOPS with age), exclude (leave them alone) or plaintext", Value: string(workflows.DefaultSecrets)},
			&cli.StringFlag{Name: "age-key-file", Usage: "`FILE` with the age identity that encrypts and decrypts Secrets (default: the one that the cluster has, or a new one)"},
			&cli.StringFlag{Name: "age-key-out", Usage: "`FILE` to write the cluster's age identity to, for keeping a copy and for enrolling a standby; it must not exist"},
			&cli.StringSliceFlag{Name: "age-recipient", Usage: "`AGE1…` of somebody else who shall be able to read the Secrets in Git; may be repeated"},
			&cli.StringSliceFlag{Name: "include-resource", Usage: "`RESOURCE` that takes part although it is left out by default, like jobs.batch; may be repeated"},
			&cli.StringSliceFlag{Name: "exclude-resource", Usage: "`RESOURCE` that does not take part, like events.example.com or *.example.com; may be repeated"},
			&cli.StringSliceFlag{Name: "ignore-name", Usage: "`PATTERN` of names of objects that do not take part, like tmp-* or configmaps/tmp-*; may be repeated"},
			&cli.StringFlag{Name: "selector", Usage: "`LABELS` that objects must have to take part, as for kubectl --selector"},
			&cli.StringSliceFlag{Name: "ignore-field", Usage: "`RESOURCE:POINTER` of a field that does not take part, like deployments.apps:/spec/replicas; may be repeated"},
			&cli.StringFlag{Name: "prune", Usage: "what pull and push-pull delete in the cluster, a `POLICY`: tracked (what Git held and holds no longer), mirror (everything that Git does not hold; under push-pull the same as tracked) or off", Value: string(workflows.DefaultPrune)},
			&cli.BoolFlag{Name: "recreate-immutable", Usage: "let pull delete and create again what can't be changed in place, for kinds that lose nothing by it"},
			&cli.StringFlag{Name: "lock", Usage: "`on` or off: whether pull has the API server refuse people's edits of synced objects", Value: string(workflows.DefaultLock)},
			&cli.StringFlag{Name: "on-conflict", Usage: "whose edit wins under push-pull where both sides changed the same field, a `POLICY`: git, cluster or hold (neither, until a person makes them agree)", Value: string(workflows.DefaultConflict)},
			adoptFlag(),
			&cli.StringFlag{Name: "break-glass-group", Usage: "`GROUP` whose members the lock lets through", Value: workflows.DefaultBreakGlassGroup},
		}, targetFlags(), outputFlags()),
		Action: func(c *cli.Context) error {
			e := &enrolling{t: t, flags: flagsOf(c)}
			return e.run(c.Context, c)
		},
	}
}

// enrolling is one run of the command: the flags, and what the checks have found out.
type enrolling struct {
	t      *terminal
	flags  enrollFlags
	config workflows.Config
	output format

	token string
	ca    []byte
	// identity is the age key file that the cluster shall have; nil to leave it as it is.
	identity []byte
	// made: the identity is a new one, of which nobody has a copy yet.
	made bool

	registry      *registry
	registerFirst bool             // search attributes are missing
	existing      enrolment        // what is running under this name
	now           workflows.Status // how that is doing, as far as it can be told
	target        target
	cluster       *kube.Cluster
	stored        map[string][]byte // the Secret as it is; nil where there is none
	polled        bool              // a worker is there
}

type enrollFlags struct {
	patFile, username, caFile string
	ageKeyFile, ageKeyOut     string
	recipients                []string
	patStdin                  bool
	given                     map[string]bool
	target                    target
}

func flagsOf(c *cli.Context) enrollFlags {
	given := map[string]bool{}
	for _, name := range c.LocalFlagNames() {
		given[name] = true
	}
	return enrollFlags{
		patFile: c.String("pat-file"), username: c.String("username"), caFile: c.String("ca-file"),
		ageKeyFile: c.String("age-key-file"), ageKeyOut: c.String("age-key-out"), recipients: c.StringSlice("age-recipient"),
		patStdin: c.Bool("pat-stdin"), given: given, target: targetOf(c),
	}
}

func (e *enrolling) run(ctx context.Context, c *cli.Context) error {
	defer func() {
		if e.registry != nil {
			e.registry.close()
		}
	}()
	checks := []struct {
		name string
		look func(context.Context) (string, error)
	}{
		{"arguments", func(ctx context.Context) (string, error) { return e.checkArguments(ctx, c) }},
		{"Temporal", e.checkTemporal},
		{"enrolment", e.checkEnrolment},
		{"cluster", e.checkCluster},
		{"repository", e.checkRepository},
		{"branch", e.checkBranch},
		{"Secrets", e.checkSecrets},
	}
	for _, check := range checks {
		found, err := check.look(ctx)
		if err != nil {
			e.t.missed(check.name)
			return err
		}
		e.t.passed(check.name, found)
	}
	if err := e.lookForWorker(ctx); err != nil {
		return err
	}
	changed, err := e.carryOut(ctx)
	if err != nil {
		return err
	}
	return e.report(ctx, changed)
}

// lookForWorker only warns: a worker may well be started after the enrolment.
func (e *enrolling) lookForWorker(ctx context.Context) (err error) {
	queue := workflows.WorkflowID(e.config.Cluster)
	if e.polled, err = e.registry.polled(ctx, e.config.Cluster); err != nil {
		e.t.missed("worker")
		return err
	}
	if e.polled {
		e.t.passed("worker", "polls task queue "+queue)
	} else {
		e.t.warned("worker", "none polls task queue "+queue+" yet; start one with `"+workerCommand(e.config.Cluster, e.target)+"`")
	}
	return nil
}

// carryOut does what the checks have prepared, and says what that was.
func (e *enrolling) carryOut(ctx context.Context) ([]string, error) {
	if e.registerFirst {
		if err := e.registry.registerAttributes(ctx); err != nil {
			return nil, err
		}
	}
	var changed []string
	stored, err := e.storeCredentials(ctx)
	if err != nil {
		return nil, err
	}
	if stored {
		changed = append(changed, "the credentials are stored in its Secret "+workflows.CredentialsNamespace+"/"+workflows.CredentialsSecret)
	}
	if e.made && e.flags.ageKeyOut == "" {
		changed = append(changed, "a new age identity is among them: keep a copy (repeat this with --age-key-out FILE), without one nobody can read the Secrets in Git")
	}
	if err := e.writeIdentity(); err != nil {
		return nil, errors.Join(err, e.restoreCredentials(ctx, stored))
	}
	if e.existing.running {
		updated, err := e.update(ctx)
		return append(changed, updated...), err
	}
	if err := e.start(ctx); err != nil {
		if undo := e.restoreCredentials(ctx, stored); undo != nil {
			return nil, fmt.Errorf("%w; %w", err, undo)
		}
		return nil, err
	}
	return append(changed, "the sync is started"), nil
}

// report says what was done and where to look.
func (e *enrolling) report(ctx context.Context, changed []string) error {
	cluster := e.config.Cluster
	if e.output != table {
		started, err := e.registry.find(ctx, cluster)
		if err != nil {
			return err
		}
		return e.t.show(e.output, e.registry.statusOf(ctx, started, e.config))
	}
	state := "is enrolled"
	if e.existing.running {
		state = "was enrolled already"
	}
	e.t.say("Cluster %s %s: strategy %s, %s.", cluster, state, e.config.Strategy, e.place())
	if len(changed) == 0 {
		changed = []string{"nothing had to be changed"}
	}
	for _, change := range changed {
		e.t.say("  %s", change)
	}
	e.t.say("Next:")
	if !e.polled {
		e.t.say("  %s", workerCommand(cluster, e.target))
	}
	if e.config.Strategy == workflows.None {
		e.t.say("  starter set-strategy %s push|pull|push-pull", cluster)
	}
	e.t.say("  starter status %s --watch", cluster)
	if ui := os.Getenv("TEMPORAL_UI"); ui != "" {
		e.t.say("  %s", e.registry.page(ui, cluster))
	}
	return nil
}

// page is the address of an enrolment in the Web UI.
func (r *registry) page(ui, cluster string) string {
	return fmt.Sprintf("%s/namespaces/%s/workflows/%s", strings.TrimRight(ui, "/"), r.namespace, workflows.WorkflowID(cluster))
}
