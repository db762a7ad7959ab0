package main

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	gometrics "runtime/metrics"
	"time"
)

// The garbage collector's work follows what is held, and how often it runs follows how much more may be
// allocated. A worker of a small cluster holds little: letting its heap grow to a fixed size saves most of
// the runs, and with them a third of the CPU time of a first push of 10,000 objects. A worker of a large one
// holds hundreds of megabytes, and memory is what it is short of.
const (
	// heapFloor is the size in bytes to which the heap may grow whatever is held.
	heapFloor = 76 << 20
	// leastGrowth and mostGrowth bound by how much of what is held the heap may grow, in percent.
	leastGrowth, mostGrowth = 50, 400
	// quiet is the time without a collection that tells of an idle worker: a little less than Go's two minutes.
	quiet = 110 * time.Second
	// calm is how long after that the memory that was collected gets to go back to the system.
	calm = 20 * time.Second
	// leastRoom is what an idle worker may allocate in any case until the next collection.
	leastRoom = 8 << 20
)

// growth is by how many percent of what is held, in bytes, the heap may grow until the next collection.
func growth(held uint64) int {
	if held == 0 {
		return mostGrowth
	}
	room := (int64(heapFloor) - int64(held)) * 100 / int64(held)
	return int(min(max(room, leastGrowth), mostGrowth))
}

// collector paces the garbage collector anew after each collection.
//
// Every two minutes Go collects whether there is garbage or not, which is half of what idle ticks on 10,000
// objects cost. It doesn't while collections follow a limit of the memory alone. So an idle worker has such a
// limit, which lets the heap grow as far as it might have without; at the first collection it is lifted. The first
// of Go's own collections still takes place, for it frees what the work before has left.
type collector struct {
	limit int64 // the user's, of all memory
	idle  *time.Timer
	last  time.Time // of the collections
}

// paceCollector does nothing where the user has set the pace by GOGC.
func paceCollector() {
	if os.Getenv("GOGC") != "" {
		return
	}
	c := &collector{limit: debug.SetMemoryLimit(-1), last: time.Now()}
	c.idle = time.AfterFunc(math.MaxInt64, c.becalm)
	c.pace()
}

// pace leaves a piece of garbage behind, too large to share its memory with others: that it is collected tells
// of the next collection.
func (c *collector) pace() {
	debug.SetGCPercent(growth(readMemory().held))
	debug.SetMemoryLimit(c.limit)
	if time.Since(c.last) > quiet {
		c.idle.Reset(calm)
	} else {
		c.idle.Stop()
	}
	c.last = time.Now()
	runtime.AddCleanup(new([64]byte), (*collector).pace, c)
}

func (c *collector) becalm() {
	m := readMemory()
	goal := m.held + m.held*uint64(growth(m.held))/100
	// What is free is used first.
	room := max(int64(goal)-int64(m.used+m.free), leastRoom)
	debug.SetMemoryLimit(min(c.limit, int64(m.mapped)+room))
	debug.SetGCPercent(-1)
}

// memory is in bytes.
type memory struct {
	held   uint64 // by what the last collection left
	used   uint64 // by that and by what came since
	free   uint64 // of the heap
	mapped uint64 // all that the process has of the system for Go
}

func readMemory() memory {
	samples := []gometrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
	}
	gometrics.Read(samples)
	value := func(i int) uint64 { return samples[i].Value.Uint64() }
	return memory{held: value(0), used: value(1), free: value(2), mapped: value(3) - value(4)}
}
