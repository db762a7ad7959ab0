package bench

import (
	"maps"
	"slices"
)

// Report is a whole run, as in results.json. Each figure is the median of its
// repetitions, and 0 where nothing was measured.
type Report struct {
	Date         string        `json:"date"` // RFC 3339
	Commit       string        `json:"commit"`
	Machine      Machine       `json:"machine"`
	Settings     Settings      `json:"settings"`
	Sizes        []Size        `json:"sizes"` // ascending
	Requirements []Requirement `json:"requirements"`
	Fleet        *Fleet        `json:"fleet,omitempty"` // nil where it wasn't measured
}

// Size is what was measured on one cluster.
type Size struct {
	// Objects is what the cluster was filled with, Exported how many of them
	// are in Git, Secrets how many of those are Secrets.
	Objects         int     `json:"objects"`
	Exported        int     `json:"exported"`
	Secrets         int     `json:"secrets"`
	PopulateSeconds float64 `json:"populateSeconds"`
	Product         Costs   `json:"product"`
	Baseline        Costs   `json:"baseline"`
	// Loop is the baseline's first push with a kubectl for each resource.
	Loop Cost `json:"baselineFirstPushOneByOne"`
	Pull Pull `json:"pull"`
	// Exchange is the same enrolment with strategy push-pull.
	Exchange Exchange `json:"pushPull"`
}

// Exchange is what it takes to keep both sides in step.
type Exchange struct {
	Idle Cost `json:"idleTick"`
	// FromCluster and FromGit are ticks in which one object was changed on that
	// side.
	FromCluster Cost `json:"oneObjectFromCluster"`
	FromGit     Cost `json:"oneObjectFromGit"`
	// PeakRSS is that of the worker since its start, in bytes.
	PeakRSS float64 `json:"peakRSSBytes"`
}

// Pull is what it takes to make an empty cluster of what was pushed, and to
// keep it so.
type Pull struct {
	First Cost `json:"firstPull"`
	Idle  Cost `json:"idleTick"`
	// Drift is the tick that restores objects that were edited, added to or
	// deleted.
	Drift Cost `json:"driftTick"`
	// PeakRSS is that of the worker through all of it, in bytes.
	PeakRSS float64 `json:"peakRSSBytes"`
	// Raw and Kubectl are the first pull's rivals, each on an empty cluster.
	Raw     Rate `json:"rawPosts"`
	Kubectl Rate `json:"kubectlApply"`
	// Turns are all pulls beside the raw requests that were made around them.
	Turns []Turn `json:"turns"`
	// Far and FarKubectl are the first pull and kubectl from a distance.
	Far        Cost `json:"firstPullFromADistance"`
	FarKubectl Rate `json:"kubectlApplyFromADistance"`
}

// Turn is a pull between raw requests, in objects per second. The machine is
// faster at one time than at another, so that only what was measured next to
// each other is compared.
type Turn struct {
	Before float64 `json:"rawPostsBefore"`
	First  float64 `json:"firstPull"`
	Drift  float64 `json:"drift"`
	After  float64 `json:"rawPostsAfter"`
}

func firstPull(t Turn) float64     { return t.First }
func driftRestored(t Turn) float64 { return t.Drift }

// ofRaw is a rate of each turn in percent of that of the raw requests around it,
// ascending; of turns that measured both.
func ofRaw(turns []Turn, rate func(Turn) float64) []float64 {
	var shares []float64
	for _, t := range turns {
		if share := over(rate(t), (t.Before+t.After)/2); share > 0 {
			shares = append(shares, share*100)
		}
	}
	slices.Sort(shares)
	return shares
}

// Rate is how fast objects were created.
type Rate struct {
	Objects float64 `json:"objects"`
	Seconds float64 `json:"wallSeconds"`
	CPU     float64 `json:"cpuSeconds,omitempty"` // of kubectl
}

func (r Rate) perSecond() float64 { return over(r.Objects, r.Seconds) }

// Costs are those of one way to keep a cluster in Git.
type Costs struct {
	First Cost `json:"firstPush"`
	Idle  Cost `json:"idleTick"`
	One   Cost `json:"oneObjectTick"`
	Many  Cost `json:"manyObjectsTick"`
	// PeakRSS is the largest resident size, in bytes: of the worker through
	// all of it, or of the largest single process of the baseline.
	PeakRSS float64 `json:"peakRSSBytes"`
}

// Cost is that of one tick, or of one run of the baseline.
type Cost struct {
	// Wall is how long the work took. For the product's ticks it is the sum of
	// what its activities took, some of which run at the same time.
	Wall float64 `json:"wallSeconds"`
	// Latency is the time from the last edit until Git has it: the wait for
	// the next tick and the work.
	Latency float64 `json:"latencySeconds,omitempty"`
	// Apply is how much of it the activity Apply took, in pull.
	Apply float64 `json:"applySeconds,omitempty"`
	CPU   float64 `json:"cpuSeconds"`
	// Edited is how many objects were edited before, Changed how many files
	// differ afterwards, or in pull how many objects were written.
	Edited  float64 `json:"edited,omitempty"`
	Changed float64 `json:"changedFiles,omitempty"`
	// APIRequests are by verb, such as list; APIBytes and GitBytes are those of
	// both directions on the wire, TLS and headers included.
	APIRequests map[string]float64 `json:"apiRequests"`
	APIBytes    float64            `json:"apiBytes"`
	GitRequests float64            `json:"gitRequests"`
	GitBytes    float64            `json:"gitBytes"`
	GitObjects  float64            `json:"gitObjects"`
}

// reads are the API requests that cost with the size of the cluster. A watch
// is not one of them: it ends and begins anew every few minutes.
func (c Cost) reads() float64 { return c.APIRequests["list"] + c.APIRequests["get"] }

func (c Cost) allAPIRequests() float64 {
	sum := 0.0
	for _, n := range c.APIRequests {
		sum += n
	}
	return sum
}

// written is the rate at which pull wrote objects.
func (c Cost) written() Rate { return Rate{Objects: c.Changed, Seconds: c.Wall, CPU: c.CPU} }

// per divides a cost that was measured over several ticks.
func (c Cost) per(ticks float64) Cost {
	requests := maps.Clone(c.APIRequests)
	for verb := range requests {
		requests[verb] /= ticks
	}
	c.APIRequests = requests
	for _, figure := range c.figures() {
		*figure /= ticks
	}
	return c
}

func (c *Cost) figures() []*float64 {
	return []*float64{&c.Wall, &c.Latency, &c.Apply, &c.CPU, &c.Edited, &c.Changed, &c.APIBytes, &c.GitRequests, &c.GitBytes, &c.GitObjects}
}

// medianCost takes the median of each figure for itself.
func medianCost(costs []Cost) Cost {
	result := Cost{APIRequests: map[string]float64{}}
	for i, figure := range result.figures() {
		values := make([]float64, len(costs))
		for j := range costs {
			values[j] = *costs[j].figures()[i]
		}
		*figure = median(values)
	}
	for _, cost := range costs {
		for verb := range cost.APIRequests {
			result.APIRequests[verb] = 0
		}
	}
	for verb := range result.APIRequests {
		values := make([]float64, len(costs))
		for j, cost := range costs {
			values[j] = cost.APIRequests[verb]
		}
		result.APIRequests[verb] = median(values)
	}
	return result
}

func medianCosts(all []Costs) Costs {
	var first, idle, one, many []Cost
	var peaks []float64
	for _, costs := range all {
		first, idle = append(first, costs.First), append(idle, costs.Idle)
		one, many = append(one, costs.One), append(many, costs.Many)
		peaks = append(peaks, costs.PeakRSS)
	}
	return Costs{
		First: medianCost(first), Idle: medianCost(idle), One: medianCost(one), Many: medianCost(many),
		PeakRSS: median(peaks),
	}
}

func medianPull(all []Pull) Pull {
	var first, idle, drift, far []Cost
	var raw, kubectl, farKubectl []Rate
	var peaks []float64
	var turns []Turn
	for _, pull := range all {
		turns = append(turns, pull.Turns...)
		first, idle, drift = append(first, pull.First), append(idle, pull.Idle), append(drift, pull.Drift)
		raw, kubectl = append(raw, pull.Raw), append(kubectl, pull.Kubectl)
		far, farKubectl = append(far, pull.Far), append(farKubectl, pull.FarKubectl)
		peaks = append(peaks, pull.PeakRSS)
	}
	return Pull{
		First: medianCost(first), Idle: medianCost(idle), Drift: medianCost(drift),
		PeakRSS: median(peaks), Raw: medianRate(raw), Kubectl: medianRate(kubectl),
		Far: medianCost(far), FarKubectl: medianRate(farKubectl), Turns: turns,
	}
}

func medianExchange(all []Exchange) Exchange {
	var idle, fromCluster, fromGit []Cost
	var peaks []float64
	for _, e := range all {
		idle, fromCluster, fromGit = append(idle, e.Idle), append(fromCluster, e.FromCluster), append(fromGit, e.FromGit)
		peaks = append(peaks, e.PeakRSS)
	}
	return Exchange{
		Idle: medianCost(idle), FromCluster: medianCost(fromCluster), FromGit: medianCost(fromGit), PeakRSS: median(peaks),
	}
}

func medianRate(rates []Rate) Rate {
	var objects, seconds, cpu []float64
	for _, rate := range rates {
		objects, seconds, cpu = append(objects, rate.Objects), append(seconds, rate.Seconds), append(cpu, rate.CPU)
	}
	return Rate{Objects: median(objects), Seconds: median(seconds), CPU: median(cpu)}
}

// median is 0 of nothing.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
