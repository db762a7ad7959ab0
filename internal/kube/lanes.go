package kube

import (
	"sync"
	"time"
)

// Bounds of how many writes are under way at a time. The least is what keeps an API server busy that is
// near.
const leastLanes, mostLanes = 16, 64

// Of the time that a write takes, what is more than the shortest one took was spent waiting for others. Below
// the one share of waiting the API server has room for more, above the other it has less to do when fewer come.
const roomForMore, crowded = 0.15, 0.6

// lanes bounds the writes that are under way. To an API server that is far away most of them are on the
// way at any time, and more are needed to keep it busy: as many as it takes without making them wait.
type lanes struct {
	mu   sync.Mutex
	free sync.Cond
	// open is how many writes may be under way, busy how many are.
	open, busy int
	// shortest is of all writes of a run that were answered, total of those since open was last looked at.
	shortest, total time.Duration
	answered        int
}

func newLanes() *lanes {
	l := &lanes{open: leastLanes}
	l.free.L = &l.mu
	return l
}

// begin is that of a run: what its writes take is not what those of an earlier one took.
func (l *lanes) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shortest, l.total, l.answered = 0, 0, 0
}

// enter waits until another write may begin.
func (l *lanes) enter() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.busy >= l.open {
		l.free.Wait()
	}
	l.busy++
}

// leave ends a write, which tells how the API server does if it has answered.
func (l *lanes) leave(took time.Duration, answered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
	defer l.free.Broadcast()
	if !answered {
		return
	}
	if l.shortest == 0 || took < l.shortest {
		l.shortest = took
	}
	l.total += took
	if l.answered++; l.answered < l.open {
		return
	}
	mean := l.total / time.Duration(l.answered)
	l.total, l.answered = 0, 0
	switch waiting := 1 - float64(l.shortest)/float64(mean); {
	case waiting < roomForMore:
		l.open = min(2*l.open, mostLanes)
	case waiting > crowded:
		l.open = max(l.open/2, leastLanes)
	}
}
