package main

import (
	"os"
	"runtime"
	"runtime/debug"
	gometrics "runtime/metrics"
)

// The garbage collector's work follows what is held, and how often it runs follows how much more may be
// allocated. A worker of a small cluster holds little: letting its heap grow to a fixed size saves most of
// the runs, and with them a third of the CPU time of a first push of 10,000 objects. A worker of a large one
// holds hundreds of megabytes, and memory is what it is short of.
const (
	// heapFloor is the size in bytes to which the heap may grow whatever is held.
	heapFloor = 76 << 20
	// leastGrowth and mostGrowth bound by how much of what is held the heap may grow, in percent.
	leastGrowth, mostGrowth = 60, 400
)

// growth is by how many percent of what is held, in bytes, the heap may grow until the next collection.
func growth(held uint64) int {
	if held == 0 {
		return mostGrowth
	}
	room := (int64(heapFloor) - int64(held)) * 100 / int64(held)
	return int(min(max(room, leastGrowth), mostGrowth))
}

// paceCollector sets the growth anew after each collection, unless the user has set it by GOGC.
func paceCollector() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(growth(0))
	afterCollection()
}

// afterCollection leaves a piece of garbage behind, too large to share its memory with others: that it is
// collected tells of the next collection.
func afterCollection() {
	runtime.AddCleanup(new([64]byte), func(held []gometrics.Sample) {
		gometrics.Read(held)
		debug.SetGCPercent(growth(held[0].Value.Uint64()))
		afterCollection()
	}, []gometrics.Sample{{Name: "/gc/heap/live:bytes"}})
}
