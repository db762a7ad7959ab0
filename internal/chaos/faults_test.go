package chaos

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
)

// part is something that dies now and then.
type part struct {
	name string
	// lives is how long it is up at the most, and away how long it is down.
	lives, away time.Duration
	kill        func() bool // false: it had ended by itself
	again       func(context.Context) error

	kills int
}

// partOf is a stack as a part.
func partOf(name string, s *stacktest.Stack, lives, away time.Duration) *part {
	return &part{name: name, lives: lives, away: away, kill: func() bool { s.Kill(); return true }, again: s.Again}
}

// killAll kills the parts at random moments, each for itself and so also several at the same time, until the context
// ends. When it returns all are up again.
func killAll(ctx context.Context, t *testing.T, seed uint64, parts []*part) {
	var group sync.WaitGroup
	for i, p := range parts {
		random := rand.New(rand.NewPCG(seed, uint64(i+1))) //nolint:gosec // any moments
		group.Go(func() { p.dieOftenUntil(ctx, t, random) })
	}
	group.Wait()
}

func (p *part) dieOftenUntil(ctx context.Context, t *testing.T, random *rand.Rand) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(between(random, p.lives/8, p.lives)):
		}
		if !p.kill() {
			t.Errorf("%s ended by itself", p.name)
			return
		}
		p.kills++
		away := between(random, 100*time.Millisecond, p.away)
		t.Logf("%s killed %s for %s", clock(), p.name, away.Round(100*time.Millisecond))
		<-time.After(away)
		if err := p.again(context.WithoutCancel(ctx)); err != nil {
			t.Errorf("%s does not come back: %v", p.name, err)
			return
		}
		t.Logf("%s %s is back", clock(), p.name)
	}
}

func clock() string { return time.Now().UTC().Format("15:04:05.0") }

// between is a random time between two.
func between(random *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(random.Int64N(int64(to-from)))
}
