package repo

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// What callers decide by, with errors.Is. The texts around them are for people; none holds a secret.
var (
	// ErrAuth: the credentials are missing, wrong or don't suffice.
	ErrAuth = errors.New("the Git server refuses the credentials")
	// ErrNotFound: there is no such repository, or none that the credentials may see.
	ErrNotFound = errors.New("there is no such Git repository")
	// ErrMoved: the branch isn't where the caller has seen it. Nothing was written; plan again.
	ErrMoved = errors.New("the branch has moved")
	// ErrRejected: the server refuses the push by its own rules, such as a hook or a protected branch.
	ErrRejected = errors.New("the Git server rejects the push")
	// ErrUnreachable: no connection, no answer, or the server reports a failure of its own. After a
	// push the outcome may be unknown; Tip tells.
	ErrUnreachable = errors.New("the Git server can't be reached")
	// ErrStale: content changed while it was being pushed. Nothing was written; plan again.
	ErrStale = errors.New("the content has changed since it was looked at")
	// ErrTooLarge: a file is larger than MaxFileSize.
	ErrTooLarge = errors.New("the file is too large")
)

// RateLimitedError says that the server wants fewer requests.
type RateLimitedError struct{ RetryAfter time.Duration }

func (e *RateLimitedError) Error() string {
	return fmt.Sprintf("the Git server limits the rate of requests: try again in %s", e.RetryAfter)
}

const maxWords = 400

var (
	userInfo = regexp.MustCompile(`//[^/@\s]+@`)
	spaces   = regexp.MustCompile(`\s+`)
)

// words makes a foreign text fit for an error: one line, of a bounded length, without control
// characters, user info in URLs or any of the secrets.
func words(text string, secrets []string) string {
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return line(text, maxWords)
}

// line makes a foreign text one line of so many bytes at most, without control characters and user info in
// URLs.
func line(text string, limit int) string {
	text = userInfo.ReplaceAllString(text, "//***@")
	text = strings.Map(func(c rune) rune {
		switch {
		case unicode.IsSpace(c):
			return ' '
		case c == utf8.RuneError || !unicode.IsPrint(c):
			return -1
		}
		return c
	}, text)
	text = strings.TrimSpace(spaces.ReplaceAllString(text, " "))
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}
