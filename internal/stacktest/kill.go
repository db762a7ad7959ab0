package stacktest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Kill ends a stack as a crash does: all of its processes get a SIGKILL, and what they kept stays as it is. It works
// where the kernel ends children with their parent, on Linux. A test that kills parts one by one gives each a stack.
func (s *Stack) Kill() {
	_ = s.process.Process.Kill()
	<-s.exited
	_ = os.Remove(filepath.Join(s.Dir, "env"))
}

// Again starts a stack that was killed in the same place and at the same addresses, and returns when it is ready.
func (s *Stack) Again(ctx context.Context) error {
	addresses, env := s.addresses(), s.Env
	for _, address := range addresses {
		if err := awaitFree(ctx, address); err != nil {
			return err
		}
	}
	if err := s.run(); err != nil {
		return err
	}
	if err := s.awaitReady(ctx); err != nil {
		return err
	}
	if now := s.addresses(); !maps.Equal(addresses, now) || !maps.Equal(env, s.Env) {
		return fmt.Errorf("the stack came back elsewhere: %v, and before it was at %v", now, addresses)
	}
	return nil
}

// addresses are where its parts listen, by what they are.
func (s *Stack) addresses() map[string]string {
	found := map[string]string{}
	if address := s.Env["TEMPORAL_ADDRESS"]; address != "" {
		found["temporal"] = address
	}
	if git, err := url.Parse(s.Env["GIT_URL"]); err == nil && git.Host != "" {
		found["git"] = git.Host
	}
	for name, kubeconfig := range s.Env {
		if cluster, ok := strings.CutPrefix(name, "KUBECONFIG_"); ok && kubeconfig != "" {
			if config, err := s.Config(strings.ToLower(strings.ReplaceAll(cluster, "_", "-"))); err == nil {
				found[cluster] = strings.TrimPrefix(config.Host, "https://")
			}
		}
	}
	return found
}

// awaitFree waits until nobody listens at an address: the kernel takes a moment to end all processes.
func awaitFree(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		var dialer net.Dialer
		connection, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil && ctx.Err() == nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("somebody still listens at %s: %w", address, ctx.Err())
		}
		_ = connection.Close()
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// FreePort is a port of the loopback interface that nobody listens at, below the range from which the kernel takes
// those of outgoing connections.
func FreePort() (int, error) {
	var err error
	for range 100 {
		port := 20000 + rand.IntN(12000) //nolint:gosec // any port
		var listener net.Listener
		if listener, err = net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("no free port: %w", err)
}
