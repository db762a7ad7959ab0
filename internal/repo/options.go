package repo

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"
)

// CheckURL tells whether a text can be the address of a remote: http or https with a host and a path,
// and nothing in it that might be a secret. Its errors don't repeat the address.
func CheckURL(text string) error {
	_, err := parseURL(text)
	return err
}

func parseURL(text string) (*url.URL, error) {
	scheme, _, ok := strings.Cut(text, "://")
	switch scheme = strings.ToLower(scheme); {
	case !ok && strings.Contains(text, ":"), strings.Contains(scheme, "ssh"):
		return nil, errors.New("the repository's address is one for SSH, which isn't supported yet: " +
			"use its https:// address and a token")
	case !ok || scheme != "https" && scheme != "http":
		return nil, errors.New("the repository's address must start with https:// or http://")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		// The parser's own words would repeat the address with whatever is in it.
		return nil, errors.New("the repository's address is not a valid URL")
	case u.User != nil:
		return nil, errors.New("the repository's address must not hold a user name or a token: " +
			"give the token with --pat-file or --pat-stdin")
	case u.Hostname() == "":
		return nil, errors.New("the repository's address names no host")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return nil, errors.New("the repository's address must not have a query or a fragment")
	case strings.Trim(u.Path, "/") == "":
		return nil, errors.New("the repository's address names a server and no repository on it")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errors.New("the port in the repository's address is not a number from 1 to 65535")
		}
	}
	return u, nil
}

// endpoint is the address in the form of go-git, which sends the path as it is written here.
func endpoint(u *url.URL) *transport.Endpoint {
	host := u.Hostname()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	port, _ := strconv.Atoi(u.Port())
	return &transport.Endpoint{
		Protocol: strings.ToLower(u.Scheme),
		Host:     host,
		Port:     port,
		Path:     strings.TrimRight(u.EscapedPath(), "/"),
	}
}

// splitPath takes the path of a directory inside a repository apart.
func splitPath(path string) ([]string, error) {
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." {
			continue
		}
		if !validName(part) || strings.ContainsRune(part, '\\') {
			return nil, fmt.Errorf("%q can't be a path inside a Git repository", path)
		}
		parts = append(parts, part)
	}
	return slices.Clip(parts), nil
}

// validName tells whether Git takes a name as that of a tree's entry (git fsck --strict).
func validName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.EqualFold(name, ".git") &&
		!strings.ContainsAny(name, "/\x00")
}
