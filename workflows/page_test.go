package workflows

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gomarkdown/markdown/ast"
	"github.com/gomarkdown/markdown/parser"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/active-cluster-sync/active-cluster-sync/internal/githost"
)

const (
	gitlabRepository = "https://gitlab.example.com/lantern/shop.git"
	someRevision     = "0123456789abcdef0123456789abcdef01234567"
)

// parsed is Markdown as the server of the Web UI understands it.
func parsed(markdown string) ast.Node {
	return parser.NewWithExtensions(parser.CommonExtensions | parser.AutoHeadingIDs).Parse([]byte(markdown))
}

// visible is the text of a node.
func visible(node ast.Node) string {
	var text strings.Builder
	ast.WalkFunc(node, func(n ast.Node, entering bool) ast.WalkStatus {
		if leaf := n.AsLeaf(); leaf != nil && entering {
			text.Write(leaf.Literal)
		}
		return ast.GoToNext
	})
	return text.String()
}

// nodes are all of one kind, in order.
func nodes[N ast.Node](root ast.Node) []N {
	var found []N
	ast.WalkFunc(root, func(n ast.Node, entering bool) ast.WalkStatus {
		if match, ok := n.(N); ok && entering {
			found = append(found, match)
		}
		return ast.GoToNext
	})
	return found
}

func busyStatus() Status {
	at := time.Date(2026, 11, 23, 3, 14, 15, 0, time.UTC)
	s := Status{
		Cluster: "standby", Strategy: Pull, State: Blocked, Reason: MassDeletion,
		Message:    "12 deletions wait for `starter approve`, or for the objects to return to Git: see the list",
		Repository: gitlabRepository, Branch: "main", Path: "clusters/shop", Revision: someRevision,
		LastSyncTime: &at, LagSeconds: 150, Objects: 1234,
		Failed:      []Failure{{Object: "deployments.apps shop/cart", File: "shop/cart.yaml:3", Message: `denied by webhook: use --force, or ask "ops"`}},
		FailedCount: 3,
		Conflicts:   []Conflict{{Object: "configmaps shop/texts", Fields: []string{"/data/title"}, Message: "changed on both sides"}},

		PendingDeletions: 12, Pending: Pending{Digest: "f787b52b58ad8f1b", Objects: []string{"namespaces edge", "configmaps edge/x"}},
		Lock: LockStatus{State: LockingOn},
	}
	for i := range 12 {
		s.Recent = append(s.Recent, Record{Time: at.Add(-time.Duration(i) * time.Minute), Direction: Pull, Revision: someRevision, Changes: Changes{Added: i, Updated: 2}})
	}
	return s
}

func TestPageSaysStateFirstThenWhatToDo(t *testing.T) {
	page := details(busyStatus())
	doc := parsed(page)
	blocks := doc.GetChildren()
	require.Equal(t, "Blocked: MassDeletion", visible(blocks[0]))
	require.Contains(t, visible(blocks[1]), "12 deletions wait for starter approve, or for")
	require.IsType(t, &ast.BlockQuote{}, blocks[2])
	require.Contains(t, visible(blocks[2]), "To do: look at the list, then carry it out with starter approve standby")
	require.Contains(t, page, "`starter approve standby`")
	require.Contains(t, page, "`approve` with `{\"digest\":\"f787b52b58ad8f1b\"}`")

	tables := nodes[*ast.Table](doc)
	require.Len(t, tables, 2)
	facts := map[string]string{}
	for _, row := range nodes[*ast.TableRow](tables[0]) {
		cells := row.GetChildren()
		facts[strings.TrimSpace(visible(cells[0]))] = visible(cells[1])
	}
	require.Equal(t, map[string]string{
		"Strategy":               "pull: the cluster is made what Git says",
		"Repository":             "gitlab.example.com/lantern/shop, branch main, path clusters/shop",
		"Revision":               "0123456789ab",
		"Behind":                 "2m30s",
		"Last\u00a0in\u00a0sync": "Nov\u00a023\u00a003:14:15\u00a0UTC",
		"Objects":                "1234",
		"Lock":                   "On",
	}, facts)
	for _, line := range []string{
		"**Failures: 3**", "- `deployments.apps shop/cart` in `shop/cart.yaml:3`: denied by webhook: use `--force`, or ask \"ops\"\n",
		"- and 2 more, see `starter status`\n",
		"**Conflicts: 1**", "- `configmaps shop/texts`: changed on both sides; fields: `/data/title`\n",
		"**Deletions waiting for approval: 12**", "- `namespaces edge`\n",
	} {
		require.Contains(t, page, line)
	}

	require.True(t, strings.HasSuffix(page, "with `{\"strategy\":\"none\"}`. On the command line: `starter status standby`.\n"), page)

	syncs := nodes[*ast.TableRow](tables[1])
	require.Len(t, syncs, 1+maxRecent)
	require.Equal(t, "Nov\u00a023\u00a003:13:15\u2003cluster\u20030123456789ab\u20031 added, 2 updated", visible(syncs[2]))
	for _, link := range nodes[*ast.Link](doc)[1:] {
		require.Equal(t, "https://gitlab.example.com/lantern/shop/-/commit/"+someRevision, string(link.Destination))
	}
}

func TestPageOfAQuietClusterAsksForNothing(t *testing.T) {
	page := details(Status{Cluster: "edge", Strategy: Push, State: InSync, Reason: SidesAgree, Message: "cluster and Git agree", Repository: gitlabRepository})
	require.True(t, strings.HasPrefix(page, "## InSync: Settled\n\n`edge`: cluster and Git agree\n\n| Strategy"), page)
	require.NotContains(t, page, "To do")
	require.NotContains(t, page, "**")
}

func TestPageNeverShowsCredentials(t *testing.T) {
	for _, repository := range []string{
		"https://user:s3cret@gitlab.example.com/lantern/shop.git",
		"https://s3cret@gitlab.example.com/lantern/shop.git",
		"https://user:s3cret/pa@ss@gitlab.example.com/lantern/shop.git",
		"user:s3cret@gitlab.example.com:lantern/shop.git",
	} {
		page := details(Status{Cluster: "edge", Repository: repository, Revision: someRevision})
		require.NotContains(t, page, "s3cret", repository)
		require.Contains(t, page, "gitlab.example.com", repository)
		require.Empty(t, nodes[*ast.Link](parsed(page)))
	}
}

func TestFailuresLeaveRoomForTheLastSyncs(t *testing.T) {
	s := busyStatus()
	for i := range MaxListed {
		s.Failed = append(s.Failed, Failure{Object: fmt.Sprintf("deployments.apps shop/cart-%d", i), Message: strings.Repeat("denied by the webhook ", 20)})
	}
	s.FailedCount = 1234
	page := details(s)
	require.Contains(t, page, "more, see `starter status`")
	require.Len(t, nodes[*ast.TableRow](nodes[*ast.Table](parsed(page))[1]), 1+maxRecent)
	require.Less(t, len(page), 4096)
}

func TestTextFromOutsideStaysText(t *testing.T) {
	for _, text := range []string{
		"see https://evil.example/x, or HTTP://EVIL.example.", "www.evil.example and ops@evil.example", "mailto:a@b.c", "ftp://evil.example",
		"[click](https://evil.example)", "![x](https://evil.example/x.png)", "<https://evil.example>", "[a]: https://evil.example",
		"<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</td></tr></table>", "&lt;b&gt; &#60;b&#62; &amp;",
		"a | b || c \\| d \\\\| e", "`a | b`", "``` a ```", "`unclosed", "``", "a ` b `c` d", "`https://evil.example` https://evil.example`",
		"*a* **b** _c_ __d__ ~~e~~ ^f^ $x$ $$y$$ \\(z\\) \\[w\\]", "# heading", "> quote", "- item", "1. item", "{#id}", "[^1]", "a\nb\n\n# c\n|x|y|\n|---|---|\n",
		"trailing backslash \\", "\\", "tab\tand\u0000control\u202eoverride\u200bwidth", "bad \xff\xfe bytes", "Term\n: definition", "1/2 --flag (c) ...",
	} {
		doc := parsed("text: " + prose(text, 1000) + " end\n\n| a | b |\n|---|---|\n| " + prose(text, 1000) + " | " + code(text, 1000) + " |\n")
		requireInert(t, doc, text)
		require.Len(t, nodes[*ast.TableRow](doc), 2, text)
		require.Len(t, nodes[*ast.TableCell](doc), 4, text)
		if !strings.ContainsAny(text, "`|") {
			require.Equal(t, "text: "+oneLine(text, 1000)+" end", visible(doc.GetChildren()[0]), text)
		}
	}
}

func TestSummariesKeepToWhatTemporalTakes(t *testing.T) {
	require.Equal(t, "read the tip of main", oneLine("read the tip of main", maxSummary))
	require.LessOrEqual(t, len(oneLine(strings.Repeat("🎉", 300), maxSummary)), 400)
}

// requireInert fails where outside text became anything else than text and code.
func requireInert(t require.TestingT, root ast.Node, why string) {
	ast.WalkFunc(root, func(n ast.Node, _ bool) ast.WalkStatus {
		switch n := n.(type) {
		case *ast.Document, *ast.Paragraph, *ast.Text, *ast.Code,
			*ast.Table, *ast.TableHeader, *ast.TableBody, *ast.TableRow:
		case *ast.TableCell:
			require.Zero(t, n.ColSpan, why)
		default:
			require.Failf(t, "text became something else", "%T %q in %q: %q", n, visible(n), visible(n.GetParent()), why)
		}
		return ast.GoToNext
	})
}

// hostile are texts made of what means something to a renderer.
func hostile() *rapid.Generator[string] {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{
			"|", "||", "\\", "\\|", "`", "``", "```", "\n", "\n\n", "\n| x | y |\n", "|---|---|", "*", "**", "_", "~~", "$", "^", "#", "\n# ", "> ", "- ", "1. ",
			"[", "]", "](", ")", "[x](https://evil.example)", "https://evil.example", "http://", "www.evil.example", "a@evil.example", "mailto:", "<", ">", "<b>", "<!--",
			"</td>", "<script>", "&", "&#124;", "&lt;", ":", "\t", " ", "!", "{#x}", "\u202e", "\u0000", "\xff", "漢字", "🎉", "--", "...", `"`,
		}),
		rapid.StringN(0, 20, -1),
	)
	return rapid.Custom(func(t *rapid.T) string {
		text := strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(t, "pieces"), "")
		return strings.Repeat(text, rapid.SampledFrom([]int{1, 1, 1, 40}).Draw(t, "times"))
	})
}

func TestPropertyPageIsBoundedAndInert(t *testing.T) {
	text := hostile()
	count := rapid.IntRange(0, 1<<40)
	failures := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Failure {
		return Failure{Object: text.Draw(t, "object"), File: text.Draw(t, "file"), Message: text.Draw(t, "message")}
	}), 0, 15)
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "time"), 0)
		s := Status{
			Cluster: text.Draw(t, "cluster"), Strategy: rapid.SampledFrom([]Strategy{None, Push, Pull, PushPull}).Draw(t, "strategy"),
			State:      rapid.SampledFrom([]SyncState{Stopped, Paused, Syncing, InSync, Degraded, Blocked}).Draw(t, "state"),
			Reason:     rapid.OneOf(text, rapid.SampledFrom([]string{MassDeletion, ConflictsHeld, AuthFailed})).Draw(t, "reason"),
			Message:    text.Draw(t, "message"),
			Repository: rapid.OneOf(text, rapid.Just(gitlabRepository)).Draw(t, "repository"),
			Branch:     text.Draw(t, "branch"), Path: text.Draw(t, "path"),
			Revision:   rapid.OneOf(text, rapid.Just(someRevision)).Draw(t, "revision"),
			LagSeconds: int64(count.Draw(t, "lag")), Objects: count.Draw(t, "objects"), LastSyncTime: &at,
			Failed: failures.Draw(t, "failed"), FailedCount: count.Draw(t, "failedCount"),
			Kept: failures.Draw(t, "kept"), KeptCount: count.Draw(t, "keptCount"),
			PendingDeletions: count.Draw(t, "pending"), Pending: Pending{Digest: text.Draw(t, "digest"), Objects: rapid.SliceOfN(text, 0, 15).Draw(t, "deletions")},
			Lock:        LockStatus{State: LockingOn, Message: text.Draw(t, "lock")},
			BranchEvent: &BranchEvent{Time: at, Change: BranchRewound, From: text.Draw(t, "from"), To: text.Draw(t, "to")},
		}
		for _, f := range failures.Draw(t, "conflicts") {
			s.Conflicts = append(s.Conflicts, Conflict{Object: f.Object, File: f.File, Message: f.Message, Fields: []string{f.File}, Git: f.Object})
		}
		for range rapid.IntRange(0, 12).Draw(t, "syncs") {
			s.Recent = append(s.Recent, Record{Time: at, Direction: Pull, Revision: rapid.OneOf(text, rapid.Just(someRevision)).Draw(t, "of"), Changes: Changes{Deleted: 1}})
		}
		page := details(s)
		require.LessOrEqual(t, len(page), maxPage)
		require.LessOrEqual(t, encodedSize(page), maxRequest)
		require.True(t, utf8.ValidString(page))
		doc := parsed(page)
		requireInertPage(t, doc, page)
	})
}

// requireInertPage is requireInert with what the page itself is made of.
func requireInertPage(t *rapid.T, doc ast.Node, page string) {
	require.Len(t, nodes[*ast.Heading](doc), 1, page)
	for _, table := range nodes[*ast.Table](doc) {
		width := len(nodes[*ast.TableRow](table)[0].GetChildren())
		for _, row := range nodes[*ast.TableRow](table) {
			require.Len(t, row.GetChildren(), width, page)
		}
	}
	for _, link := range nodes[*ast.Link](doc) {
		require.True(t, strings.HasPrefix(string(link.Destination), githost.RepositoryPage(gitlabRepository)), page)
	}
	ast.WalkFunc(doc, func(n ast.Node, _ bool) ast.WalkStatus {
		switch n := n.(type) {
		case *ast.Document, *ast.Paragraph, *ast.Text, *ast.Code, *ast.Heading, *ast.BlockQuote, *ast.Strong, *ast.List, *ast.ListItem,
			*ast.Table, *ast.TableHeader, *ast.TableBody, *ast.TableRow, *ast.Link:
		case *ast.TableCell:
			require.Zero(t, n.ColSpan, page)
		default:
			require.Failf(t, "text became something else", "%T %q in %q: %q", n, visible(n), visible(n.GetParent()), page)
		}
		return ast.GoToNext
	})
	require.LessOrEqual(t, len(nodes[*ast.Table](doc)), 2, page)
	require.LessOrEqual(t, len(nodes[*ast.BlockQuote](doc)), 1, page)
}
