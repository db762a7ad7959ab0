package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is what all threads of a process have used, user and system. Its
// clock counts nanoseconds, where /proc/<pid>/stat has hundredths of a second:
// too coarse for an idle tick.
func cpuTime(pid int) (time.Duration, error) {
	// How the kernel names the CPU clock of another process, see
	// clock_getcpuclockid(3).
	const schedClock = 2
	clock := int32(^pid<<3 | schedClock)
	var now unix.Timespec
	if err := unix.ClockGettime(clock, &now); err != nil {
		return 0, fmt.Errorf("CPU time of process %d: %w", pid, err)
	}
	return time.Duration(now.Nano()), nil
}

// peakMemory is the largest resident size of a process so far, in bytes.
func peakMemory(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("no VmHWM of process %d", pid)
}

// maxRSS is the unit of Rusage.Maxrss, in bytes.
const maxRSS = 1 << 10
