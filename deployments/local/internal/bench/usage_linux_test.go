package bench

import (
	"os"
	"testing"
	"time"
)

func TestCPUTimeIsThatOfTheProcess(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		now, err := cpuTime(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if now-before > 20*time.Millisecond {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("working all the time used %s", now-before)
		}
	}
}

func TestPeakMemoryIsPlausible(t *testing.T) {
	peak, err := peakMemory(os.Getpid())
	if err != nil || peak < 1<<20 || peak > 1<<40 {
		t.Errorf("got %d, %v", peak, err)
	}
}
