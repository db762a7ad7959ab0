package temporal

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// The server's own way would be to exit, and to leave the other parts of the
// stack running.
func TestPortTakenMeanwhileIsAnError(t *testing.T) {
	var taken [4]int
	for i := range taken {
		var binding net.ListenConfig
		listener, err := binding.Listen(t.Context(), "tcp4", loopback+":0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
		taken[i] = listener.Addr().(*net.TCPAddr).Port
	}
	dir := t.TempDir()
	_, err := Start(t.Context(), Config{
		Database: filepath.Join(dir, "temporal.db"), Log: filepath.Join(dir, "log"),
		Port: taken[0], Internal: [3]int(taken[1:]),
	})
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v, want the reason", err)
	}
}
