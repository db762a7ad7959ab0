package githost_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/githost"
)

const revision = "0123456789abcdef0123456789abcdef01234567"

func TestPagesOfKnownHosts(t *testing.T) {
	for repository, page := range map[string]string{
		"https://github.com/lantern/shop.git":                         "https://github.com/lantern/shop/commit/",
		"https://github.com/lantern/shop":                             "https://github.com/lantern/shop/commit/",
		"https://github.example.com/lantern/shop.git/":                "https://github.example.com/lantern/shop/commit/",
		"https://GitHub.com/Lantern/.git":                             "",
		"https://codeberg.org/lantern/shop.git":                       "https://codeberg.org/lantern/shop/commit/",
		"https://gitea.example.com:3000/lantern/shop.git":             "https://gitea.example.com:3000/lantern/shop/commit/",
		"https://forgejo.example.com/lantern/shop.git":                "https://forgejo.example.com/lantern/shop/commit/",
		"https://gitlab.com/lantern/shop.git":                         "https://gitlab.com/lantern/shop/-/commit/",
		"https://gitlab.example.com/lantern/retail/eu/shop.git":       "https://gitlab.example.com/lantern/retail/eu/shop/-/commit/",
		"https://bitbucket.org/lantern/shop.git":                      "https://bitbucket.org/lantern/shop/commits/",
		"https://bitbucket.example.com/scm/LAN/shop.git":              "https://bitbucket.example.com/projects/LAN/repos/shop/commits/",
		"https://dev.azure.com/lantern/retail/_git/shop":              "https://dev.azure.com/lantern/retail/_git/shop/commit/",
		"https://dev.azure.com/lantern/big%20project/_git/web%20shop": "https://dev.azure.com/lantern/big%20project/_git/web%20shop/commit/",
		"https://lantern.visualstudio.com/retail/_git/shop":           "https://lantern.visualstudio.com/retail/_git/shop/commit/",
	} {
		got, want := githost.CommitPage(repository, revision), page
		if want != "" {
			want += revision
			require.True(t, strings.HasPrefix(want, githost.RepositoryPage(repository)+"/"), repository)
		}
		require.Equal(t, want, got, repository)
	}
}

func TestNoPageWhereTheAddressIsNotKnownToBeSafe(t *testing.T) {
	for _, repository := range []string{
		"",
		"http://github.com/lantern/shop.git", // the page may be elsewhere
		"https://git.example.com/lantern/shop.git",       // any software
		"https://github.com.example.net:443x/lantern/sh", // no port
		"https://user:secret@github.com/lantern/shop.git",
		"https://token@github.com/lantern/shop.git",
		"https://github.com/lantern/shop.git?token=secret",
		"https://github.com/lantern/shop.git#main",
		"https://github.com/lantern/sh)op",
		"https://github.com/lantern/shop\"><script>",
		"https://github.com/lantern/../shop",
		"https://github.com/lantern/%2e%2e",
		"https://github.com/shop",
		"https://github.com/lantern/retail/shop",
		"https://dev.azure.com/lantern/shop",
		"https://bitbucket.example.com/scm/~anna/shop.git",
		"git@github.com:lantern/shop.git",
		"javascript:alert(1)",
		"://",
	} {
		require.Empty(t, githost.RepositoryPage(repository), repository)
		require.Empty(t, githost.CommitPage(repository, revision), repository)
	}
	for _, wrong := range []string{"", "main", revision[:12], revision + ")", strings.ToUpper(revision)} {
		require.Empty(t, githost.CommitPage("https://github.com/lantern/shop", wrong), wrong)
	}
}
