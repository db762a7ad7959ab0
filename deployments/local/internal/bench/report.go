package bench

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Write makes README.md, results.json and cost.svg in a directory.
func (r Report) Write(directory string) error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	results, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	for name, text := range map[string]string{
		"results.json": string(results) + "\n",
		"cost.svg":     chart(costSeries(r.Sizes), fmt.Sprintf("solid: the product, dashed: kubectl and git; measured %s on %s, %d cores", times(r.Settings.Repeat), r.Machine.CPU, r.Machine.Cores)),
		"README.md":    r.page(),
	} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	return nil
}

// Read returns the report in a directory, for adding to it.
func Read(directory string) (report Report, err error) {
	text, err := os.ReadFile(filepath.Join(directory, "results.json"))
	if err != nil {
		return report, err
	}
	return report, json.Unmarshal(text, &report)
}

// Judge puts the sizes in order and says which requirements they meet.
func (r *Report) Judge() {
	slices.SortFunc(r.Sizes, func(a, b Size) int { return cmp.Compare(a.Objects, b.Objects) })
	r.Requirements = requirements(r.Sizes)
}

// Tables are the report for a terminal.
func (r Report) Tables() string {
	var fleet string
	if r.Fleet != nil {
		fleet = fleetTable(*r.Fleet).plain()
	}
	if len(r.Sizes) == 0 {
		return fleet
	}
	return strings.Join([]string{
		costTable(r.Sizes).plain(), pullTable(r.Sizes).plain(), exchangeTable(r.Sizes).plain(), trafficTable(r.Sizes).plain(), memoryTable(r.Sizes).plain(),
		requirementTable(r.Requirements).plain(), fleet,
	}, "\n")
}

func (r Report) page() string {
	var out strings.Builder
	paragraph := func(text string) { out.WriteString(strings.TrimSpace(text) + "\n\n") }

	paragraph("# What a sync costs")
	paragraph("Written by `make bench` (`BENCH_LARGE=1` adds 100,000 objects). The same figures for programs: [results.json](results.json).")
	paragraph("![CPU time against the size of the cluster](cost.svg)")
	paragraph("## Time")
	paragraph("A ratio says how often the product's figure fits into that of `kubectl get` and `git push`. How all this was measured is told below.")
	paragraph(costTable(r.Sizes).markdown())
	paragraph("## Pull")
	paragraph(fmt.Sprintf("An empty cluster becomes what was pushed. \"Of raw\" is the rate in percent of that of raw POSTs around it, the median of %d pulls and what they lie between; \"kubectl's\" is how often the rate of kubectl fits into it. "+
		"\"From a distance\": the API server is %d ms away, there and back.", turns*r.Settings.Repeat, roundTrip.Milliseconds()))
	paragraph(pullTable(r.Sizes).markdown())
	paragraph("## Push-pull")
	paragraph("The enrolment of the first push goes on with strategy push-pull. Latency is the time from the edit until the other side has it.")
	paragraph(exchangeTable(r.Sizes).markdown())
	paragraph("## Required figures")
	paragraph(requirementTable(r.Requirements).markdown())
	paragraph("## Traffic")
	paragraph("For the product's idle tick, the mean of a tick. Watches are ended by the API server every few minutes and begun anew: requests of a fraction per tick.")
	paragraph(trafficTable(r.Sizes).markdown())
	paragraph("## Memory")
	paragraph(memoryTable(r.Sizes).markdown())
	if r.Fleet != nil {
		paragraph("## Fleet")
		paragraph("Many enrolments of which nothing changes.")
		paragraph(fleetTable(*r.Fleet).markdown())
		paragraph(fleetMethod)
	}
	paragraph("## Machine")
	paragraph(r.machine())
	out.WriteString(r.method())
	return out.String()
}

func (r Report) machine() string {
	m := r.Machine
	t := &table{header: []string{"", ""}}
	t.row("CPU", fmt.Sprintf("%s, %d cores", m.CPU, m.Cores))
	t.row("Memory", byteCount(m.MemoryBytes))
	t.row("System", m.OS)
	t.row("Go, Git, Kubernetes", fmt.Sprintf("%s, %s, %s", m.Go, m.Git, m.Kubernetes))
	if m.Load > 0 {
		t.row("Load before", fmt.Sprintf("%.2f", m.Load))
	}
	t.row("Date", r.Date)
	t.row("Commit", r.Commit)
	return t.markdown()
}

func (r Report) method() string {
	s := r.Settings
	return fmt.Sprintf(`## How it was measured

Each size has a control plane (etcd, kube-apiserver, kube-controller-manager), a Git server and a Temporal server of its
own, all on this machine. The cluster is filled with ConfigMaps of 1 to 3 kB (40 %%), Deployments without replicas
(15 %%), Services, ServiceAccounts, Roles, RoleBindings, Secrets, suspended CronJobs and a custom resource, %d in a
namespace; measuring begins when the controllers are done with them. Everything is measured %s, each time with a new
worker, enrollment and repository; the tables have the medians.

**The product** is the worker's process as users run it and `+"`starter enroll --strategy push`"+`, with a tick every %g s.

- First push: from the start of `+"`starter enroll`"+` until the branch holds every object. Its CPU time is all that the worker
  used since its process began. Wall times of the ticks are the sum of what their activities took, by the worker's own
  metrics; the latency is the time from the edit until the branch has it, most of which is the wait for the next tick.
- Idle tick: the mean of %d ticks without a change.
- One-object tick: the median of %d edits of one ConfigMap, and the tick with many: that many objects edited at once. The
  cost is all of the tick that carries the change; idle ticks beside it are taken off.
- CPU time is the process's CPU clock, user and system; peak RSS its VmHWM. Outside Linux these aren't measured.

**The baseline** is a script: one `+"`kubectl get <all resources> -A -o yaml`"+`, a file for each object, `+"`git add --all`"+`,
`+"`git commit`"+`, `+"`git push`"+` to the same Git server. It is made cheap where there is a choice: one kubectl for all
resources, without paging; what the product doesn't export isn't read; cutting kubectl's answer into files isn't counted, and rewrites
only files whose content differs, so that Git has no others to look into; Git's housekeeping is off. An idle tick is a
run with nothing to commit. CPU time is what its processes and their children used, wall time the sum of theirs, peak
RSS that of the largest. "One by one" is the same with a kubectl for each resource, which is how such a script is
mostly written.

**Pull** has further control planes, one after the other, so that each way begins with an empty cluster: what the
worker pushed before is applied by another worker, created by raw requests, and a share of it applied by kubectl; then by a worker
and by kubectl from a distance. Workers and raw requests take turns, %d pulls with raw requests before and after each: what
the machine does otherwise makes either of them faster at one time than at another, by half, and a share of raw is that
of the mean of the raw requests right before and right after.

- First pull: `+"`starter enroll --strategy pull --lock off`"+` with the age identity of the primary, from its start until the end
  of the Apply that wrote everything, after which `+"`starter status`"+` is InSync. It is all that a user waits for: the checks
  of the enrolment, the first lists, the fetch, reading and decrypting the files, writing. Its CPU time is all that the
  worker used since its process began. The lock is off because what is measured is applying.
- Raw POSTs: the same objects, read, decrypted and encoded as JSON before the clock starts, by one client that throws the
  answers away, over %d connections, as many requests as the worker has under way, and in the same stages: namespaces and
  CRDs, what workloads need, workloads, custom resources. Both go through the relay and the audit log.
- kubectl: `+"`kubectl apply --server-side --recursive -f`"+` of a directory with %d of the objects, a file of JSON for each,
  decrypted beforehand. Their namespaces and CRD are there already, and kubectl knows the resources already.
- Drift: the sync is paused, %d objects (or all there are) are edited (half of them), deleted (a quarter) or given an
  annotation that Git doesn't have (a quarter), all in the name of kubectl edit, and the sync is resumed when the
  controllers are done. The time is that of the tick: from the beginning of its first activity until the end of the
  Apply that restored all.
- Idle tick: as above.
- From a distance: the relay before the API server holds back what goes either way, so that an answer takes %d ms longer;
  it limits no rate. The worker's way to Git and to Temporal stays short. kubectl applies %d of the objects.

**Push-pull** is measured with the worker and the enrolment of the first push, once `+"`starter set-strategy`"+` has changed the
strategy: %d edits of one ConfigMap in the cluster, and as many of its file in Git by a commit on the server, the median of
each. Idle ticks are taken off as above.

API requests are counted in the API server's audit log, by the user that each side has to itself; Git requests in the Git
server's log. Bytes are those on the wire in both directions, TLS and headers included, counted by a relay before either
server. Git objects are those that arrived in the repository.
`, perNamespace, times(s.Repeat), s.IntervalSeconds, s.IdleTicks, s.Edits, turns, rawConnections, share, s.Many, roundTrip.Milliseconds(), farShare, s.Edits)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
