package bench

import (
	"testing"
	"time"
)

func TestTicksAreOnTimeWithinASecond(t *testing.T) {
	from := time.Unix(1000, 0)
	at := func(seconds ...float64) []time.Time {
		var times []time.Time
		for _, s := range seconds {
			times = append(times, from.Add(time.Duration(s*float64(time.Second))))
		}
		return times
	}
	for name, c := range map[string]struct {
		starts []time.Time
		want   punctuality
	}{
		"on time":               {at(3, 13, 23.9), punctuality{ticks: 3, onTime: 1, lateP99: 0.9}},
		"one late":              {at(3, 13, 24.5), punctuality{ticks: 3, onTime: 2.0 / 3, lateP99: 1.5}},
		"in any order":          {at(23, 3, 13), punctuality{ticks: 3, onTime: 1}},
		"those of others":       {at(-1, 3, 13, 23, 31), punctuality{ticks: 3, onTime: 1}},
		"one that doesn't come": {at(3, 13), punctuality{ticks: 2, onTime: 2.0 / 3, lateP99: 7}},
		"none at all":           {nil, punctuality{onTime: 0, lateP99: 20}},
	} {
		got := judgeTicks(map[string][]time.Time{"a": c.starts}, []string{"a"}, 10*time.Second, from, from.Add(30*time.Second))
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
