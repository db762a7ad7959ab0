package kube_test

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"
)

func BenchmarkAdhocIdle(b *testing.B) {
	populate(b, 10_000)
	heap := used()
	index := startLogging(b, connectAdmin(b), slog.New(slog.DiscardHandler))
	cpu0 := spent()
	t0 := time.Now()
	s := snapshot(b, index)
	b.Logf("first: cpu %v wall %v objects %d skipped %v", spent()-cpu0, time.Since(t0), s.Tree.Len(), s.Skipped)
	index.Release(s.Tree)
	b.Logf("heap %d KiB", (used()-heap)>>10)
	time.Sleep(3 * time.Second)
	cpu := spent()
	for range 6 {
		time.Sleep(10 * time.Second)
		snapshot(b, index).Tree.Hash()
	}
	b.Logf("idle minute: cpu %v", spent()-cpu)
	st, _ := os.ReadFile("/proc/self/status")
	for _, l := range strings.Split(string(st), "\n") {
		if strings.HasPrefix(l, "VmRSS") || strings.HasPrefix(l, "VmHWM") {
			b.Log(l)
		}
	}
	for b.Loop() {
	}
}
