package main

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func TestWatchPrintsALinePerChangeUntilInterrupted(t *testing.T) {
	s := &standin{}
	w, _ := enrolled(t, workflows.Push, s)
	w.awaitState(workflows.InSync)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, errs stacktest.Output
	answers := make(chan int)
	go func() {
		answers <- run(ctx, []string{"starter", "status", w.cluster, "--watch"}, strings.NewReader(""), &out, &errs)
	}()
	w.eventually("the first line", func() bool { return strings.Contains(out.String(), "InSync (Settled)") })
	require.Equal(t, done, w.run("pause", w.cluster).code)
	w.eventually("the change", func() bool { return strings.Contains(out.String(), "Paused (PausedByUser)") })
	cancel()
	require.Equal(t, done, <-answers)
	require.Equal(t, 2, strings.Count(out.String(), "\n"), out.String())
	require.Empty(t, errs.String())
}

func TestWatchOutlastsTemporal(t *testing.T) {
	w, _ := enrolled(t, workflows.Push, &standin{})
	w.awaitState(workflows.InSync)
	door := newDoor(t, w.stack.Env["TEMPORAL_ADDRESS"])
	t.Setenv("TEMPORAL_ADDRESS", door.address)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, errs stacktest.Output
	answers := make(chan int)
	go func() {
		answers <- run(ctx, []string{"starter", "status", w.cluster, "--watch"}, strings.NewReader(""), &out, &errs)
	}()
	w.eventually("the first line", func() bool { return strings.Contains(out.String(), "InSync (Settled)") })
	door.shut()
	w.eventually("it tells", func() bool {
		return errs.String() == "the Temporal server at "+door.address+" does not answer: start it, or set TEMPORAL_ADDRESS (and TEMPORAL_TLS_… where it needs TLS) to where it runs; this waits for it\n"
	})
	door.open()
	w.eventually("a line when it is back", func() bool { return strings.Count(out.String(), "InSync (Settled)") == 2 })
	cancel()
	require.Equal(t, done, <-answers)
}

// door passes connections on to a server while it is open.
type door struct {
	t               *testing.T
	address, server string
	mu              sync.Mutex
	listener        net.Listener
	inside          []net.Conn
}

func newDoor(t *testing.T, server string) *door {
	t.Helper()
	d := &door{t: t, address: "127.0.0.1:0", server: server}
	d.open()
	t.Cleanup(d.shut)
	return d
}

func (d *door) open() {
	d.t.Helper()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", d.address)
	require.NoError(d.t, err)
	d.mu.Lock()
	d.listener, d.address = listener, listener.Addr().String()
	d.mu.Unlock()
	go func() {
		for {
			outer, err := listener.Accept()
			if err != nil {
				return
			}
			inner, err := new(net.Dialer).DialContext(context.Background(), "tcp", d.server)
			if err != nil {
				_ = outer.Close()
				continue
			}
			d.mu.Lock()
			d.inside = append(d.inside, outer, inner)
			d.mu.Unlock()
			go func() { _, _ = io.Copy(inner, outer) }()
			go func() { _, _ = io.Copy(outer, inner) }()
		}
	}()
}

// shut cuts all connections, too.
func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = d.listener.Close()
	for _, connection := range d.inside {
		_ = connection.Close()
	}
	d.inside = nil
}
