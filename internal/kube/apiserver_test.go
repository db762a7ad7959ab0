package kube_test

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
)

// apiServer is a second API server of the cluster, which may be killed while other tests use the first.
type apiServer struct {
	t       *testing.T
	url     string
	command []string
	process *exec.Cmd
	done    chan struct{}
}

// startAPIServer starts one with the command line of the first, but for the port.
func startAPIServer(t *testing.T) *apiServer {
	first, err := url.Parse(admin.Host)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	s := &apiServer{t: t, url: fmt.Sprintf("https://127.0.0.1:%d", port)}

	list, err := exec.CommandContext(t.Context(), "ps", "-axww", "-o", "args").Output()
	require.NoError(t, err)
	for line := range strings.Lines(string(list)) {
		if flag := "--secure-port=" + first.Port(); strings.Contains(line, "kube-apiserver ") && strings.Contains(line, flag+" ") {
			s.command = strings.Fields(strings.ReplaceAll(line, flag, fmt.Sprintf("--secure-port=%d", port)))
		}
	}
	require.NotEmpty(t, s.command, "the API server that listens at %s", admin.Host)
	s.start()
	t.Cleanup(s.kill)
	return s
}

// start returns when the server is ready, as to its own word.
func (s *apiServer) start() {
	s.process = exec.Command(s.command[0], s.command[1:]...) //nolint:gosec // the stack's own binary
	s.process.SysProcAttr = stacktest.ChildAttributes()
	s.done = make(chan struct{})
	require.NoError(s.t, s.process.Start())
	go func(p *exec.Cmd, done chan struct{}) { defer close(done); _ = p.Wait() }(s.process, s.done)
	transport, err := rest.TransportFor(admin)
	require.NoError(s.t, err)
	until(s.t, "the second API server is ready", func() bool {
		require.False(s.t, s.ended(), "the second API server has ended")
		response, err := (&http.Client{Transport: transport}).Get(s.url + "/readyz")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// kill ends it as a power cut does.
func (s *apiServer) kill() {
	_ = s.process.Process.Kill()
	<-s.done
}

func (s *apiServer) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}
