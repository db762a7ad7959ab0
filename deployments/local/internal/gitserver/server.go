// Package gitserver serves bare repositories over smart HTTP, each behind a
// token of its own, by the `git http-backend` that comes with Git.
package gitserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Server serves <root>/<repository>.git at /<repository>.git. A repository's
// token is the text of <root>/tokens/<repository>, read again at every request.
type Server struct {
	root     string
	backend  string // path of git-http-backend
	gitPath  string // of the git command
	logFile  *os.File
	log      *log.Logger
	listener net.Listener
	http     *http.Server
	failed   chan error
}

// Start serves root at port of the loopback interface, or at any free one when
// port is taken or 0. Requests are logged to logPath, without credentials.
func Start(ctx context.Context, root string, port int, logPath string) (*Server, error) {
	gitPath, backend, err := findBackend(ctx)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(root, "tokens"), 0o700); err != nil {
		return nil, fmt.Errorf("start the Git server: %w", err)
	}
	logFile, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start the Git server: %w", err)
	}
	var binding net.ListenConfig
	listener, err := binding.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		listener, err = binding.Listen(ctx, "tcp4", "127.0.0.1:0")
	}
	if err != nil {
		logFile.Close()
		return nil, fmt.Errorf("start the Git server: %w", err)
	}

	s := &Server{
		root: root, backend: backend, gitPath: gitPath,
		logFile: logFile, log: log.New(logFile, "", log.LstdFlags|log.LUTC),
		listener: listener, failed: make(chan error, 1),
	}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ErrorLog: s.log}
	go func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("the Git server ended by itself: %w", err)
		}
	}()
	return s, nil
}

// URL is the base: a repository is at URL()/<repository>.git.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Port is the one it listens on.
func (s *Server) Port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// Failed gets an error when the server ends by itself.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop ends the server; a request under way gets a moment to finish.
func (s *Server) Stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	s.logFile.Close()
}

// ServeHTTP checks the token, then hands the request to Git.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	answer := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
	s.serve(answer, r)
	// Neither header nor user name: a token sits in one of them.
	s.log.Printf("%s %s %d %dms", r.Method, r.URL.RequestURI(), answer.status, time.Since(began).Milliseconds())
}

// Only smart HTTP: what the dumb protocol would read as files is not served.
var smartPath = regexp.MustCompile(`^/([A-Za-z0-9][A-Za-z0-9._-]*)\.git/(info/refs|git-upload-pack|git-receive-pack)$`)

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	match := smartPath.FindStringSubmatch(r.URL.Path)
	if match == nil {
		http.Error(w, "no such page; clone "+s.URL()+"/<repository>.git", http.StatusNotFound)
		return
	}
	repository := match[1]
	if !s.authorized(repository, r) {
		// The same answer whether the token is wrong, belongs to another
		// repository or the repository doesn't exist, so that nobody without
		// its token learns which repositories there are.
		w.Header().Set("WWW-Authenticate", `Basic realm="Git"`)
		http.Error(w, "the token is missing, wrong or not for this repository", http.StatusUnauthorized)
		return
	}
	if stat, err := os.Stat(s.directory(repository)); err != nil || !stat.IsDir() {
		http.Error(w, "no repository here", http.StatusNotFound)
		return
	}

	handler := cgi.Handler{
		Path:   s.backend,
		Root:   "/",
		Dir:    s.root,
		Env:    s.backendEnv(),
		Logger: s.log,
		Stderr: s.logFile,
	}
	handler.ServeHTTP(w, withoutCredentials(r))
}

func (s *Server) authorized(repository string, r *http.Request) bool {
	want, err := os.ReadFile(s.TokenFile(repository))
	token := strings.TrimSpace(string(want))
	_, password, ok := r.BasicAuth()
	if err != nil || token == "" || !ok {
		return false
	}
	given, expected := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(given[:], expected[:]) == 1
}

// withoutCredentials is the request as CGI may see it. CGI puts every header
// into the environment of a process, which others on the machine can read.
func withoutCredentials(r *http.Request) *http.Request {
	inner := r.Clone(r.Context())
	inner.Header.Del("Authorization")
	// Git sends a large push in chunks, which net/http/cgi refuses because CGI
	// wants a length. git-http-backend reads to the end when there is none.
	inner.TransferEncoding = nil
	// With a length, it asks again and again for what a broken connection has left out, for ever.
	if inner.ContentLength > 0 {
		inner.ContentLength = -1
	}
	return inner
}

func (s *Server) backendEnv() []string {
	settings := [][2]string{
		// The directory may belong to another user, in a container say.
		{"safe.directory", "*"},
		{"http.receivepack", "true"},
		{"uploadpack.allowFilter", "true"},
		{"uploadpack.allowReachableSHA1InWant", "true"},
		// A detached gc would outlive the server.
		{"gc.autoDetach", "false"},
	}
	env := append(isolatedGit(),
		"GIT_PROJECT_ROOT="+s.root,
		"GIT_HTTP_EXPORT_ALL=1",
		"GIT_CONFIG_COUNT="+strconv.Itoa(len(settings)),
	)
	for i, setting := range settings {
		env = append(env,
			fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, setting[0]),
			fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, setting[1]))
	}
	return env
}

// isolatedGit keeps the settings of the person at the machine out of it.
func isolatedGit() []string {
	return []string{"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull}
}

func findBackend(ctx context.Context) (gitPath, backend string, err error) {
	gitPath, err = exec.LookPath("git")
	if err != nil {
		return "", "", fmt.Errorf("start the Git server: install Git first: %w", err)
	}
	out, err := exec.CommandContext(ctx, gitPath, "--exec-path").Output()
	if err != nil {
		return "", "", fmt.Errorf("start the Git server: git --exec-path: %w", err)
	}
	backend = filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		return "", "", fmt.Errorf("start the Git server: this Git comes without http-backend, install the full package: %w", err)
	}
	return gitPath, backend, nil
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection's own methods.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
