package bench

import (
	"slices"
	"time"
)

// punctuality says how well ticks kept their time.
type punctuality struct {
	ticks   float64
	onTime  float64 // share
	lateP99 float64 // seconds
}

// tolerance is how late a tick may begin and be on time.
const tolerance = time.Second

// judgeTicks looks at the ticks that began within a window. A tick is due an
// interval after the one before has begun; one that didn't come before the
// window closed counts, late by what has passed since.
func judgeTicks(starts map[string][]time.Time, clusters []string, interval time.Duration, from, until time.Time) punctuality {
	var p punctuality
	var late []time.Duration
	for _, cluster := range clusters {
		last := from // the first tick is due within an interval
		for _, start := range slices.SortedFunc(slices.Values(starts[cluster]), time.Time.Compare) {
			if start.Before(from) || start.After(until) {
				continue
			}
			p.ticks++
			late = append(late, start.Sub(last)-interval)
			last = start
		}
		if open := until.Sub(last) - interval; open > tolerance {
			late = append(late, open)
		}
	}
	if len(late) == 0 {
		return p
	}
	slices.Sort(late)
	onTime, _ := slices.BinarySearch(late, tolerance+1)
	p.onTime = float64(onTime) / float64(len(late))
	p.lateP99 = max(0, late[min(len(late)-1, len(late)*99/100)].Seconds())
	return p
}
