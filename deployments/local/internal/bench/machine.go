package bench

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
)

// Machine is where a run was made.
type Machine struct {
	CPU         string  `json:"cpu"`
	Cores       int     `json:"cores"`
	MemoryBytes float64 `json:"memoryBytes"` // 0 where unknown
	OS          string  `json:"os"`
	Go          string  `json:"go"`
	Git         string  `json:"git"`
	Kubernetes  string  `json:"kubernetes"`
	// Load is the mean number of runnable processes in the minute before the
	// run, 0 where unknown. Much more than nothing spoils the figures.
	Load float64 `json:"loadBefore"`
}

// DescribeMachine leaves empty what it can't find out.
func DescribeMachine(ctx context.Context, kubernetes string) Machine {
	return Machine{
		CPU:         cpuModel(ctx),
		Cores:       runtime.NumCPU(),
		MemoryBytes: memory(ctx),
		OS:          strings.TrimSpace(output(ctx, "uname", "-srm")),
		Go:          runtime.Version(),
		Git:         strings.TrimPrefix(output(ctx, "git", "--version"), "git version "),
		Kubernetes:  kubernetes,
		Load:        load(),
	}
}

// Commit is that of the sources in the working directory, "" outside of Git.
func Commit(ctx context.Context) string {
	return output(ctx, "git", "describe", "--tags", "--always", "--dirty")
}

func cpuModel(ctx context.Context) string {
	if runtime.GOOS == "darwin" {
		return output(ctx, "sysctl", "-n", "machdep.cpu.brand_string")
	}
	return procField("/proc/cpuinfo", "model name")
}

func memory(ctx context.Context) float64 {
	if runtime.GOOS == "darwin" {
		bytes, _ := strconv.ParseFloat(output(ctx, "sysctl", "-n", "hw.memsize"), 64)
		return bytes
	}
	kilobytes, _ := strconv.ParseFloat(strings.TrimSuffix(procField("/proc/meminfo", "MemTotal"), " kB"), 64)
	return kilobytes * 1024
}

func load() float64 {
	text, _ := os.ReadFile("/proc/loadavg")
	minute, _, _ := strings.Cut(string(text), " ")
	load, _ := strconv.ParseFloat(minute, 64)
	return load
}

func procField(path, name string) string {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func output(ctx context.Context, program string, args ...string) string {
	out, _ := exec.CommandContext(ctx, program, args...).Output()
	return strings.TrimSpace(string(out))
}
