package controlplane

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/process"
)

func TestLostPortIsTriedAgain(t *testing.T) {
	config := withFakeEtcd(t, `echo "bind: address already in use"; exit 1`)
	_, err := Start(t.Context(), config)
	if !process.PortTaken(err) || !strings.Contains(err.Error(), "primary etcd") {
		t.Errorf("got %v, want etcd's crash", err)
	}
	log, _ := os.ReadFile(filepath.Join(config.LogDir, "primary-etcd.log"))
	if tries := strings.Count(string(log), "address already in use"); tries != 3 {
		t.Errorf("etcd was started %d times, want 3", tries)
	}
}

func TestOtherCrashIsReportedAtOnce(t *testing.T) {
	config := withFakeEtcd(t, `echo "no space left on device"; exit 1`)
	_, err := Start(t.Context(), config)
	if err == nil || strings.Count(err.Error(), "no space left on device") != 1 {
		t.Errorf("got %v, want the end of etcd's log, once", err)
	}
}

func TestCertificatesAreKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	if _, err := loadOrCreatePKI(dir); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := loadOrCreatePKI(dir); err != nil {
		t.Fatal(err)
	}
	if again, _ := os.ReadFile(filepath.Join(dir, "ca.crt")); string(again) != string(first) {
		t.Error("the authority was replaced: kubeconfigs of before are worthless")
	}
	keys, _ := filepath.Glob(filepath.Join(dir, "*.key"))
	for _, key := range keys {
		if stat, err := os.Stat(key); err != nil || stat.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v, want 0600", key, stat.Mode(), err)
		}
	}
}

// withFakeEtcd has an API server that never becomes ready, so that what ends
// the start is etcd.
func withFakeEtcd(t *testing.T, script string) Config {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"etcd": script, "kube-apiserver": "sleep 60"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	ports, err := process.NewPorts()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ports.Release)
	return Config{
		Name: "primary", Dir: filepath.Join(dir, "data"), LogDir: dir, Kubeconfig: filepath.Join(dir, "kubeconfig"),
		Binaries: dir, Ports: ports, Report: func(string, ...any) {},
	}
}
