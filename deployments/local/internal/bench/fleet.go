package bench

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/process"
)

// Fleet is what many enrolments cost one worker that has nothing to do but
// look.
type Fleet struct {
	Clusters int `json:"clusters"`
	// Objects is how many each of them has.
	Objects       int     `json:"objectsEach"`
	WindowSeconds float64 `json:"windowSeconds"`
	// StartSeconds is from the start of the worker until all are in sync, the
	// enrolments among it.
	StartSeconds float64 `json:"startSeconds"`
	Ticks        float64 `json:"ticks"`
	// OnTime is the share of the ticks that began at most a second after they
	// were due, LateP99 how late they began but for one in a hundred.
	OnTime  float64 `json:"onTime"`
	LateP99 float64 `json:"lateP99Seconds"`
	// WorkerCPU and ServerCPU are those of one tick of one cluster.
	WorkerCPU  float64 `json:"workerCPUSeconds"`
	ServerCPU  float64 `json:"temporalCPUSeconds"`
	PeakRSS    float64 `json:"peakRSSBytes"`
	Goroutines float64 `json:"goroutines"`
	OpenFiles  float64 `json:"openFiles"`
	// LoadBefore is that of the machine when the window began.
	LoadBefore float64 `json:"loadBefore"`
}

// fleetObjects is how many objects each enrolment has beside its namespace.
const fleetObjects = 3

// fleetLabel tells the objects of one enrolment from those of the others.
const fleetLabel = "bench.example.com/fleet"

// MeasureFleet enrols n clusters, which are one: each enrolment watches all of
// it, and takes what has its label.
func MeasureFleet(ctx context.Context, stack Stack, settings Settings, n int, progress Progress) (Fleet, error) {
	r := &run{Stack: stack, Settings: settings, Progress: progress}
	f := &fleetRun{run: r, log: filepath.Join(r.Dir, "worker-fleet.log"), kubeconfig: filepath.Join(r.Dir, "fleet.kubeconfig")}
	for i := range n {
		f.names = append(f.names, fmt.Sprintf("fleet-%03d", i+1))
	}
	if err := stack.Cluster.WriteKubeconfig(f.kubeconfig, workerUser, ""); err != nil {
		return Fleet{}, err
	}
	if err := f.populate(ctx); err != nil {
		return Fleet{}, err
	}
	began := time.Now()
	if err := f.serve(); err != nil {
		return Fleet{}, err
	}
	defer f.worker.Stop(10 * time.Second)
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	go func() {
		<-f.worker.Done()
		end(f.worker.Crash())
	}()
	fleet, err := f.measure(ctx, began)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return fleet, err
}

// fleetRun is one worker with many enrolments.
type fleetRun struct {
	*run
	names           []string
	kubeconfig, log string
	metrics         string // URL
	worker          *process.Child
}

func (f *fleetRun) populate(ctx context.Context) error {
	f.Step("%d namespaces with %d ConfigMaps each, and as many repositories", len(f.names), fleetObjects)
	tls, err := f.Cluster.ClientTLS("")
	if err != nil {
		return err
	}
	api := newAPI(f.Cluster.URL(), tls)
	return concurrently(ctx, 4, f.names, func(ctx context.Context, name string) error {
		labels := map[string]any{fleetLabel: name}
		err := api.post(ctx, "/api/v1/namespaces", map[string]any{
			"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name, "labels": labels},
		})
		for i := range fleetObjects {
			if err == nil {
				err = api.post(ctx, "/api/v1/namespaces/"+name+"/configmaps", map[string]any{
					"apiVersion": "v1", "kind": "ConfigMap",
					"metadata": map[string]any{"name": fmt.Sprintf("settings-%d", i), "labels": labels},
					"data":     map[string]any{"of": name},
				})
			}
		}
		if err != nil {
			return err
		}
		return f.Git.CreateRepository(ctx, name)
	})
}

// serve starts the worker.
func (f *fleetRun) serve() (err error) {
	address := fmt.Sprintf("127.0.0.1:%d", f.MetricsPort)
	f.metrics = "http://" + address + "/metrics"
	args := []string{"--kubeconfig", f.kubeconfig, "--data-dir", filepath.Join(f.Dir, "worker-fleet"), "--metrics-addr", address}
	for _, name := range f.names {
		args = append(args, "--cluster", name+"="+f.Cluster.Name())
	}
	f.worker, err = process.Start(process.Command{
		Name: "worker of the fleet", Path: f.Worker, Args: args, Env: f.environment(), Log: f.log,
	})
	return err
}

func (f *fleetRun) measure(ctx context.Context, began time.Time) (fleet Fleet, err error) {
	if err := f.enrollAll(ctx); err != nil {
		return fleet, err
	}
	if err := f.awaitInSync(ctx); err != nil {
		return fleet, err
	}
	fleet = Fleet{Clusters: len(f.names), Objects: fleetObjects + 1, StartSeconds: time.Since(began).Seconds()}
	// What the start left to be done isn't idle.
	if err := pause(ctx, 2*f.Interval); err != nil {
		return fleet, err
	}
	fleet.LoadBefore = load()
	worker, server, err := f.used()
	if err != nil {
		return fleet, err
	}
	from := time.Now()
	at, err := position(f.log)
	if err != nil {
		return fleet, err
	}
	f.Step("%d idle ticks of each", f.IdleTicks)
	if err := pause(ctx, time.Duration(f.IdleTicks)*f.Interval); err != nil {
		return fleet, err
	}
	workerAfter, serverAfter, err := f.used()
	if err != nil {
		return fleet, err
	}
	until := time.Now()
	starts, err := f.tickStarts(at)
	if err != nil {
		return fleet, err
	}
	fleet.WindowSeconds = until.Sub(from).Seconds()
	punctuality := judgeTicks(starts, f.names, f.Interval, from, until)
	fleet.Ticks, fleet.OnTime, fleet.LateP99 = punctuality.ticks, punctuality.onTime, punctuality.lateP99
	fleet.WorkerCPU = over((workerAfter - worker).Seconds(), fleet.Ticks)
	fleet.ServerCPU = over((serverAfter - server).Seconds(), fleet.Ticks)
	page, err := f.gauges(ctx, "go_goroutines", "process_open_fds")
	if err != nil {
		return fleet, err
	}
	fleet.Goroutines, fleet.OpenFiles = page["go_goroutines"], page["process_open_fds"]
	peak, err := peakMemory(f.worker.PID())
	fleet.PeakRSS = float64(peak)
	return fleet, err
}

// used is the CPU time of the worker, and of this process: that is Temporal,
// what listens for Git, and almost nothing else while a window is open.
func (f *fleetRun) used() (worker, server time.Duration, err error) {
	if worker, err = cpuTime(f.worker.PID()); err != nil {
		return 0, 0, err
	}
	server, err = cpuTime(os.Getpid())
	return worker, server, err
}

// enrollAll uses the command, a few at a time. All have the same Secret with
// the credentials, since they are one cluster, so they have the same token.
func (f *fleetRun) enrollAll(ctx context.Context) error {
	first := f.Git.TokenFile(f.names[0])
	token, err := os.ReadFile(first)
	if err != nil {
		return err
	}
	done := 0
	for _, name := range f.names {
		if err := os.WriteFile(f.Git.TokenFile(name), token, 0o600); err != nil {
			return err
		}
	}
	enroll := &worker{run: f.run}
	for batch := range slices.Chunk(f.names, 20) {
		err := concurrently(ctx, 2, batch, func(ctx context.Context, name string) error {
			// The command waits for no server longer than a person would; here
			// it shares the machine with a worker that lists a fleet.
			return eventually(ctx, limit, func(ctx context.Context) error {
				_, err := enroll.starter(ctx, "enroll", name, "--repo", f.Git.URL()+"/"+name+".git", "--strategy", "push",
					"--interval", f.Interval.String(), "--pat-file", first, "--secrets", "exclude", "--selector", fleetLabel+"="+name,
					"--kubeconfig", f.Cluster.Kubeconfig(), "--context", f.Cluster.Name())
				return err
			})
		})
		if err != nil {
			return err
		}
		done += len(batch)
		f.Step("enrolled %d of %d", done, len(f.names))
	}
	return nil
}

// awaitInSync asks the worker's metrics.
func (f *fleetRun) awaitInSync(ctx context.Context) error {
	return eventually(ctx, limit, func(ctx context.Context) error {
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
		wanted := make([]string, len(f.names))
		for i, name := range f.names {
			wanted[i] = fmt.Sprintf("cluster_sync_state{cluster=%q,state=%q}", name, "InSync")
		}
		states, err := f.gauges(ctx, wanted...)
		if err != nil {
			return err
		}
		settled := 0
		for _, value := range states {
			settled += int(value)
		}
		f.Step("%d of %d are in sync", settled, len(f.names))
		if settled < len(f.names) {
			return fmt.Errorf("only %d of %d clusters are in sync, see %s", settled, len(f.names), f.log)
		}
		return nil
	})
}

// gauges reads some series of the worker's metrics.
func (f *fleetRun) gauges(ctx context.Context, series ...string) (map[string]float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.metrics, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	wanted, found := map[string]bool{}, map[string]float64{}
	for _, name := range series {
		wanted[name] = true
	}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		if !wanted[name] {
			continue
		}
		if found[name], err = strconv.ParseFloat(text, 64); err != nil {
			return nil, fmt.Errorf("metric %s: %w", name, err)
		}
	}
	return found, lines.Err()
}

// tickStarts are the times at which the ticks of each cluster began, by the
// worker's log from a position on.
func (f *fleetRun) tickStarts(from int64) (map[string][]time.Time, error) {
	starts := map[string][]time.Time{}
	err := eachLine(f.log, from, func(line []byte) error {
		if one, ok := readLogged(line); ok && one.activity == "Export" {
			starts[one.cluster] = append(starts[one.cluster], one.ended.Add(-one.took))
		}
		return nil
	})
	return starts, err
}
