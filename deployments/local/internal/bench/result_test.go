package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{7}, 7},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
		}
	}
}

func TestMedianOfCostsTakesEachFigureForItself(t *testing.T) {
	got := medianCost([]Cost{
		{CPU: 1, GitBytes: 30, APIRequests: map[string]float64{"list": 4}},
		{CPU: 3, GitBytes: 10, APIRequests: map[string]float64{"list": 6, "watch": 2}},
		{CPU: 2, GitBytes: 20, APIRequests: map[string]float64{"list": 5, "watch": 1}},
	})
	if got.CPU != 2 || got.GitBytes != 20 || got.APIRequests["list"] != 5 || got.APIRequests["watch"] != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestMedianOfPullsTakesEachFigureForItself(t *testing.T) {
	got := medianPull([]Pull{
		{Turns: []Turn{{First: 1}}, First: Cost{Wall: 1}, Drift: Cost{Apply: 30}, PeakRSS: 5, Raw: Rate{Objects: 10, Seconds: 7}, Kubectl: Rate{CPU: 3}, Far: Cost{Wall: 5}, FarKubectl: Rate{Seconds: 4}},
		{First: Cost{Wall: 3}, Drift: Cost{Apply: 10}, PeakRSS: 4, Raw: Rate{Objects: 10, Seconds: 9}, Kubectl: Rate{CPU: 1}, Far: Cost{Wall: 7}, FarKubectl: Rate{Seconds: 3}},
		{Turns: []Turn{{First: 2}}, First: Cost{Wall: 2}, Drift: Cost{Apply: 20}, PeakRSS: 6, Raw: Rate{Objects: 10, Seconds: 8}, Kubectl: Rate{CPU: 2}, Far: Cost{Wall: 6}, FarKubectl: Rate{Seconds: 5}},
	})
	if got.First.Wall != 2 || got.Drift.Apply != 20 || got.PeakRSS != 5 || got.Raw != (Rate{Objects: 10, Seconds: 8}) || got.Kubectl.CPU != 2 ||
		got.Far.Wall != 6 || got.FarKubectl.Seconds != 4 || !slices.Equal(got.Turns, []Turn{{First: 1}, {First: 2}}) {
		t.Errorf("got %+v", got)
	}
}

func TestRatesAreComparedWithThoseOfRawRequestsAroundThem(t *testing.T) {
	turns := []Turn{
		{Before: 1000, First: 600, After: 1000},
		{Before: 600, First: 500, After: 400},
		{Before: 1000, After: 1000},
		{First: 500},
		{Before: 1000, First: 300, After: 500},
	}
	if got := ofRaw(turns, firstPull); !slices.Equal(got, []float64{40, 60, 100}) {
		t.Errorf("got %v", got)
	}
	if got := ofRaw(turns, driftRestored); len(got) > 0 {
		t.Errorf("nothing was restored, got %v", got)
	}
}

func TestCostPerTickLeavesTheMeasurementAsItIs(t *testing.T) {
	whole := Cost{CPU: 6, Wall: 3, GitRequests: 12, APIRequests: map[string]float64{"watch": 3}}
	tick := whole.per(12)
	if tick.CPU != 0.5 || tick.Wall != 0.25 || tick.GitRequests != 1 || tick.APIRequests["watch"] != 0.25 {
		t.Errorf("got %+v", tick)
	}
	if whole.CPU != 6 || whole.APIRequests["watch"] != 3 {
		t.Errorf("the whole became %+v", whole)
	}
}

func TestReportIsWrittenInItsShape(t *testing.T) {
	report := sample()
	dir := filepath.Join(t.TempDir(), "docs", "bench")
	if err := report.Write(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "cost.svg"} {
		if stat, err := os.Stat(filepath.Join(dir, name)); err != nil || stat.Size() == 0 {
			t.Errorf("%s: %v, %v", name, stat, err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Machine  struct{ Cores int }
		Settings struct{ IntervalSeconds, Repeat float64 }
		Sizes    []struct {
			Objects int
			Product struct {
				FirstPush, IdleTick, OneObjectTick, ManyObjectsTick struct {
					WallSeconds, CPUSeconds, APIBytes, GitRequests, GitBytes, GitObjects float64
					APIRequests                                                          map[string]float64
				}
				PeakRSSBytes float64
			}
			Baseline map[string]any
			Pull     struct {
				FirstPull, IdleTick, DriftTick, FirstPullFromADistance struct{ WallSeconds, ApplySeconds, CPUSeconds, ChangedFiles float64 }
				RawPosts, KubectlApply, KubectlApplyFromADistance      struct{ Objects, WallSeconds float64 }
				Turns                                                  []struct{ RawPostsBefore, FirstPull, Drift, RawPostsAfter float64 }
			}
		}
		Requirements []struct{ What, Verdict string }
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Sizes) != 2 || got.Sizes[0].Objects != 1000 || got.Sizes[1].Objects != 10000 {
		t.Fatalf("the sizes are not in order: %s", text)
	}
	product := got.Sizes[1].Product
	if product.FirstPush.WallSeconds != 2 || product.FirstPush.CPUSeconds != 3 || product.IdleTick.GitRequests != 1 ||
		product.FirstPush.APIRequests["watch"] != 60 || product.PeakRSSBytes != 150e6 {
		t.Errorf("got %+v", product)
	}
	if got.Machine.Cores != 2 || got.Settings.IntervalSeconds != 10 || len(got.Requirements) != 20 {
		t.Errorf("got %+v, %+v, %d requirements", got.Machine, got.Settings, len(got.Requirements))
	}
	if pull := got.Sizes[1].Pull; pull.FirstPull.WallSeconds != 10 || pull.FirstPull.ApplySeconds != 9 || pull.DriftTick.ChangedFiles != 1000 ||
		pull.RawPosts.Objects != 10101 || pull.KubectlApply.WallSeconds != 10 ||
		len(pull.Turns) != 3 || pull.Turns[1].RawPostsBefore != 1000 || pull.Turns[1].FirstPull != 600 || pull.Turns[1].Drift != 450 || pull.Turns[1].RawPostsAfter != 500 ||
		pull.FirstPullFromADistance.WallSeconds != 12 || pull.KubectlApplyFromADistance.Objects != 150 {
		t.Errorf("got %+v", pull)
	}
	if _, ok := got.Sizes[1].Baseline["manyObjectsTick"]; !ok {
		t.Errorf("the baseline's figures are missing: %v", got.Sizes[1].Baseline)
	}
}

// sample is a report with plausible figures, the larger size first.
func sample() Report {
	size := func(objects int, scale float64) Size {
		requests := func(verb string, n float64) map[string]float64 { return map[string]float64{verb: n} }
		return Size{
			Objects: objects, Exported: objects * 19 / 20,
			Loop: Cost{Wall: 18 * scale, CPU: 14 * scale},
			Product: Costs{
				First:   Cost{Wall: 2 * scale, CPU: 3 * scale, APIRequests: requests("watch", 60), GitObjects: 9000},
				Idle:    Cost{Wall: 0.02, CPU: 0.004, APIRequests: requests("watch", 0.25), GitRequests: 1},
				One:     Cost{Wall: 0.05, CPU: 0.02, Latency: 5, Edited: 1, Changed: 1, GitRequests: 3},
				Many:    Cost{Wall: 1, CPU: 0.6, Latency: 6, Edited: 1000, Changed: 1000},
				PeakRSS: 150e6,
			},
			Baseline: Costs{
				First:   Cost{Wall: 12 * scale, CPU: 9 * scale, APIRequests: requests("list", 52)},
				Idle:    Cost{Wall: 7 * scale, CPU: 5 * scale},
				One:     Cost{Wall: 8 * scale, CPU: 6 * scale},
				Many:    Cost{Wall: 9 * scale, CPU: 7 * scale, Edited: 1000},
				PeakRSS: 400e6,
			},
			Pull: Pull{
				First:   Cost{Wall: 10 * scale, Apply: 9 * scale, CPU: 8 * scale, Changed: 10101 * scale, APIRequests: requests("create", 10101)},
				Idle:    Cost{Wall: 0.02, CPU: 0.004, GitRequests: 1},
				Drift:   Cost{Wall: 1.5, Apply: 1.2, CPU: 1, Edited: 1000, Changed: 1000, APIRequests: requests("update", 750)},
				PeakRSS: 180e6,
				Raw:     Rate{Objects: 10101 * scale, Seconds: 8 * scale},
				Kubectl: Rate{Objects: 400, Seconds: 10, CPU: 5},
				Turns: []Turn{
					{Before: 1000, First: 640, Drift: 560, After: 1000},
					{Before: 1000, First: 600, Drift: 450, After: 500},
					{Before: 600, First: 500, Drift: 300, After: 400},
				},

				Far:        Cost{Wall: 12 * scale, Apply: 10 * scale, CPU: 8 * scale, Changed: 10101 * scale},
				FarKubectl: Rate{Objects: 150, Seconds: 10, CPU: 2},
			},
		}
	}
	report := Report{
		Date: "2026-01-02T03:04:05Z", Commit: "abcdef0",
		Machine:  Machine{CPU: "Processor <9> & co", Cores: 2, MemoryBytes: 16e9},
		Settings: Settings{Repeat: 3, IntervalSeconds: 10, IdleTicks: 12, Edits: 5},
		Sizes:    []Size{size(10000, 1), size(1000, 0.2)},
	}
	report.Judge()
	return report
}
