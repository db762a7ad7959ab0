package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestBenchMeasuresProductAndBaseline(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	l := run(t, "bench", "--sizes", "100", "--repeat", "1", "--interval", "1s", "--idle-ticks", "3", "--edits", "1",
		"--fleet", "3", "--out", out, "--cache-dir", cacheDir, "--bin-dir", "../../bin")
	if status := l.wait(10 * time.Minute); status != 0 {
		t.Fatalf("exit status %d: %s", status, &l.stderr)
	}
	text, err := os.ReadFile(filepath.Join(out, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	type cost struct {
		WallSeconds, CPUSeconds, GitRequests, GitBytes, GitObjects, ChangedFiles float64
		APIRequests                                                              map[string]float64
		APIBytes                                                                 float64
	}
	type costs struct {
		FirstPush, IdleTick, OneObjectTick, ManyObjectsTick cost
		PeakRSSBytes                                        float64
	}
	var report struct {
		Sizes []struct {
			Objects, Exported, Secrets int
			Product, Baseline          costs
			PushPull                   struct{ IdleTick, OneObjectFromCluster, OneObjectFromGit cost }
			Pull                       struct {
				FirstPull, IdleTick, DriftTick cost
				RawPosts, KubectlApply         struct{ Objects, WallSeconds float64 }
				PeakRSSBytes                   float64
			}
		}
	}
	if err := json.Unmarshal(text, &report); err != nil || len(report.Sizes) != 1 {
		t.Fatalf("%v: %s", err, text)
	}
	size := report.Sizes[0]
	if size.Exported-size.Secrets != 95 {
		t.Errorf("%d objects beside Secrets are in Git, want 95", size.Exported-size.Secrets)
	}
	p, b, pull, both := size.Product, size.Baseline, size.Pull, size.PushPull
	for name, ok := range map[string]bool{
		"the product's first push has every object":       p.FirstPush.GitObjects > 95 && p.FirstPush.WallSeconds > 0,
		"the product watches":                             p.FirstPush.APIRequests["watch"] > 20 && p.FirstPush.APIBytes > 100_000,
		"the product's one object is one file":            p.OneObjectTick.ChangedFiles == 1 && p.OneObjectTick.GitBytes > 0,
		"the product's many objects are many files":       p.ManyObjectsTick.ChangedFiles == float64(size.Exported),
		"an idle tick of the product lists nothing":       p.IdleTick.APIRequests["list"]+p.IdleTick.APIRequests["get"] == 0,
		"an idle tick of the product sends no Git object": p.IdleTick.GitObjects == 0 && p.IdleTick.GitRequests > 0,
		"pull creates every object with one request":      pull.FirstPull.APIRequests["create"] >= 100 && pull.FirstPull.APIRequests["update"] == 0,
		"raw requests create as many":                     pull.RawPosts.Objects == pull.FirstPull.ChangedFiles && pull.RawPosts.WallSeconds > 0,
		"kubectl applies what lies in a namespace":        pull.KubectlApply.Objects >= 100 && pull.KubectlApply.WallSeconds > 0,
		"pull restores all drift":                         pull.DriftTick.ChangedFiles == 100 && pull.DriftTick.APIRequests["create"] == 25,
		"an idle tick of pull asks Git alone":             pull.IdleTick.APIRequests["list"]+pull.IdleTick.APIRequests["get"]+pull.IdleTick.APIRequests["update"] == 0 && pull.IdleTick.GitRequests > 0,
		"push-pull stores one object as one file":         both.OneObjectFromCluster.GitObjects > 0 && both.OneObjectFromCluster.ChangedFiles == 1,
		"push-pull writes one object of Git":              both.OneObjectFromGit.ChangedFiles == 1 && both.OneObjectFromGit.APIRequests["update"] == 1,
		"an idle tick of push-pull asks Git alone":        both.IdleTick.APIRequests["list"]+both.IdleTick.APIRequests["get"]+both.IdleTick.APIRequests["update"] == 0 && both.IdleTick.GitObjects == 0,
		"the baseline's first push has every object":      b.FirstPush.GitObjects > 95 && b.FirstPush.CPUSeconds > 0,
		"the baseline lists each time":                    b.IdleTick.APIRequests["list"] > 20 && b.IdleTick.GitObjects == 0,
		"the baseline's one object is one file":           b.OneObjectTick.ChangedFiles == 1,
		"the baseline's many objects are many files":      b.ManyObjectsTick.ChangedFiles == float64(size.Exported),
		"the worker's CPU and memory are measured":        runtime.GOOS != "linux" || p.FirstPush.CPUSeconds > 0 && p.IdleTick.CPUSeconds > 0 && p.PeakRSSBytes > 1e6,
	} {
		if !ok {
			t.Errorf("not so: %s", name)
		}
	}
	if t.Failed() {
		t.Logf("%s", text)
	}
	if !strings.Contains(l.stdout.String(), "first push") || !strings.Contains(l.stdout.String(), "not measured") {
		t.Errorf("the tables aren't printed:\n%s", &l.stdout)
	}
}

func TestBenchTellsWrongUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--sizes", "many"}, {"--sizes", "5"}, {"--sizes", ""}, {"--repeat", "0"}, {"--interval", "10ms"}} {
		l := run(t, append([]string{"bench", "--bin-dir", "../../bin"}, args...)...)
		if status := l.wait(10 * time.Second); status != 2 {
			t.Errorf("%v: exit status %d, want 2: %s", args, status, &l.stderr)
		}
	}
	l := run(t, "bench", "--bin-dir", t.TempDir())
	if status := l.wait(10 * time.Second); status != 1 || !strings.Contains(l.stderr.String(), "make build") {
		t.Errorf("without binaries: exit status %d: %s", status, &l.stderr)
	}
}
