package kube

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// server is an API server that is some way off and works on a few requests at a time, in virtual time.
type server struct {
	away, work time.Duration
	seats      chan struct{}
}

func (s server) write() {
	time.Sleep(s.away / 2)
	s.seats <- struct{}{}
	time.Sleep(s.work)
	<-s.seats
	time.Sleep(s.away / 2)
}

// through writes n times and returns how long that took.
func (l *lanes) through(s server, n int) time.Duration {
	began := time.Now()
	l.begin()
	var writing sync.WaitGroup
	for range n {
		l.enter()
		writing.Go(func() {
			began := time.Now()
			s.write()
			l.leave(time.Since(began), true)
		})
	}
	writing.Wait()
	return time.Since(began)
}

func TestLanesFollowTheWayToTheAPIServer(t *testing.T) {
	for _, c := range []struct {
		name  string
		away  time.Duration
		lanes int // in the end
		least float64
	}{
		{"in the same machine", 0, leastLanes, 0.95},
		{"in the same region", 2 * time.Millisecond, leastLanes, 0.95},
		{"in another region", 50 * time.Millisecond, 32, 0.9},
		{"on another continent", 150 * time.Millisecond, mostLanes, 0.75},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// 400 objects per second.
				s := server{away: c.away, work: 5 * time.Millisecond, seats: make(chan struct{}, 2)}
				l := newLanes()
				const n = 4000
				took := l.through(s, n)
				if share := n / took.Seconds() / 400; share < c.least {
					t.Errorf("%.0f %% of what the API server can do, want %.0f", 100*share, 100*c.least)
				}
				if l.open != c.lanes {
					t.Errorf("%d lanes in the end, want %d", l.open, c.lanes)
				}
			})
		})
	}
}

func TestLanesCloseWhenTheAPIServerSlowsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server{away: 150 * time.Millisecond, work: 5 * time.Millisecond, seats: make(chan struct{}, 2)}
		l := newLanes()
		l.through(s, 1000)
		s.work = 100 * time.Millisecond
		if l.through(s, 1000); l.open != leastLanes {
			t.Errorf("%d lanes at a slow API server, want %d", l.open, leastLanes)
		}
	})
}

// A write that fails before it is sent says nothing of the API server.
func TestLanesGoByAnswersOnly(t *testing.T) {
	l := newLanes()
	for range 1000 {
		l.enter()
		l.leave(time.Nanosecond, false)
	}
	if l.open != leastLanes || l.shortest != 0 {
		t.Errorf("%d lanes, shortest %s", l.open, l.shortest)
	}
}
