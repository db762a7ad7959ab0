package bench

import "fmt"

// fleetTable has a row for each figure of a fleet.
func fleetTable(f Fleet) *table {
	t := &table{header: []string{"", "figure"}}
	t.row("clusters on one worker", count(f.Clusters))
	t.row("from the worker's start until all are enrolled and in sync", seconds(f.StartSeconds))
	t.row("ticks in the window of "+seconds(f.WindowSeconds), count(int(f.Ticks)))
	t.row("begun within 1 s of being due", fmt.Sprintf("%.1f %%", 100*f.OnTime))
	t.row("late by at most, 99 of 100", seconds(f.LateP99))
	t.row("CPU of the worker, a cluster and tick", seconds(f.WorkerCPU))
	t.row("CPU of Temporal, a cluster and tick", seconds(f.ServerCPU))
	t.row("peak RSS of the worker", byteCount(f.PeakRSS))
	t.row("goroutines of the worker", count(int(f.Goroutines)))
	t.row("open files and connections of the worker", count(int(f.OpenFiles)))
	t.row("load of the machine before", fmt.Sprintf("%.1f", f.LoadBefore))
	return t
}

// fleetMethod says what the fleet is.
const fleetMethod = `One worker process serves them all, with Temporal (SQLite) and everything else on the same machine. They are one control plane
under as many names, a stand-in for as many API servers: each enrolment watches every resource of it, over connections that
they share, takes the objects with a label of its own, and pushes to a repository of its own. A tick is due an interval after the one before has begun; its
beginning is that of its Export in the worker's log. The CPU time of Temporal is that of the process it runs in, which
also takes the requests to Git; the programs of Git aren't in it.`
