package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheHeapGrowsToItsFloorAndThenInProportion(t *testing.T) {
	for held, percent := range map[uint64]int{
		0: 400, 1 << 20: 400, 19 << 20: 300, 38 << 20: 100, 48 << 20: 60, 90 << 20: 60, 1 << 30: 60,
	} {
		require.Equal(t, percent, growth(held), "%d MiB held", held>>20)
	}
}
