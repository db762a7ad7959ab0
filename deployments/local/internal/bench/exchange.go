package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// exchange measures the same enrolment with strategy push-pull, after its pushes.
func (p *productRun) exchange(ctx context.Context) (result Exchange, err error) {
	if _, err := p.starter(ctx, "set-strategy", p.cluster, "push-pull"); err != nil {
		return result, err
	}
	if err := p.waitInSync(ctx); err != nil {
		return result, err
	}
	result.PeakRSS, err = p.take(ctx, []step{
		{"idle ticks, both ways", &result.Idle, p.idle},
		{"ticks with one object, from the cluster", &result.FromCluster, func(ctx context.Context) (Cost, error) { return p.ones(ctx, result.Idle) }},
		{"ticks with one object, from Git", &result.FromGit, func(ctx context.Context) (Cost, error) { return p.fromGit(ctx, result.Idle) }},
	})
	return result, err
}

// fromGit is the cost of a tick in which somebody changed one file in Git.
func (p *productRun) fromGit(ctx context.Context, idle Cost) (Cost, error) {
	configMap := p.toEdit(1, false)[0]
	file := path.Join("namespaces", configMap.namespace, configMap.resource, configMap.id+".yaml")
	var costs []Cost
	for range p.Edits {
		cost, err := p.committed(ctx, file, idle)
		if err != nil {
			return Cost{}, err
		}
		costs = append(costs, cost)
	}
	return medianCost(costs), nil
}

// committed changes a file of the branch and waits until the cluster has it.
func (p *productRun) committed(ctx context.Context, file string, idle Cost) (Cost, error) {
	window, err := p.open(ctx)
	if err != nil {
		return Cost{}, err
	}
	p.edits++
	if err := p.branch.change(ctx, file, fmt.Sprintf("data:\n  bench-edit-%d: \"%d\"\n", p.edits, p.edits)); err != nil {
		return Cost{}, err
	}
	edited := time.Now()
	did, err := p.awaitApply(ctx, window.from)
	if err != nil {
		return Cost{}, err
	}
	cost, err := window.tick(ctx, idle)
	cost.Latency, cost.Edited, cost.Changed = did.ended.Sub(edited).Seconds(), 1, did.changed
	return cost, err
}

// change makes a commit on the server in which the line "data:" of a file is
// something more.
func (b branch) change(ctx context.Context, file, data string) error {
	index := filepath.Join(b.directory, "bench-index")
	defer os.Remove(index)
	git := func(input string, args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, "git", append([]string{"-C", b.directory, "-c", "safe.directory=*",
			"-c", "user.name=bench", "-c", "user.email=bench@example.com"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_INDEX_FILE="+index)
		cmd.Stdin = strings.NewReader(input)
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("git %s in %s: %w", args[0], b.directory, err)
		}
		return string(out), nil
	}
	tip, err := b.tip()
	if err != nil {
		return err
	}
	content, err := git("", "show", tip+":"+file)
	if err != nil {
		return err
	}
	if !strings.Contains(content, "\ndata:\n") {
		return fmt.Errorf("%s has no data", file)
	}
	blob, err := git(strings.Replace(content, "\ndata:\n", "\n"+data, 1), "hash-object", "-w", "--stdin")
	if err != nil {
		return err
	}
	if _, err := git("", "read-tree", tip); err != nil {
		return err
	}
	if _, err := git("", "update-index", "--cacheinfo", "100644,"+strings.TrimSpace(blob)+","+file); err != nil {
		return err
	}
	tree, err := git("", "write-tree")
	if err != nil {
		return err
	}
	commit, err := git("", "commit-tree", strings.TrimSpace(tree), "-p", tip, "-m", "Edit "+file)
	if err != nil {
		return err
	}
	_, err = git("", "update-ref", "refs/heads/main", strings.TrimSpace(commit), tip)
	return err
}
