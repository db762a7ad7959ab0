package bench

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestRequestsAreCountedByUserFromAPositionOn(t *testing.T) {
	log := filepath.Join(t.TempDir(), "audit.log")
	if at, err := position(log); at != 0 || err != nil {
		t.Errorf("before there is a log: %d, %v", at, err)
	}
	write := func(text string) {
		t.Helper()
		file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	event := func(user, verb string) string {
		return `{"verb":"` + verb + `","user":{"username":"` + user + `"}}` + "\n"
	}
	write(event("me", "list"))
	from, err := position(log)
	if err != nil {
		t.Fatal(err)
	}
	write(event("me", "watch") + event("you", "list") + event("me", "watch") + event("me", "get") + `{"verb":"li`)
	got, err := auditedRequests(log, from, "me")
	if err != nil || got["watch"] != 2 || got["get"] != 1 || got["list"] != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestGitRequestsAreThoseForOneRepository(t *testing.T) {
	log := filepath.Join(t.TempDir(), "git.log")
	text := "2026/01/02 03:04:05 GET /one.git/info/refs?service=git-upload-pack 200 3ms\n" +
		"2026/01/02 03:04:05 GET /one-more.git/info/refs?service=git-upload-pack 200 3ms\n" +
		"2026/01/02 03:04:06 POST /one.git/git-receive-pack 200 9ms\n"
	if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := gitRequests(log, 0, "one"); got != 2 || err != nil {
		t.Errorf("got %v, %v, want 2", got, err)
	}
}

func TestWireCountsBothDirections(t *testing.T) {
	for _, away := range []time.Duration{0, 50 * time.Millisecond} {
		t.Run(away.String(), func(t *testing.T) { wireCounts(t, away) })
	}
}

func wireCounts(t *testing.T, away time.Duration) {
	var binding net.ListenConfig
	server, err := binding.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		client, err := server.Accept()
		if err != nil {
			return
		}
		defer cut(client)
		_, _ = io.ReadAll(client)
		_, _ = client.Write(make([]byte, 3000))
	}()
	w, err := newWire(t.Context(), server.Addr().String(), away)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	client, err := net.Dial("tcp4", w.address())
	if err != nil {
		t.Fatal(err)
	}
	defer cut(client)
	if _, err := client.Write(make([]byte, 500)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	// The server answers when there is nothing more to read.
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(client)
	if err != nil || len(answer) != 3000 {
		t.Errorf("%d bytes came back, %v", len(answer), err)
	}
	if took := time.Since(began); took < 2*away {
		t.Errorf("there and back in %s, at %s each way", took, away)
	}
	if got := w.bytes.Load(); got != 3500 {
		t.Errorf("%d bytes are counted, want 3500", got)
	}
}
