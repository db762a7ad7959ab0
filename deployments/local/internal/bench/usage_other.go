//go:build !linux

package bench

import "time"

// Elsewhere the figures of another process aren't measured: they stay 0 and
// are shown as such.
func cpuTime(int) (time.Duration, error) { return 0, nil }

func peakMemory(int) (int64, error) { return 0, nil }

// maxRSS is the unit of Rusage.Maxrss, in bytes (macOS).
const maxRSS = 1
