package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/urfave/cli/v2"

	"github.com/active-cluster-sync/active-cluster-sync/internal/desired"
	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/preview"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets/agekey"
	"github.com/active-cluster-sync/active-cluster-sync/internal/terms"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func diffCommand(t *terminal) *cli.Command {
	return &cli.Command{
		Name:      "diff",
		Usage:     "show what the next sync of a cluster would do, and why",
		UsageText: "starter diff CLUSTER [--against REVISION] [--as STRATEGY] [--adopt git|cluster] [flags]",
		Description: `Compares the cluster with its branch here, with your kubeconfig and the cluster's Git credentials, and changes
nothing: what the API server would make of an object it is asked by a dry run. Each difference comes with its
reason (which side has changed since both agreed) and as a unified diff; values of Secrets are shown as ***.

With pull the diff goes from the cluster to what it would become, with push from Git to the next commit. With
push-pull it shows both: changes in Git are those of the file that has the object, and where both sides were changed
it says which edit wins. While push-pull waits for an adoption, it says how much each side's would change; with
--adopt it shows what.

In -o json, .changes is a list of {object, action, direction, reason, message, file, conflict, masked, diff} with the
actions create, update, delete, withhold (a deletion that would wait for approval), wait (a conflict that would be
held) and fail, and the directions cluster and git; .counts has their numbers, .sides those of each direction under
push-pull, and .refused says why nothing at all would be written.

Examples:
  starter diff standby
  starter diff standby --stat
  starter diff standby --against 4f1c2b7
  starter diff standby --as push
  starter diff edge --as push-pull --adopt git
  starter diff standby --exit-code -o json > standby.json`,
		Flags: append(append([]cli.Flag{
			&cli.StringFlag{Name: "against", Usage: "`REVISION` to compare with instead of the tip of the branch, a hash or the beginning of one"},
			&cli.StringFlag{Name: "as", Usage: "`STRATEGY` to preview, push, pull or push-pull, instead of the one that is set"},
			adoptFlag(),
			&cli.StringFlag{Name: "on-conflict", Usage: "preview push-pull with this `POLICY` for conflicts, git, cluster or hold, instead of the one of the enrolment"},
			&cli.BoolFlag{Name: "stat", Usage: "one line per object instead of its diff"},
			&cli.BoolFlag{Name: "exit-code", Usage: "exit with 1 when there is anything to do, as git diff does; a failure, which is told on stderr, has that status too"},
		}, targetFlags()...), outputFlags()...),
		Action: func(c *cli.Context) error {
			d := &diffing{t: t, against: strings.ToLower(c.String("against")), stat: c.Bool("stat"), exitCode: c.Bool("exit-code"), target: targetOf(c)}
			var err error
			if d.cluster, err = clusterArgument(c); err != nil {
				return err
			}
			if d.output, err = formatOf(c); err != nil {
				return err
			}
			if d.against != "" && !hashBeginning.MatchString(d.against) {
				return misuse("--against takes the hash of a commit, or the first %d or more digits of one", repo.MinAbbreviation)
			}
			if c.IsSet("as") {
				d.as, err = workflows.ParseStrategy(c.String("as"))
				if err == nil && d.as == workflows.None {
					err = errors.New("strategy none does nothing: preview push, pull or push-pull")
				}
			}
			if err == nil {
				d.adopt, d.onConflict = workflows.AdoptPolicy(c.String("adopt")), workflows.ConflictPolicy(c.String("on-conflict"))
				err = d.checkPolicies()
			}
			if err != nil {
				return asMisuse(err)
			}
			return d.run(c.Context)
		},
	}
}

// hashBeginning is what --against takes.
var hashBeginning = regexp.MustCompile(fmt.Sprintf(`^[0-9a-f]{%d,40}$`, repo.MinAbbreviation))

// errDiffers: there is something to do, and --exit-code asks for an exit status. All has been said.
var errDiffers = errors.New("there are differences")

// diffing is one run of the command: the flags, and what it has found out.
type diffing struct {
	t       *terminal
	cluster string
	against string
	as      workflows.Strategy // empty for the one that is set
	// adopt and onConflict are empty for what is set.
	adopt      workflows.AdoptPolicy
	onConflict workflows.ConflictPolicy
	stat       bool
	exitCode   bool
	output     format
	target     target

	config     workflows.Config // with the strategy to preview
	status     workflows.Status
	agreement  workflows.Agreement
	connection *kube.Cluster
	stored     map[string][]byte // the Secret with the credentials
	rules      desired.Rules
	doing      atomic.Value // a string: what is going on
}

func (d *diffing) run(ctx context.Context) error {
	if err := d.readEnrolment(ctx); err != nil {
		return err
	}
	if d.config.Strategy == workflows.None {
		return d.nothingRuns()
	}
	result, err := d.compute(ctx)
	if err != nil {
		return err
	}
	if d.output == table {
		d.t.diffTable(result, d.stat)
	} else if err := encode(d.t.out, d.output, result); err != nil {
		return err
	}
	if d.exitCode && !result.Empty() {
		return errDiffers
	}
	return nil
}

// nothingRuns is the answer for strategy none.
func (d *diffing) nothingRuns() error {
	if d.output != table {
		return encode(d.t.out, d.output, preview.Preview{
			Cluster: d.cluster, Strategy: workflows.None, Settled: d.status.Revision, Changes: []preview.Change{},
		})
	}
	d.t.say("%s: the strategy is none, so nothing runs. See what another one would do:", d.cluster)
	d.t.say("  starter diff %s --as pull", d.cluster)
	d.t.say("  starter diff %s --as push", d.cluster)
	d.t.say("  starter diff %s --as push-pull", d.cluster)
	return nil
}

// compute compares the two sides, and says what it is at when that takes long.
func (d *diffing) compute(ctx context.Context) (result preview.Preview, err error) {
	d.say("connecting to the cluster")
	waiting, stop := context.WithCancel(ctx)
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		d.t.progress(waiting, func() string { return oneLine(d.doing.Load().(string)) })
	}()
	defer func() { stop(); <-shown }()
	if err := d.connect(ctx); err != nil {
		return result, err
	}
	credentials, err := terms.GitCredentials(d.stored, terms.SecretOrigin)
	if err != nil {
		return result, err
	}
	err = withRepository(d.config, credentials, func(r *repo.Repository) error {
		revision, err := d.revision(ctx, r)
		if err != nil {
			return d.explainRepository(err)
		}
		result, err = d.compare(ctx, r, revision)
		return d.explainRepository(err)
	})
	return result, err
}

func (d *diffing) say(format string, args ...any) { d.doing.Store(fmt.Sprintf(format, args...)) }

// connect makes sure that it is the enrolled cluster, and reads what it keeps for the sync.
func (d *diffing) connect(ctx context.Context) (err error) {
	if d.target, err = d.target.named(d.cluster).resolve(d.cluster); err != nil {
		return err
	}
	if d.connection, err = d.target.connect(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	uid, err := d.connection.UID(ctx)
	if err != nil {
		return explainCluster(d.connection.Host(), err)
	}
	if uid != d.config.ClusterUID {
		return fmt.Errorf("the cluster at %s is not the one that is enrolled as %s: give the right --kubeconfig and --context", d.connection.Host(), d.cluster)
	}
	d.stored, err = d.connection.ReadSecret(ctx, workflows.CredentialsNamespace, workflows.CredentialsSecret)
	if errors.Is(err, kube.ErrNoCredentials) {
		return fmt.Errorf("the cluster holds no Git credentials (%s): store them with `starter enroll %s --pat-file FILE`", terms.SecretOrigin, d.cluster)
	}
	if err != nil {
		return explainCluster(d.connection.Host(), err)
	}
	var keys agekey.Keys
	if d.config.Secrets == workflows.SecretsEncrypt {
		if keys, err = terms.AgeKeys(d.stored, terms.SecretOrigin); err != nil {
			d.t.note("%s", err) // the worker goes on, too
		}
	}
	d.rules, err = terms.Rules(d.config, keys)
	return err
}

// revision is the one to compare with, and makes it readable; zero where the branch doesn't exist.
func (d *diffing) revision(ctx context.Context, r *repo.Repository) (plumbing.Hash, error) {
	d.say("reading branch %s", d.config.Branch)
	tip, err := r.Tip(ctx)
	if err != nil {
		return tip, err
	}
	if tip.IsZero() && (d.config.Strategy == workflows.Pull || d.against != "") {
		return tip, fmt.Errorf("branch %s is not in %s, so there is nothing to compare with: create it, or enrol with another --branch", d.config.Branch, d.config.Repository)
	}
	revision := tip
	if d.against != "" {
		if revision, err = d.find(ctx, r, tip); err != nil {
			return tip, err
		}
	}
	err = r.Fetch(ctx, revision)
	if errors.Is(err, repo.ErrMoved) && d.against != "" {
		return tip, fmt.Errorf("the Git server has no revision %s for branch %s, or doesn't hand it out: `git log %[2]s` lists those of the branch", d.against, d.config.Branch)
	}
	return revision, err
}

// find is the revision of --against.
func (d *diffing) find(ctx context.Context, r *repo.Repository, tip plumbing.Hash) (plumbing.Hash, error) {
	if plumbing.IsHash(d.against) {
		return plumbing.NewHash(d.against), nil
	}
	d.say("looking for %s in the history of branch %s", d.against, d.config.Branch)
	found, err := r.Find(ctx, tip, d.against)
	switch {
	case errors.Is(err, repo.ErrNoRevision):
		return found, fmt.Errorf("there is no revision %s in the history of branch %s: `git log %[2]s` lists those that there are", d.against, d.config.Branch)
	case errors.Is(err, repo.ErrAmbiguous):
		return found, fmt.Errorf("several revisions begin with %s: give more digits of the hash", d.against)
	}
	return found, err
}

// compare lists the cluster once and tells the differences.
func (d *diffing) compare(ctx context.Context, r *repo.Repository, revision plumbing.Hash) (preview.Preview, error) {
	index, snapshot, err := d.list(ctx)
	if err != nil {
		return preview.Preview{}, explainCluster(d.connection.Host(), err)
	}
	sides := preview.Sides{
		Config: d.config, Rules: d.rules, Index: index, Snapshot: snapshot, Repository: r, Revision: revision,
		Settled: plumbing.NewHash(d.status.Revision), Agreement: d.agreement, Say: d.say,
	}
	for _, tracked := range d.status.Tracked {
		sides.Tracked = append(sides.Tracked, plumbing.NewHash(tracked))
	}
	switch d.config.Strategy {
	case workflows.Pull:
		return preview.Pull(ctx, sides)
	case workflows.PushPull:
		sides.Settled = plumbing.NewHash(d.agreement.Settled.Revision)
		return preview.Exchange(ctx, sides)
	}
	var pushed plumbing.Hash
	if d.status.Strategy == workflows.Push {
		pushed = sides.Settled
	}
	return preview.Push(ctx, sides, pushed)
}

// list reads the whole cluster through an index, which ends as soon as it has.
func (d *diffing) list(ctx context.Context) (*kube.Index, kube.Snapshot, error) {
	index := d.connection.NewIndex(kube.IndexOptions{
		Logger: slog.New(slog.DiscardHandler), Selection: d.rules.Selection, SecretHash: d.rules.SecretHash, AuditEvery: -time.Second,
	})
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = index.Run(running) // it ends with the context and not before
	}()
	snapshot, err := index.Snapshot(ctx, func(words string) { d.say("%s", words) })
	stop()
	<-ended
	return index, snapshot, err
}

// explainRepository turns an error of the repository into a sentence.
func (d *diffing) explainRepository(err error) error {
	switch {
	case errors.Is(err, repo.ErrAuth):
		return fmt.Errorf("the Git server refuses the token in the cluster's Secret for %s: give the right one with `starter enroll %s --pat-file FILE`", d.config.Repository, d.cluster)
	case errors.Is(err, repo.ErrNotFound):
		return fmt.Errorf("there is no Git repository at %s, or the token in the cluster's Secret may not see it: check the token's permissions", d.config.Repository)
	case errors.Is(err, repo.ErrUnreachable):
		return fmt.Errorf("%w; check the network between here and %s", err, d.config.Repository)
	case errors.Is(err, repo.ErrMoved):
		return fmt.Errorf("the branch moved while it was read: try again (%w)", err)
	}
	return err
}
