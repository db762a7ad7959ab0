package repo_test

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// sizes are the numbers of files that the benchmarks are run with.
func sizes() []int {
	if os.Getenv("BENCH_LARGE") != "" {
		return []int{10_000, 100_000}
	}
	return []int{10_000}
}

func BenchmarkIdleTip(b *testing.B) {
	for _, n := range sizes() {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := newOrigin(b)
			r := o.open(in(b.TempDir()))
			pushed, err := r.Push(b.Context(), many(n, "1").push(plumbing.ZeroHash))
			require.NoError(b, err)
			cpu := newMeter(b)
			for b.Loop() {
				tip, err := r.Tip(b.Context())
				require.NoError(b, err)
				require.Equal(b, pushed.Revision, tip)
				require.NoError(b, r.Fetch(b.Context(), tip))
			}
			cpu.report()
		})
	}
}

func BenchmarkFirstPush(b *testing.B) {
	for _, n := range sizes() {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := many(n, "1")
			p := m.push(plumbing.ZeroHash)
			content := map[string][]byte{}
			for path, data := range m {
				content[path] = []byte(data)
			}
			p.Content = func(_ context.Context, _ []tree.Change) (map[string][]byte, error) { return content, nil }
			p.Desired.Hash()
			cpu := newMeter(b)
			for b.Loop() {
				cpu.pause()
				r := newOrigin(b).open(in(b.TempDir()))
				cpu.resume()
				_, err := r.Push(b.Context(), p)
				require.NoError(b, err)
			}
			cpu.report()
		})
	}
}

func BenchmarkPushOneFile(b *testing.B) {
	for _, n := range sizes() {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := newOrigin(b)
			r := o.open(in(b.TempDir()))
			m := many(n, "1")
			p := m.push(plumbing.ZeroHash)
			pushed, err := r.Push(b.Context(), p)
			require.NoError(b, err)
			cpu := newMeter(b)
			for i := 0; b.Loop(); i++ {
				path := fmt.Sprintf("namespaces/ns-%03d/configmaps/cm-%05d.yaml", i%n/50, i%n)
				data := []byte(fmt.Sprintln("changed:", i))
				p.Parent = pushed.Revision
				p.Desired = p.Desired.Edit(func(e *tree.Editor) {
					e.Put(path, plumbing.ComputeHash(plumbing.BlobObject, data))
				})
				p.Content = func(_ context.Context, _ []tree.Change) (map[string][]byte, error) {
					return map[string][]byte{path: data}, nil
				}
				pushed, err = r.Push(b.Context(), p)
				require.NoError(b, err)
				require.Len(b, pushed.Changes, 1)
			}
			cpu.report()
		})
	}
}

func BenchmarkEditOneFile(b *testing.B) {
	for _, n := range sizes() {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := newOrigin(b)
			r := o.open(in(b.TempDir()))
			pushed, err := r.Push(b.Context(), many(n, "1").push(plumbing.ZeroHash))
			require.NoError(b, err)
			cpu := newMeter(b)
			for i := 0; b.Loop(); i++ {
				path := fmt.Sprintf("namespaces/ns-%03d/configmaps/cm-%05d.yaml", i%n/50, i%n)
				pushed, err = r.Edit(b.Context(), repo.Edit{
					Parent: pushed.Revision,
					Files:  map[string][]byte{path: []byte(fmt.Sprintln("changed:", i))},
				})
				require.NoError(b, err)
				require.Len(b, pushed.Changes, 1)
			}
			cpu.report()
		})
	}
}

func BenchmarkFirstFetch(b *testing.B) {
	for _, n := range sizes() {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := newOrigin(b)
			tip := o.commit(many(n, "1"))
			cpu := newMeter(b)
			for b.Loop() {
				cpu.pause()
				r := o.open(in(b.TempDir()))
				cpu.resume()
				require.NoError(b, r.Fetch(b.Context(), tip))
				files, err := r.Files(tip)
				require.NoError(b, err)
				require.Len(b, files, n)
			}
			cpu.report()
		})
	}
}

func BenchmarkReadAll(b *testing.B) {
	for _, n := range sizes() {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := newOrigin(b)
			tip := o.commit(many(n, "1"))
			r := o.open(in(b.TempDir()))
			require.NoError(b, r.Fetch(b.Context(), tip))
			files, err := r.Files(tip)
			require.NoError(b, err)
			cpu := newMeter(b)
			for b.Loop() {
				for _, f := range files {
					_, err := r.Read(f.Hash)
					require.NoError(b, err)
				}
			}
			cpu.report()
		})
	}
}

func BenchmarkFetchOneFile(b *testing.B) {
	for _, n := range sizes() {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := newOrigin(b)
			writer, reader := o.open(), o.open(in(b.TempDir()))
			m := many(n, "1")
			pushed, err := writer.Push(b.Context(), m.push(plumbing.ZeroHash))
			require.NoError(b, err)
			require.NoError(b, reader.Fetch(b.Context(), pushed.Revision))
			desired := m.tree()
			cpu := newMeter(b)
			for i := 0; b.Loop(); i++ {
				cpu.pause()
				data := []byte(fmt.Sprintln("changed:", i))
				desired = desired.Edit(func(e *tree.Editor) {
					e.Put("namespaces/ns-000/configmaps/cm-00000.yaml", plumbing.ComputeHash(plumbing.BlobObject, data))
				})
				before := pushed.Revision
				pushed, err = writer.Push(b.Context(), repo.Push{Parent: before, Desired: desired,
					Content: manifests{"namespaces/ns-000/configmaps/cm-00000.yaml": string(data)}.content})
				require.NoError(b, err)
				cpu.resume()
				require.NoError(b, reader.Fetch(b.Context(), pushed.Revision))
				changes, err := reader.Changes(before, pushed.Revision)
				require.NoError(b, err)
				require.Len(b, changes, 1)
			}
			cpu.report()
		})
	}
}

// meter takes the processor time of this process, which other work on the machine changes less than the
// time on the clock.
type meter struct {
	*testing.B
	since, used time.Duration
}

func newMeter(b *testing.B) *meter {
	m := &meter{B: b}
	b.ReportAllocs()
	m.since = m.now()
	return m
}

func (m *meter) now() time.Duration {
	var usage syscall.Rusage
	require.NoError(m, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// pause begins what isn't measured.
func (m *meter) pause() {
	m.StopTimer()
	m.used += m.now() - m.since
}

func (m *meter) resume() {
	m.since = m.now()
	m.StartTimer()
}

func (m *meter) report() {
	m.used += m.now() - m.since
	m.ReportMetric(float64(m.used.Microseconds())/1000/float64(m.N), "cpu-ms/op")
}
