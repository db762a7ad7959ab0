package repo

import (
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"

	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// Credentials are what a Git server asks for. The zero value stands for anonymous access. However they
// are printed, logged or marshalled, nothing of them shows.
type Credentials struct {
	// Username may be empty for servers that only look at a token.
	Username string
	// Password is a password or a token.
	Password string
	// CA is a PEM bundle that is trusted in addition to the system's.
	CA []byte
}

const hidden = "(Git credentials)"

func (Credentials) String() string               { return hidden }
func (Credentials) GoString() string             { return hidden }
func (Credentials) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, hidden) }
func (Credentials) LogValue() slog.Value         { return slog.StringValue(hidden) }
func (Credentials) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// auth is what go-git puts into each request before the server asks for it; nil for anonymous access.
func (c Credentials) auth() githttp.AuthMethod {
	if c.Username == "" && c.Password == "" {
		return nil
	}
	basic := &githttp.BasicAuth{Username: c.Username, Password: c.Password}
	if basic.Username == "" {
		// GitHub, GitLab and Gitea take any name with a token, but none of them takes no name.
		basic.Username = "git"
	}
	return basic
}

// secrets are the texts that must not get into an error.
func (c Credentials) secrets() []string {
	basic, ok := c.auth().(*githttp.BasicAuth)
	if !ok {
		return nil
	}
	header := base64.StdEncoding.EncodeToString([]byte(basic.Username + ":" + basic.Password))
	if c.Password == "" {
		// A name without a password is a token in the place of the name.
		return []string{header, c.Username}
	}
	return []string{header, c.Password}
}
