package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/process"
)

// worker is the product's, as a process of its own.
type worker struct {
	*process.Child
	run     *run
	site    *site
	cluster string // name of the enrolment
	metrics string // URL
	log     string
}

// startWorker starts one with no data of earlier ones.
func (r *run) startWorker(ctx context.Context, on *site, cluster string) (*worker, error) {
	address := fmt.Sprintf("127.0.0.1:%d", r.MetricsPort)
	log := filepath.Join(r.Dir, "worker-"+cluster+".log")
	child, err := process.Start(process.Command{
		Name: "worker " + cluster,
		Path: r.Worker,
		Args: []string{"--cluster", cluster + "=" + on.Name(), "--kubeconfig", on.kubeconfig(workerUser),
			"--data-dir", filepath.Join(r.Dir, "worker-"+cluster), "--metrics-addr", address},
		Env: r.environment(),
		Log: log,
	})
	if err != nil {
		return nil, err
	}
	w := &worker{Child: child, run: r, site: on, cluster: cluster, metrics: "http://" + address + "/metrics", log: log}
	err = eventually(ctx, time.Minute, func(ctx context.Context) error { return r.Polled(ctx, w.workflow()) })
	if crash := child.Crash(); crash != nil {
		err = crash
	}
	if err != nil {
		child.Stop(0)
		return nil, err
	}
	return w, nil
}

// workflow is the name of the enrolment's workflow and task queue.
func (w *worker) workflow() string { return "cluster-sync-" + w.cluster }

// environment is the caller's without what would lead the programs elsewhere.
func (r *run) environment() []string {
	var env []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, "TEMPORAL_") && !strings.HasPrefix(name, "GIT_") && name != "KUBECONFIG" {
			env = append(env, variable)
		}
	}
	return append(env, r.Env...)
}

func (w *worker) enroll(ctx context.Context, repository string, more ...string) error {
	args := append([]string{"enroll", w.cluster, "--repo", w.run.repositoryURL(repository),
		"--interval", w.run.Interval.String(), "--pat-file", w.run.Git.TokenFile(repository),
		"--kubeconfig", w.site.Kubeconfig(), "--context", w.site.Name()}, more...)
	_, err := w.starter(ctx, args...)
	return err
}

// identity is the file of the age identity that the Secrets of a repository are
// encrypted for.
func (r *run) identity(repository string) string { return filepath.Join(r.Dir, repository+".agekey") }

func (w *worker) unenroll(ctx context.Context) error {
	_, err := w.starter(ctx, "set-strategy", w.cluster, "none")
	return err
}

// waitInSync asks for the status, which costs the worker something: not to be
// called while it is measured.
func (w *worker) waitInSync(ctx context.Context) error {
	return eventually(ctx, limit, func(ctx context.Context) error {
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
		text, err := w.starter(ctx, "status", w.cluster, "-o", "json")
		if err != nil {
			return err
		}
		var status struct{ State, Reason, Message string }
		if err := json.Unmarshal(text, &status); err != nil {
			return err
		}
		if status.State != "InSync" {
			return fmt.Errorf("%s is %s (%s: %s)", w.cluster, status.State, status.Reason, status.Message)
		}
		return nil
	})
}

func (w *worker) starter(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, w.run.Starter, args...)
	cmd.Env = w.run.environment()
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(failed.Stderr)))
	}
	if err != nil {
		return nil, fmt.Errorf("starter %s: %w", args[0], err)
	}
	return out, nil
}

// logged is what the worker logs of an activity.
type logged struct {
	cluster  string
	activity string
	ended    time.Time
	took     time.Duration
	changed  float64 // objects
}

// applied is an Apply, and when the first activity of its tick began.
type applied struct {
	logged
	began time.Time
}

// awaitApply waits for the first Apply that is logged from a position on and
// applied something. Reading the log costs the worker nothing.
func (w *worker) awaitApply(ctx context.Context, from int64) (did applied, err error) {
	err = eventually(ctx, limit, func(ctx context.Context) error {
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
		found := false
		var began time.Time
		err := eachLine(w.log, from, func(line []byte) error {
			one, ok := readLogged(line)
			if !ok || found {
				return nil
			}
			if start := one.ended.Add(-one.took); began.IsZero() || start.Before(began) {
				began = start
			}
			if one.activity == "Apply" && one.changed > 0 {
				did, found = applied{one, began}, true
			}
			return nil
		})
		if err == nil && !found {
			err = fmt.Errorf("%s applies nothing, see its log %s", w.cluster, w.log)
		}
		return err
	})
	return did, err
}

func readLogged(line []byte) (logged, bool) {
	if !bytes.Contains(line, []byte(`"activity":`)) { // most lines are about objects
		return logged{}, false
	}
	var entry struct {
		Time                    time.Time
		Cluster                 string
		Activity, Duration      string
		Added, Updated, Deleted float64
	}
	if err := json.Unmarshal(line, &entry); err != nil {
		return logged{}, false
	}
	took, err := time.ParseDuration(entry.Duration)
	return logged{entry.Cluster, entry.Activity, entry.Time, took, entry.Added + entry.Updated + entry.Deleted}, err == nil
}

// activity is what the worker's activities did since its start.
type activity struct {
	ticks   float64
	seconds float64 // that all activities took
}

func (a activity) since(b activity) activity {
	return activity{a.ticks - b.ticks, a.seconds - b.seconds}
}

// activity asks the worker's metrics, which costs it a millisecond or so: not
// to be called while it is measured.
func (w *worker) activity(ctx context.Context) (activity, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.metrics, nil)
	if err != nil {
		return activity{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return activity{}, err
	}
	defer response.Body.Close()
	var sum activity
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		if !strings.HasPrefix(name, "cluster_sync_activity_duration_seconds_") {
			continue
		}
		value, err := strconv.ParseFloat(text, 64)
		switch {
		case err != nil:
			return activity{}, fmt.Errorf("metric %s: %w", name, err)
		case strings.Contains(name, "_sum{"):
			sum.seconds += value
		case strings.Contains(name, "_count{") && strings.Contains(name, `activity="Export"`):
			sum.ticks += value
		}
	}
	return sum, lines.Err()
}
