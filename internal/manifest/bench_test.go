package manifest

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

func liveObject(b *testing.B, name string) (Resource, map[string]any) {
	text, err := os.ReadFile("testdata/server/" + name + ".live.yaml")
	require.NoError(b, err)
	return decodeOne(b, string(text))
}

// BenchmarkNormalise is what a watch event costs before encoding: a Deployment needs no managed fields, a
// Service of type NodePort does.
func BenchmarkNormalise(b *testing.B) {
	for _, name := range []string{"deployment-scaled", "service-nodeport", "customresource", "pod"} {
		b.Run(name, func(b *testing.B) {
			r, obj := liveObject(b, name)
			const batch = 1000
			var objects []map[string]any
			b.ReportAllocs()
			for i := range b.N {
				if i%batch == 0 {
					b.StopTimer()
					objects = objects[:0]
					for range batch {
						objects = append(objects, cloneObject(obj))
					}
					b.StartTimer()
				}
				Normalise(r, objects[i%batch], Surroundings{})
			}
		})
	}
}

func BenchmarkSkip(b *testing.B) {
	r, obj := liveObject(b, "deployment-scaled")
	b.ReportAllocs()
	for b.Loop() {
		Skip(r, obj, Selection{})
	}
}

func BenchmarkDenormalise(b *testing.B) {
	r, live := liveObject(b, "service-nodeport")
	git := cloneObject(live)
	Normalise(r, git, Surroundings{})
	b.ReportAllocs()
	for b.Loop() {
		Denormalise(r, git, live, Surroundings{})
	}
}

func BenchmarkEncode(b *testing.B) {
	r, obj := liveObject(b, "deployment-scaled")
	Normalise(r, obj, Surroundings{})
	b.Run("this", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = Encode(obj)
		}
	})
	b.Run("library", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = yaml.Marshal(obj)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	text, err := os.ReadFile("testdata/server/deployment-scaled.git.yaml")
	require.NoError(b, err)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		Decode("a.yaml", text)
	}
}

func BenchmarkPath(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Path(deployments, "shop", "cart")
	}
}
