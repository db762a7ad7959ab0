package gitserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestTokenOpensItsRepository(t *testing.T) {
	server := serve(t, "demo")
	work := t.TempDir()

	git(t, token(t, server, "demo"), "clone", server.URL()+"/demo.git", work)
	commit(t, work, "hello", []byte("world"))
	git(t, token(t, server, "demo"), "-C", work, "push", "origin", "main")

	again := t.TempDir()
	git(t, token(t, server, "demo"), "clone", server.URL()+"/demo.git", again)
	if text, err := os.ReadFile(filepath.Join(again, "hello")); err != nil || string(text) != "world" {
		t.Errorf("the second clone has %q, %v", text, err)
	}
	if branch := git(t, "", "-C", again, "branch", "--show-current"); strings.TrimSpace(branch) != "main" {
		t.Errorf("the default branch is %q, want main", branch)
	}
}

// Git sends what is larger than http.postBuffer in chunks, without a length.
func TestLargePushArrives(t *testing.T) {
	server := serve(t, "demo")
	work := t.TempDir()
	git(t, token(t, server, "demo"), "clone", server.URL()+"/demo.git", work)
	large := make([]byte, 3<<20)
	_, _ = rand.Read(large)
	commit(t, work, "large", large)
	git(t, token(t, server, "demo"), "-C", work, "push", "origin", "main")

	again := t.TempDir()
	git(t, token(t, server, "demo"), "clone", server.URL()+"/demo.git", again)
	if got, _ := os.ReadFile(filepath.Join(again, "large")); !bytes.Equal(got, large) {
		t.Errorf("of %d bytes %d arrived, or others", len(large), len(got))
	}
}

// git-http-backend goes on for ever reading what a broken connection has left out, if it was told how much to
// expect.
func TestABrokenPushLeavesNoProcessBehind(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("child processes are read from /proc")
	}
	server := serve(t, "demo")
	body, broken := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL()+"/demo.git/git-receive-pack", body)
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = 1 << 20
	request.Header.Set("Content-Type", "application/x-git-receive-pack-request")
	request.SetBasicAuth("git", token(t, server, "demo"))
	ended := make(chan error, 1)
	go func() {
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			response.Body.Close()
		}
		ended <- err
	}()
	_, _ = broken.Write([]byte("00ff"))
	await(t, "the backend runs", func() bool { return len(backends(t)) > 0 })
	_ = broken.CloseWithError(errors.New("the connection broke"))
	if err := <-ended; err == nil {
		t.Error("half a push was answered")
	}
	await(t, "the backend has ended", func() bool { return len(backends(t)) == 0 })
}

// backends are the processes of git-http-backend that this process has started.
func backends(t *testing.T) (pids []string) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range stats {
		stat, _ := os.ReadFile(file)
		if strings.Contains(string(stat), "(git-http-backen") && strings.Contains(string(stat), fmt.Sprintf(" %d ", os.Getpid())) {
			pids = append(pids, filepath.Base(filepath.Dir(file)))
		}
	}
	return pids
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func TestOtherTokensAreRefused(t *testing.T) {
	server := serve(t, "demo", "other")
	for name, password := range map[string]string{
		"wrong":              "acs_wrong",
		"empty":              "",
		"other repository's": token(t, server, "other"),
	} {
		t.Run(name, func(t *testing.T) {
			out, err := tryGit(password, "ls-remote", server.URL()+"/demo.git")
			if err == nil || !strings.Contains(out, "Authentication failed") {
				t.Errorf("git ls-remote: %v: %s", err, out)
			}
		})
	}
}

func TestAnswersWithoutTokenDontTellWhatExists(t *testing.T) {
	server := serve(t, "demo")
	for _, path := range []string{
		"/demo.git/info/refs?service=git-upload-pack",
		"/demo.git/info/refs?service=git-receive-pack",
		"/none.git/info/refs?service=git-upload-pack",
	} {
		answer := get(t, server, path, "")
		if challenge := answer.header.Get("WWW-Authenticate"); answer.status != http.StatusUnauthorized || challenge == "" {
			t.Errorf("GET %s: %d, WWW-Authenticate %q", path, answer.status, challenge)
		}
	}
}

func TestOnlySmartHTTPIsServed(t *testing.T) {
	server := serve(t, "demo")
	for _, path := range []string{
		"/", "/demo.git/", "/demo.git/config", "/demo.git/HEAD", "/tokens/demo", "/demo.git/../tokens/demo",
		"/..%2ftokens.git/info/refs",
	} {
		if answer := get(t, server, path, token(t, server, "demo")); answer.status != http.StatusNotFound {
			t.Errorf("GET %s: %d, want 404", path, answer.status)
		}
	}
}

func TestReplacedTokenCountsAtOnce(t *testing.T) {
	server := serve(t, "demo")
	old := token(t, server, "demo")
	if err := os.WriteFile(server.TokenFile("demo"), []byte("acs_new\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := tryGit(old, "ls-remote", server.URL()+"/demo.git"); err == nil {
		t.Errorf("the old token still opens: %s", out)
	}
	git(t, "acs_new", "ls-remote", server.URL()+"/demo.git")
}

func TestRepositoryMadeByHandIsServed(t *testing.T) {
	server := serve(t)
	git(t, "", "init", "--quiet", "--bare", filepath.Join(server.root, "mine.git"))
	if answer := get(t, server, "/mine.git/info/refs?service=git-upload-pack", "anything"); answer.status != http.StatusUnauthorized {
		t.Errorf("without a token file: %d, want 401", answer.status)
	}
	if err := os.WriteFile(server.TokenFile("mine"), []byte("acs_mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	git(t, "acs_mine", "clone", server.URL()+"/mine.git", work)
	commit(t, work, "hello", []byte("world"))
	git(t, "acs_mine", "-C", work, "push", "origin", "HEAD:main")
}

func TestTokenIsKeptPrivate(t *testing.T) {
	server := serve(t, "demo")
	stat, err := os.Stat(server.TokenFile("demo"))
	if err != nil || stat.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", stat.Mode(), err)
	}
	secret := token(t, server, "demo")
	if !strings.HasPrefix(secret, tokenPrefix) || len(secret) < 20 {
		t.Errorf("a token of %d characters, want the prefix %s and enough to be unguessable", len(secret), tokenPrefix)
	}
	git(t, secret, "ls-remote", server.URL()+"/demo.git")
	_, _ = tryGit("acs_wrong", "ls-remote", server.URL()+"/demo.git")
	log, err := os.ReadFile(server.logFile.Name())
	if err != nil || !bytes.Contains(log, []byte("/demo.git/info/refs")) {
		t.Fatalf("the log has no requests: %q, %v", log, err)
	}
	if bytes.Contains(log, []byte(secret)) || bytes.Contains(log, []byte("acs_wrong")) {
		t.Error("the log has a token")
	}
}

// What CGI gets of a request becomes the environment of a process.
func TestBackendSeesNoCredentials(t *testing.T) {
	server := serve(t, "demo")
	spy := filepath.Join(t.TempDir(), "spy")
	script := "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nenv\nprintf '%s\\n' \"$@\"\n"
	if err := os.WriteFile(spy, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	server.backend = spy
	secret := token(t, server, "demo")
	seen := get(t, server, "/demo.git/info/refs?service=git-upload-pack", secret).body
	if !strings.Contains(seen, "PATH_INFO=/demo.git/info/refs") {
		t.Fatalf("the spy was not run: %s", seen)
	}
	if strings.Contains(seen, "AUTHORIZATION") || strings.Contains(seen, secret) {
		t.Errorf("the backend sees the credentials: %s", seen)
	}
}

func serve(t *testing.T, repositories ...string) *Server {
	t.Helper()
	dir := t.TempDir()
	server, err := Start(t.Context(), filepath.Join(dir, "git"), 0, filepath.Join(dir, "git.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	for _, name := range repositories {
		if err := server.CreateRepository(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	return server
}

func token(t *testing.T, server *Server, repository string) string {
	t.Helper()
	text, err := os.ReadFile(server.TokenFile(repository))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

type answer struct {
	status int
	header http.Header
	body   string
}

func get(t *testing.T, server *Server, path, password string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if password != "" {
		request.SetBasicAuth("git", password)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

func commit(t *testing.T, work, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(work, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
	git(t, "", "-C", work, "add", ".")
	git(t, "", "-C", work, "-c", "user.name=test", "-c", "user.email=test@example.com", "commit", "-q", "-m", name)
}

func git(t *testing.T, password string, args ...string) string {
	t.Helper()
	out, err := tryGit(password, args...)
	if err != nil {
		t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

func tryGit(password string, args ...string) (string, error) {
	cmd := exec.CommandContext(context.Background(), "git", args...)
	// The password goes through the environment of this test's own processes.
	const askpass = "!f() { echo username=anyone; echo \"password=$TEST_PASSWORD\"; }; f"
	cmd.Env = append(os.Environ(), "TEST_PASSWORD="+password, "GIT_TERMINAL_PROMPT=0",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=credential.helper", "GIT_CONFIG_VALUE_0="+askpass)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
