package bench

import "testing"

func TestRequirementsAreJudged(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Size)
		what   string
		want   string
	}{
		"fast enough":            {func(*Size) {}, "first push, times as fast as kubectl and git", Met},
		"too slow":               {func(s *Size) { s.Product.First.Wall = 3 }, "first push, times as fast as kubectl and git", Missed},
		"first CPU at its limit": {func(s *Size) { s.Product.First.CPU = 4 }, "first push, worker CPU", Missed},
		"idle CPU":               {func(*Size) {}, "idle tick, worker CPU", Met},
		"idle CPU at its limit":  {func(s *Size) { s.Product.Idle.CPU = 0.010 }, "idle tick, worker CPU", Missed},
		"no CPU time here":       {func(s *Size) { s.Product.Idle.CPU = 0 }, "idle tick, worker CPU", NotMeasured},
		"no list":                {func(*Size) {}, "idle tick, API list and get requests", Met},
		"a list in some ticks": {func(s *Size) { s.Product.Idle.APIRequests = map[string]float64{"list": 0.05} },
			"idle tick, API list and get requests", Missed},
		"a get a tick": {func(s *Size) { s.Product.Idle.APIRequests = map[string]float64{"get": 1} },
			"idle tick, API list and get requests", Missed},
		"a tick cut in two":   {func(s *Size) { s.Product.Idle.GitRequests = 13.0 / 12 }, "idle tick, Git requests", Met},
		"two Git requests":    {func(s *Size) { s.Product.Idle.GitRequests = 2 }, "idle tick, Git requests", Missed},
		"one object":          {func(s *Size) { s.Product.One.CPU = 0.051 }, "one-object tick, worker CPU", Missed},
		"peak RSS":            {func(s *Size) { s.Product.PeakRSS = 201e6 }, "peak RSS of the worker", Missed},
		"no peak RSS here":    {func(s *Size) { s.Product.PeakRSS = 0 }, "peak RSS of the worker", NotMeasured},
		"pull is fast enough": {func(*Size) {}, "first pull, share of the rate of raw POSTs", Met},
		"pull is too slow":    {func(s *Size) { s.Pull.Turns = s.Pull.Turns[:1]; s.Pull.Turns[0].First = 590 }, "first pull, share of the rate of raw POSTs", Missed},
		"kubectl is slower":   {func(*Size) {}, "first pull, times as fast as kubectl apply --server-side", Met},
		"kubectl is as fast":  {func(s *Size) { s.Pull.Kubectl.Seconds = 1 }, "first pull, times as fast as kubectl apply --server-side", Missed},
		"kubectl, far away":   {func(*Size) {}, "first pull from a distance, times as fast as kubectl apply --server-side", Met},
		"a pull, too slow":    {func(s *Size) { s.Pull.Far.Wall = 120 }, "first pull from a distance, times as fast as kubectl apply --server-side", Missed},
		"drift":               {func(*Size) {}, "restored drift, share of the rate of raw POSTs", Met},
		"drift, too slow":     {func(s *Size) { s.Pull.Turns = s.Pull.Turns[:1]; s.Pull.Turns[0].Drift = 490 }, "restored drift, share of the rate of raw POSTs", Missed},
		"no raw requests":     {func(s *Size) { s.Pull.Turns = nil }, "restored drift, share of the rate of raw POSTs", NotMeasured},
		"idle pull":           {func(*Size) {}, "idle pull tick, API requests", Met},
		"idle pull, a watch":  {func(s *Size) { s.Pull.Idle.APIRequests = map[string]float64{"watch": 0.1} }, "idle pull tick, API requests", Missed},
		"another size's runs": {func(s *Size) { s.Objects = 5000 }, "idle tick, API list and get requests", NotMeasured},
	} {
		size := sample().Sizes[1]
		c.change(&size)
		found := false
		for _, r := range requirements([]Size{size}) {
			if r.Objects == 10000 && r.What == c.what {
				found = true
				if r.Verdict != c.want {
					t.Errorf("%s: %s, want %s (figure %s)", name, r.Verdict, c.want, r.Figure)
				}
			}
			if r.Objects == 100000 && r.Verdict != NotMeasured {
				t.Errorf("%s: %s at 100,000 is %s", name, r.What, r.Verdict)
			}
		}
		if !found {
			t.Errorf("%s: nothing is said about %q", name, c.what)
		}
	}
}

func TestLargeSizeIsComparedWithTheMiddleOne(t *testing.T) {
	middle := sample().Sizes[1]
	large := middle
	large.Objects = 100000
	large.Product.Idle.CPU *= 1.9
	large.Product.One.CPU *= 2.1
	large.Product.PeakRSS = 650e6
	want := map[string]string{
		"idle tick, worker CPU, times that at 10,000":       Met,
		"one-object tick, worker CPU, times that at 10,000": Missed,
		"peak RSS of the worker":                            Met,
	}
	for _, r := range requirements([]Size{middle, large}) {
		if r.Objects == 100000 && r.Verdict != want[r.What] {
			t.Errorf("%s: %s, want %s", r.What, r.Verdict, want[r.What])
		}
	}
}
