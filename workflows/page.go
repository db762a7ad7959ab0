package workflows

import (
	"fmt"
	"strings"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/internal/githost"
)

// Bounds of the page about a cluster, in bytes. The Web UI fetches it in a GET request, whose first line some proxies
// hold to 8 KiB.
const (
	maxPage    = 4000
	maxRequest = 7900
	// syncsRoom is kept for the last syncs while there is more to list.
	syncsRoom = 900
)

// Bounds of single texts on it, in characters.
const (
	maxName    = 80
	maxMessage = 300
	maxItem    = 200
)

// details is the page about a cluster in the Web UI, in Markdown: the verdict and what to do, the facts, what needs
// somebody, and the last syncs.
func details(s Status) string {
	p := new(page)
	p.verdict(s)
	p.facts(s)
	p.pending(s)
	p.list("Failures", s.FailedCount, lines(s.Failed, failureLine))
	p.list("Conflicts", len(s.Conflicts), lines(s.Conflicts, conflictLine))
	p.list("Left in the cluster though not in Git", s.KeptCount, lines(s.Kept, failureLine))
	p.syncs(s)
	p.handles(s)
	return p.text.String()
}

// page is Markdown that keeps to the bounds.
type page struct {
	text    strings.Builder
	request int // what the text takes in an address
}

// add appends a text unless there is no room for it, beyond what shall be left.
func (p *page) add(text string, left int) bool {
	request := p.request + encodedSize(text)
	if p.text.Len()+len(text)+left > maxPage || request+left > maxRequest {
		return false
	}
	p.text.WriteString(text)
	p.request = request
	return true
}

// encodedSize is how long a text is in the query of an address.
func encodedSize(text string) int {
	size := 0
	for _, b := range []byte(text) {
		if 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || strings.IndexByte("-_.!~*'()", b) >= 0 {
			size++
		} else {
			size += len("%20")
		}
	}
	return size
}

// verdict is what is read first: state and reason, what happened, and what to do.
func (p *page) verdict(s Status) {
	p.add(fmt.Sprintf("## %s: %s\n\n", s.State, camelCase(s.Reason)), 0)
	p.add(fmt.Sprintf("%s: %s\n\n", code(s.Cluster, maxName), prose(s.Message, maxMessage)), 0)
	if remedy := RemedyFor(s.Reason, s.Cluster); remedy != "" {
		p.add(fmt.Sprintf("> **To do:** %s\n\n", remedy), 0)
	}
}

// camelCase is what of a reason is one. In a heading, even code spans aren't safe from a renderer that takes IDs out.
func camelCase(reason string) string {
	letters := func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return -1
	}
	return oneLine(strings.Map(letters, reason), maxName)
}

// gap is between columns: the Web UI's tables have no padding of their own.
const gap = "\u2003"

func (p *page) facts(s Status) {
	p.add(fmt.Sprintf("| Strategy%s | %s |\n|:---|:---|\n", gap, strategyWords(s)), 0)
	fact := func(name, value string) {
		p.add(fmt.Sprintf("| %s%s | %s |\n", strings.ReplaceAll(name, " ", "\u00a0"), gap, value), 0)
	}
	fact("Repository", fmt.Sprintf("%s, branch %s, path %s",
		repositoryLink(s.Repository), code(s.Branch, maxName), code(s.Path, maxName)))
	fact("Revision", revisionLink(s.Repository, s.Revision))
	fact("Behind", (time.Duration(s.LagSeconds) * time.Second).String())
	if s.LastSyncTime != nil {
		fact("Last in sync", clock(*s.LastSyncTime))
	}
	fact("Objects", fmt.Sprint(s.Objects))
	if s.BranchEvent != nil {
		fact("Branch event", prose(s.BranchEvent.String(), maxItem)+", "+clock(s.BranchEvent.Time))
	}
	if lock := s.Lock.String(); lock != "" {
		fact("Lock", prose(lock, maxItem))
	}
}

func strategyWords(s Status) string {
	switch s.Strategy {
	case Push:
		return "push: the cluster is stored in Git"
	case Pull:
		return "pull: the cluster is made what Git says"
	case PushPull:
		return "push-pull: changes go both ways"
	}
	return prose(string(s.Strategy), maxName)
}

// repositoryLink shows a repository without what may come before its host in the address: a user and a password.
func repositoryLink(repository string) string {
	if page := githost.RepositoryPage(repository); page != "" {
		return link(code(strings.TrimPrefix(page, "https://"), maxName), page)
	}
	scheme, rest, found := strings.Cut(repository, "://")
	if !found {
		scheme, rest = "", repository
	} else {
		scheme += "://"
	}
	return code(scheme+rest[strings.LastIndex(rest, "@")+1:], maxName)
}

func revisionLink(repository, revision string) string {
	if revision == "" {
		return "–"
	}
	return link(code(short(revision), maxName), githost.CommitPage(repository, revision))
}

// clock is a time that doesn't break across lines.
func clock(at time.Time) string { return at.UTC().Format("Jan\u00a02\u00a015:04:05\u00a0UTC") }

// pending are the deletions that wait, with how to approve them from here.
func (p *page) pending(s Status) {
	if s.PendingDeletions == 0 {
		return
	}
	p.list("Deletions waiting for approval", s.PendingDeletions, lines(s.Pending.Objects, func(object string) string {
		return code(object, maxName)
	}))
	p.add(fmt.Sprintf("\nTo approve them from here: More Actions, Send an Update, %s with %s\n",
		code(ApproveMessage, maxName), code(fmt.Sprintf(`{"digest":"%s"}`, s.Pending.Digest), maxItem)), syncsRoom)
}

func lines[T any](rows []T, line func(T) string) []string {
	rows = rows[:min(len(rows), maxRows)]
	texts := make([]string, len(rows))
	for i, row := range rows {
		texts[i] = "- " + line(row) + "\n"
	}
	return texts
}

// maxRows bounds each list on the page.
const maxRows = 10

func failureLine(f Failure) string {
	text := code(f.Object, maxName)
	if f.File != "" {
		text += " in " + code(f.File, maxName)
	}
	return text + ": " + prose(f.Message, maxItem)
}

func conflictLine(c Conflict) string {
	return failureLine(Failure{Object: c.Object, File: c.File, Message: c.String()})
}

// list writes as many lines as there is room for, and how many there are in all.
func (p *page) list(heading string, total int, lines []string) {
	if total == 0 || !p.add(fmt.Sprintf("\n**%s: %d**\n\n", heading, total), syncsRoom) {
		return
	}
	written := 0
	for _, line := range lines {
		if !p.add(line, syncsRoom) {
			break
		}
		written++
	}
	if more := total - written; more > 0 {
		p.add(fmt.Sprintf("- and %d more, see `starter status`\n", more), 0)
	}
}

// syncs are the last ones that changed something. Their revisions are links as long as there is room for all rows.
func (p *page) syncs(s Status) {
	if len(s.Recent) == 0 {
		return
	}
	rows := s.Recent[:min(len(s.Recent), maxRecent)]
	table := func(repository string) string {
		var text strings.Builder
		row := func(cells ...string) { text.WriteString("| " + strings.Join(cells, gap+" | ") + " |\n") }
		text.WriteString("\n")
		row("Last syncs (UTC)", "To", "Revision", "Changes")
		text.WriteString("|:---|:---|:---|:---|\n")
		for _, r := range rows {
			row(strings.TrimSuffix(clock(r.Until()), "\u00a0UTC"), receiver(r.Direction), revisionLink(repository, r.Revision), changesWords(r))
		}
		return text.String()
	}
	for !p.add(table(s.Repository), 0) && !p.add(table(""), 0) && len(rows) > 1 {
		rows = rows[:len(rows)-1]
	}
}

// handles are what one can do from here. The static details that an enrolment starts with are gone when the workflow has
// continued as new, which it does several times a day.
func (p *page) handles(s Status) {
	p.add(fmt.Sprintf("\nFrom here: More Actions, Send an Update, for example %s with %s. On the command line: %s.\n",
		code(SetStrategyMessage, maxName), code(`{"strategy":"none"}`, maxName), code("starter status "+s.Cluster, maxItem)), 0)
}

// receiver is the side that a sync changed.
func receiver(direction Strategy) string {
	switch direction {
	case Push:
		return "Git"
	case Pull:
		return "cluster"
	}
	return prose(string(direction), maxName)
}

func changesWords(r Record) string {
	var parts []string
	for _, part := range []struct {
		count int
		what  string
	}{{r.Changes.Added, "added"}, {r.Changes.Updated, "updated"}, {r.Changes.Deleted, "deleted"}, {r.Failed, "failed"}} {
		if part.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.count, part.what))
		}
	}
	return strings.Join(parts, ", ")
}
