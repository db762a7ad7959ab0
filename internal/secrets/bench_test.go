package secrets_test

import (
	"testing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
)

func BenchmarkSeal(b *testing.B) {
	k := keysOf(b, identity(b))
	for b.Loop() {
		seal(b, k)
	}
}

func BenchmarkOpen(b *testing.B) {
	k := keysOf(b, identity(b))
	sealed := seal(b, k)
	for b.Loop() {
		if _, err := secrets.Open(k, sealed); err != nil {
			b.Fatal(err)
		}
	}
}
