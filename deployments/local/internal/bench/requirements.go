package bench

import "math"

// Requirement is a figure that the product has to reach.
type Requirement struct {
	Objects int    `json:"objects"`
	What    string `json:"what"`
	Limit   string `json:"limit"`
	Figure  string `json:"figure"`
	Verdict string `json:"verdict"` // Met, Missed or NotMeasured
}

// The verdicts.
const (
	Met         = "met"
	Missed      = "missed"
	NotMeasured = "not measured"
)

const megabyte = 1e6

// The sizes at which figures are required.
const (
	small  = 1_000
	middle = 10_000
	large  = 100_000
)

// requirements judges the sizes at which something is required.
func requirements(sizes []Size) []Requirement {
	at := map[int]Costs{}
	var baseline Costs
	var pull Pull
	var both, few Exchange
	for _, size := range sizes {
		at[size.Objects] = size.Product
		if size.Objects == middle {
			baseline, pull, both = size.Baseline, size.Pull, size.Exchange
		}
		if size.Objects == small {
			few = size.Exchange
		}
	}
	m, l := at[middle], at[large]
	// The last tick of the window that is looked at may be cut in two.
	const cut = 0.1
	var all judge
	all.at = middle
	all.judge("first push, times as fast as kubectl and git", "at least 5", over(baseline.First.Wall, m.First.Wall), "", func(v float64) bool { return v >= 5 })
	all.judge("first push, worker CPU", "under 4 s", m.First.CPU, " s", func(v float64) bool { return v < 4 })
	all.judge("idle tick, worker CPU", "under 10 ms", m.Idle.CPU*1e3, " ms", func(v float64) bool { return v < 10 })
	all.count("idle tick, API list and get requests", "0", at, m.Idle.reads(), func(v float64) bool { return v == 0 })
	all.count("idle tick, Git requests", "1", at, m.Idle.GitRequests, func(v float64) bool { return math.Abs(v-1) < cut })
	all.judge("one-object tick, worker CPU", "under 50 ms", m.One.CPU*1e3, " ms", func(v float64) bool { return v < 50 })
	all.judge("peak RSS of the worker", "under 200 MB", m.PeakRSS/megabyte, " MB", func(v float64) bool { return v < 200 })
	all.judge("first pull, share of the rate of raw POSTs", "at least 60 %", median(ofRaw(pull.Turns, firstPull)), " %", func(v float64) bool { return v >= 60 })
	all.judge("first pull, times as fast as kubectl apply --server-side", "at least 10", over(pull.First.written().perSecond(), pull.Kubectl.perSecond()), "", func(v float64) bool { return v >= 10 })
	all.judge("first pull from a distance, times as fast as kubectl apply --server-side", "at least 10", over(pull.Far.written().perSecond(), pull.FarKubectl.perSecond()), "", func(v float64) bool { return v >= 10 })
	all.judge("restored drift, share of the rate of raw POSTs", "at least 50 %", median(ofRaw(pull.Turns, driftRestored)), " %", func(v float64) bool { return v >= 50 })
	all.judge("idle pull tick, worker CPU", "under 10 ms", pull.Idle.CPU*1e3, " ms", func(v float64) bool { return v < 10 })
	all.count("idle pull tick, API requests", "0", at, pull.Idle.allAPIRequests(), func(v float64) bool { return v == 0 })
	all.count("idle pull tick, Git requests", "1", at, pull.Idle.GitRequests, func(v float64) bool { return math.Abs(v-1) < cut })
	all.judge("idle push-pull tick, worker CPU", "under 10 ms", both.Idle.CPU*1e3, " ms", func(v float64) bool { return v < 10 })
	all.judge("one-object push-pull tick from the cluster, worker CPU, times that at 1,000", "at most 2", over(both.FromCluster.CPU, few.FromCluster.CPU), "", func(v float64) bool { return v <= 2 })
	all.judge("one-object push-pull tick from Git, worker CPU, times that at 1,000", "at most 2", over(both.FromGit.CPU, few.FromGit.CPU), "", func(v float64) bool { return v <= 2 })
	all.at = large
	all.judge("idle tick, worker CPU, times that at 10,000", "at most 2", over(l.Idle.CPU, m.Idle.CPU), "", func(v float64) bool { return v <= 2 })
	all.judge("one-object tick, worker CPU, times that at 10,000", "at most 2", over(l.One.CPU, m.One.CPU), "", func(v float64) bool { return v <= 2 })
	all.judge("peak RSS of the worker", "under 700 MB", l.PeakRSS/megabyte, " MB", func(v float64) bool { return v < 700 })
	return all.verdicts
}

// over is 0 where one of the two wasn't measured.
func over(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// judge collects the verdicts, those at one size after those at another.
type judge struct {
	at       int
	verdicts []Requirement
}

// judge takes a figure of 0 for one that wasn't measured: nothing is free.
func (j *judge) judge(what, limit string, figure float64, unit string, met func(float64) bool) {
	if figure == 0 {
		j.add(what, limit, nothing, NotMeasured)
		return
	}
	j.add(what, limit, digits(figure)+unit, verdict(met(figure)))
}

// count is for figures that may be 0.
func (j *judge) count(what, limit string, measured map[int]Costs, figure float64, met func(float64) bool) {
	if _, ok := measured[j.at]; !ok {
		j.add(what, limit, nothing, NotMeasured)
		return
	}
	j.add(what, limit, number(figure), verdict(met(figure)))
}

func (j *judge) add(what, limit, figure, verdict string) {
	j.verdicts = append(j.verdicts, Requirement{Objects: j.at, What: what, Limit: limit, Figure: figure, Verdict: verdict})
}

func verdict(met bool) string {
	if met {
		return Met
	}
	return Missed
}
