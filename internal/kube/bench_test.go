package kube_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
)

// BenchmarkFirstSnapshot starts an index on 10,000 Deployments, ConfigMaps and Services, and reports the
// CPU time and what stays in memory with and without the content of the files.
func BenchmarkFirstSnapshot(b *testing.B) {
	populate(b, 10_000)
	for b.Loop() {
		heap, cpu := used(), spent()
		index := startLogging(b, connectAdmin(b), slog.New(slog.DiscardHandler))
		s := snapshot(b, index)
		b.ReportMetric(float64(spent()-cpu)/1e6, "cpu-ms/op")
		b.ReportMetric(float64(s.Tree.Len()), "objects")
		b.ReportMetric(float64(used()-heap)/(1<<20), "MiB-held")
		index.Release(s.Tree)
		b.ReportMetric(float64(used()-heap)/(1<<20), "MiB-released")
	}
}

// BenchmarkSnapshot is a tick with one change in 10,000 objects.
func BenchmarkSnapshot(b *testing.B) {
	populate(b, 10_000)
	index := startLogging(b, connectAdmin(b), slog.New(slog.DiscardHandler))
	snapshot(b, index).Tree.Hash()
	u := object(b, configMap("bench", "o1", "x"))
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		edit(b, u, func(obj map[string]any) { obj["data"] = map[string]any{"value": fmt.Sprint(i)} })
		last := read(b, u).GetResourceVersion()
		until(b, "the change is in", func() bool { e, _ := index.Lookup(pathOf(u)); return e.ResourceVersion == last })
		b.StartTimer()
		snapshot(b, index).Tree.Hash()
	}
}

// BenchmarkApply creates and updates 1,000 objects, beside what plain parallel POSTs take.
func BenchmarkApply(b *testing.B) {
	index := startLogging(b, connectAdmin(b), slog.New(slog.DiscardHandler))
	snapshot(b, index)
	for n := 0; b.Loop(); n++ {
		ns := namespace(b)
		b.ReportMetric(plain(b, ns, 1000), "plain-creates/s")
		for _, value := range []string{"1", "2"} {
			var writes []kube.Write
			for i := range 1000 {
				writes = append(writes, wanted(b, index, configMap(ns, fmt.Sprint("o", i), value)))
			}
			started := time.Now()
			for _, w := range apply(b, index, writes...) {
				require.NoError(b, w.Err)
			}
			b.ReportMetric(1000/time.Since(started).Seconds(), map[string]string{"1": "creates/s", "2": "updates/s"}[value])
		}
	}
}

// plain is the rate at which the API server takes new objects.
func plain(b *testing.B, ns string, n int) float64 {
	var group errgroup.Group
	group.SetLimit(16)
	started := time.Now()
	for i := range n {
		u := object(b, configMap(ns, fmt.Sprint("plain", i), "1"))
		group.Go(func() error {
			_, err := of(u).Create(context.Background(), u, metav1.CreateOptions{})
			return err
		})
	}
	require.NoError(b, group.Wait())
	return float64(n) / time.Since(started).Seconds()
}

func populate(b *testing.B, n int) {
	b.Helper()
	ns := object(b, "apiVersion: v1\nkind: Namespace\nmetadata: {name: bench}")
	if _, err := of(ns).Create(b.Context(), ns, metav1.CreateOptions{}); err != nil {
		return // another benchmark has
	}
	var group errgroup.Group
	group.SetLimit(16)
	filler := strings.Repeat("a line of configuration that somebody wrote\n", 20)
	for i := range n {
		name := fmt.Sprint("o", i)
		u := object(b, []string{deployment("bench", name, 0), configMap("bench", name, filler), service("bench", name, name)}[i%3])
		group.Go(func() error {
			_, err := of(u).Create(context.Background(), u, metav1.CreateOptions{})
			return err
		})
	}
	require.NoError(b, group.Wait())
}

func used() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// spent is the CPU time of this process.
func spent() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
