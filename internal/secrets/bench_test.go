package secrets_test

import (
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
	"testing"
)

func BenchmarkSeal(b *testing.B) {
	k := keysOf(b, identity(b))
	for range b.N {
		if _, err := secrets.Seal(k, []byte(plain), func([]byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
func BenchmarkOpen(b *testing.B) {
	k := keysOf(b, identity(b))
	f := seal(b, k, plain)
	for range b.N {
		if _, err := secrets.Open(k, f); err != nil {
			b.Fatal(err)
		}
	}
}
