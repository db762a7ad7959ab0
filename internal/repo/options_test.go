package repo_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
)

func TestCheckURL(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"https://github.com/org/repo.git":           "",
		"http://127.0.0.1:3000/repo":                "",
		"HTTPS://[::1]:8443/a/b/c.git/":             "",
		"https://dev.azure.com/org/My%20App/_git/x": "",
		"git@github.com:org/repo.git":               "SSH, which isn't supported yet",
		"github.com:org/repo.git":                   "SSH, which isn't supported yet",
		"ssh://git@github.com/org/s3cret.git":       "SSH, which isn't supported yet",
		"git+ssh://github.com/org/repo.git":         "SSH, which isn't supported yet",
		"git://github.com/org/repo.git":             "must start with https://",
		"file:///srv/repo.git":                      "must start with https://",
		"github.com/org/repo.git":                   "must start with https://",
		"/srv/repo.git":                             "must start with https://",
		"":                                          "must start with https://",
		"https://user:s3cret@github.com/org/repo":   "must not hold a user name or a token: give the token with --pat-file",
		"https://s3cret@github.com/org/repo":        "must not hold a user name or a token",
		"https:///org/repo.git":                     "names no host",
		"https://github.com":                        "names a server and no repository",
		"https://github.com/":                       "names a server and no repository",
		"https://github.com/org/repo?token=s3cret":  "must not have a query",
		"https://github.com/org/repo#s3cret":        "must not have a query or a fragment",
		"https://github.com:99999/org/repo":         "port",
		"https://user:s3cret@%zz/x":                 "not a valid URL",
		"https://github.com/org/\x7f":               "not a valid URL",
	}
	for url, want := range tests {
		err := repo.CheckURL(url)
		if want == "" {
			require.NoError(t, err, url)
			continue
		}
		require.ErrorContains(t, err, want, url)
		require.NotContains(t, err.Error(), "s3cret")
		_, err = repo.Open(repo.Options{URL: url})
		require.ErrorContains(t, err, want, "Open checks it too")
	}
}

func TestOpenRefusesNamesThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, o := range []repo.Options{
		{Branch: "a..b"}, {Branch: "a b"}, {Branch: "-"}, {Path: "../x"}, {Path: "a/.git/b"}, {Path: `a\b`},
	} {
		o.URL = "https://example.com/x.git"
		_, err := repo.Open(o)
		require.Error(t, err, "%+v", o)
	}
}

func TestCredentialsDoNotShow(t *testing.T) {
	t.Parallel()
	c := repo.Credentials{Username: "s3cret-user", Password: "s3cret", CA: []byte("s3cret-ca")}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "a", c, "b", &c, "c", []repo.Credentials{c}, "d", struct{ C repo.Credentials }{c})
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "a", c, "b", &c, "c", []repo.Credentials{c}, "d", struct{ C repo.Credentials }{c})
	data, err := json.Marshal(map[string]any{"c": c, "p": &c})
	require.NoError(t, err)
	log.Write(data)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		fmt.Fprintf(&log, verb+verb+verb, c, &c, struct{ C repo.Credentials }{c})
	}
	require.NotContains(t, log.String(), "s3cret")
	require.NotContains(t, log.String(), fmt.Sprintf("%x", "s3cret"))
}
