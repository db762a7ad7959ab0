package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// start makes the enrolment: one workflow. When somebody else enrols the same cluster at the same moment,
// only one of the two is started, and the other one is told.
func (e *enrolling) start(ctx context.Context) error {
	r, config := e.registry, e.config
	starting, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := r.client.ExecuteWorkflow(starting, client.StartWorkflowOptions{
		ID:                       workflows.WorkflowID(config.Cluster),
		TaskQueue:                workflows.WorkflowID(config.Cluster),
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		TypedSearchAttributes:    workflows.InitialAttributes(config),
		StaticSummary:            summary(config),
		StaticDetails:            details(config),
	}, workflows.WorkflowType, workflows.State{Config: config})

	// Whatever the answer was: what counts is which enrolment is there now.
	looking, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	now, lookErr := r.find(looking, config.Cluster)
	if err == nil {
		err = lookErr
	}
	if lookErr != nil || !now.running {
		if err == nil {
			err = errors.New("it ended at once: see its history in the Temporal Web UI")
		}
		return fmt.Errorf("the sync of cluster %s can't be started: %w", config.Cluster, r.explain(err))
	}
	running, err := r.config(looking, now)
	if err != nil {
		return err
	}
	if running.Repository != config.Repository || running.Branch != config.Branch || running.Path != config.Path || running.ClusterUID != config.ClusterUID {
		return fmt.Errorf("cluster %s was enrolled with another repository or cluster at the same moment: see `starter status %[1]s`", config.Cluster)
	}
	return nil
}

// maxSummary is what Temporal takes as a summary, in bytes.
const maxSummary = 200

// summary and details are Markdown. What users gave stands in code spans, where nothing of it is rendered.
func summary(c workflows.Config) string {
	text := fmt.Sprintf("cluster %s and branch %s of %s", span(c.Cluster), span(c.Branch), span(c.Repository))
	if len(text) > maxSummary {
		text = strings.ToValidUTF8(text[:maxSummary-len("…`")], "") + "…`"
	}
	return text
}

func details(c workflows.Config) string {
	return fmt.Sprintf("Keeps Kubernetes cluster %s and %s in step: branch %s, path %s. How that is going stands under Current Details.\n\n"+
		"On the command line: `starter status %[5]s`, `starter pause %[5]s`, `starter unenroll %[5]s`.",
		span(c.Cluster), span(c.Repository), span(c.Branch), span(c.Path), c.Cluster)
}

func span(text string) string { return "`" + strings.ReplaceAll(oneLine(text), "`", "'") + "`" }

// update changes a running enrolment where the command line asks for something else than there is.
func (e *enrolling) update(ctx context.Context) (changed []string, err error) {
	var wanted []message
	strategy := workflows.SetStrategy{Strategy: e.config.Strategy, Adopt: e.config.Adopt}
	if e.flags.given["strategy"] && e.now.Strategy != strategy.Strategy || strategy.Adopt != "" && e.now.Adopt != strategy.Adopt {
		wanted = append(wanted, message{workflows.SetStrategyMessage, strategy, "the strategy is " + strategyWords(strategy)})
	}
	if e.flags.given["ignore-namespace"] && !sameSet(e.now.IgnoredNamespaces, e.config.IgnoredNamespaces) {
		wanted = append(wanted, message{
			workflows.SetIgnoredNamespacesMessage, workflows.SetIgnoredNamespaces{Namespaces: e.config.IgnoredNamespaces},
			"ignored namespaces are " + strings.Join(e.config.IgnoredNamespaces, ", "),
		})
	}
	for _, m := range wanted {
		if !e.polled {
			// A signal is kept until there is a worker; an update could only time out.
			if err := e.registry.signal(ctx, e.config.Cluster, m.name, m.arg); err != nil {
				return changed, err
			}
			changed = append(changed, m.done+", as soon as a worker runs")
			continue
		}
		if _, err := e.registry.update(ctx, e.config.Cluster, updateTimeout, m.name, m.arg); err != nil {
			return changed, err
		}
		changed = append(changed, m.done)
	}
	return changed, nil
}

type message struct {
	name string
	arg  any
	done string // in words, once it is carried out
}

func sameSet(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

// enrolCommand is the command line that makes an enrolment again as it was.
func enrolCommand(c workflows.Config) string {
	words := []string{"starter enroll", c.Cluster, "--repo", quote(c.Repository)}
	flag := func(name, value, usual string) {
		if value != "" && value != usual {
			words = append(words, "--"+name, quote(value))
		}
	}
	each := func(name string, values []string) {
		for _, value := range values {
			flag(name, value, "")
		}
	}
	flag("branch", c.Branch, workflows.DefaultBranch)
	flag("path", c.Path, workflows.DefaultPath)
	flag("strategy", string(c.Strategy), string(workflows.None))
	each("ignore-namespace", slices.DeleteFunc(slices.Clone(c.IgnoredNamespaces), func(name string) bool {
		return slices.Contains(workflows.DefaultIgnoredNamespaces(), name)
	}))
	flag("interval", c.Interval.Duration.String(), workflows.DefaultInterval.String())
	flag("secrets", string(c.Secrets), string(workflows.DefaultSecrets))
	each("include-resource", c.IncludeResources)
	each("exclude-resource", c.ExcludeResources)
	each("ignore-name", c.IgnoreNames)
	flag("selector", c.Selector, "")
	each("ignore-field", c.IgnoreFields)
	flag("prune", string(c.Prune), string(workflows.DefaultPrune))
	if c.RecreateImmutable {
		words = append(words, "--recreate-immutable")
	}
	flag("lock", string(cmp.Or(c.Lock, workflows.LockOff)), string(workflows.DefaultLock))
	flag("break-glass-group", c.BreakGlassGroup, workflows.DefaultBreakGlassGroup)
	flag("on-conflict", string(c.OnConflict), string(workflows.DefaultConflict))
	return strings.Join(words, " ")
}
