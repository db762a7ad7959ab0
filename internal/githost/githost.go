// Package githost knows the pages that Git hosts have for people: where a repository and its commits are looked at
// in a browser. It only reads addresses and asks nobody.
package githost

import (
	"net/url"
	"regexp"
	"strings"
)

// RepositoryPage is the address of a repository's page, and "" where the host's layout isn't known.
func RepositoryPage(repository string) string {
	page, _ := pages(repository)
	return page
}

// CommitPage is the address of a commit's page, and "" where the host's layout isn't known.
func CommitPage(repository, revision string) string {
	page, commits := pages(repository)
	if page == "" || !hash.MatchString(revision) {
		return ""
	}
	return page + commits + revision
}

var (
	hash = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	// What goes into a link has no character that would mean something in Markdown or HTML.
	hostname = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$`)
	segment  = regexp.MustCompile(`^[A-Za-z0-9~_][A-Za-z0-9~._-]*$`)
)

// pages are a repository's page and what comes between it and the hash of a commit.
func pages(repository string) (page, commits string) {
	u, err := url.Parse(repository)
	if err != nil || u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", ""
	}
	host, segments := strings.ToLower(u.Host), strings.Split(strings.Trim(u.EscapedPath(), "/"), "/")
	last := len(segments) - 1
	segments[last] = strings.TrimSuffix(segments[last], ".git")
	if !hostname.MatchString(host) {
		return "", ""
	}
	for _, s := range segments {
		// Azure DevOps has names with spaces.
		if !segment.MatchString(strings.ReplaceAll(s, "%20", "_")) {
			return "", ""
		}
	}
	page = "https://" + host + "/" + strings.Join(segments, "/")
	switch kind := layout(u.Hostname()); {
	case kind == azure && last >= 1 && segments[last-1] == "_git":
		return page, "/commit/"
	case kind == bitbucketServer && last == 2 && segments[0] == "scm" && !strings.HasPrefix(segments[1], "~"):
		return "https://" + host + "/projects/" + segments[1] + "/repos/" + segments[2], "/commits/"
	case kind == bitbucket && last == 1:
		return page, "/commits/"
	case kind == gitlab && last >= 1:
		return page, "/-/commit/"
	case kind == github && last == 1:
		return page, "/commit/"
	}
	return "", ""
}

type hostKind int

const (
	unknown hostKind = iota
	github           // and Gitea, Forgejo, which have the same addresses
	gitlab
	bitbucket
	bitbucketServer
	azure
)

// layout tells by the name of a host what runs there: the public ones by their address, others by their first label,
// as in gitlab.example.com.
func layout(host string) hostKind {
	host = strings.ToLower(host)
	switch {
	case host == "bitbucket.org":
		return bitbucket
	case host == "dev.azure.com", strings.HasSuffix(host, ".visualstudio.com"):
		return azure
	case host == "codeberg.org":
		return github
	}
	first, _, _ := strings.Cut(host, ".")
	switch first {
	case "github", "gitea", "forgejo":
		return github
	case "gitlab":
		return gitlab
	case "bitbucket":
		return bitbucketServer
	}
	return unknown
}
