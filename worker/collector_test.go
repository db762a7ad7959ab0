package main

import (
	"math"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheHeapGrowsToItsFloorAndThenInProportion(t *testing.T) {
	for held, percent := range map[uint64]int{
		0: 400, 1 << 20: 400, 19 << 20: 300, 38 << 20: 100, 48 << 20: 58, 90 << 20: 50, 1 << 30: 50,
	} {
		require.Equal(t, percent, growth(held), "%d MiB held", held>>20)
	}
}

// The process of the test is the idle worker.
func TestAnIdleWorkerCollectsOnlyWhenItsHeapHasGrown(t *testing.T) {
	limit := debug.SetMemoryLimit(-1)
	c := &collector{limit: limit, idle: time.AfterFunc(math.MaxInt64, func() {})}
	t.Cleanup(func() { c.idle.Stop(); debug.SetMemoryLimit(limit); debug.SetGCPercent(100) })
	c.pace()
	c.becalm()
	require.Equal(t, -1, debug.SetGCPercent(-1), "Go collects every two minutes")
	require.Less(t, debug.SetMemoryLimit(-1), limit)

	grown := 0
	for debug.SetMemoryLimit(-1) < limit {
		garbage = make([]byte, 1<<16)
		grown += len(garbage)
		require.Less(t, grown, 64*heapFloor, "nothing is collected, or nobody notices")
	}
	require.GreaterOrEqual(t, grown, leastRoom/2)
	require.Positive(t, debug.SetGCPercent(100), "only the limit asks for collections")
}

func TestAWorkerIsIdleOnceGoCollectsByItself(t *testing.T) {
	for since, idle := range map[time.Duration]bool{time.Second: false, 2 * time.Minute: true} {
		c := &collector{limit: math.MaxInt64, idle: time.AfterFunc(time.Hour, func() {}), last: time.Now().Add(-since)}
		c.pace()
		require.Equal(t, idle, c.idle.Stop(), "%s after the last collection", since)
	}
}

var garbage []byte
