package workflows

import (
	"fmt"
	"strings"
	"unicode"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Search attributes of ClusterSync, all of type Keyword.
var (
	ClusterNameAttribute  = temporal.NewSearchAttributeKeyKeyword("ClusterName")
	SyncStrategyAttribute = temporal.NewSearchAttributeKeyKeyword("SyncStrategy")
	SyncStateAttribute    = temporal.NewSearchAttributeKeyKeyword("SyncState")
	SyncRevisionAttribute = temporal.NewSearchAttributeKeyKeyword("SyncRevision")
)

// attributes are the values of the search attributes that change.
type attributes struct {
	strategy Strategy
	state    SyncState
	revision string
}

// InitialAttributes are the search attributes that an enrolment starts with.
func InitialAttributes(c Config) temporal.SearchAttributes {
	state, _, _ := (&State{Config: c}).health()
	return temporal.NewSearchAttributes(
		ClusterNameAttribute.ValueSet(c.Cluster),
		SyncStrategyAttribute.ValueSet(string(c.Strategy)),
		SyncStateAttribute.ValueSet(string(state)),
		SyncRevisionAttribute.ValueSet(""),
	)
}

// publish shows the state in the Web UI. Search attributes cost an event each time, so they are sent
// only when they changed.
func (s *clusterSync) publish(ctx workflow.Context) error {
	status := s.state.status(workflow.Now(ctx))
	workflow.SetCurrentDetails(ctx, details(status))
	now := attributes{strategy: status.Strategy, state: status.State, revision: status.Revision}
	if now == s.published {
		return nil
	}
	s.published = now
	return workflow.UpsertTypedSearchAttributes(ctx,
		ClusterNameAttribute.ValueSet(status.Cluster),
		SyncStrategyAttribute.ValueSet(string(now.strategy)),
		SyncStateAttribute.ValueSet(string(now.state)),
		SyncRevisionAttribute.ValueSet(now.revision))
}

// Bounds of the page: the Web UI fetches it in a GET request, which holds about 4 KB.
const (
	maxDetails       = 4000
	maxDetailRows    = 10
	maxDetailMessage = 300
)

// details is the page about a cluster in the Web UI, in Markdown. Text from outside is escaped.
func details(s Status) string {
	var page strings.Builder
	page.WriteString(fmt.Sprintf("## %s: %s\n\n%s\n\n", escape(s.Cluster), s.State, escape(s.Message)))
	page.WriteString(fmt.Sprintf("| | |\n|---|---|\n| Reason | %s |\n| Strategy | %s |\n| Repository | %s |\n| Branch, path | %s, %s |\n| Revision | %s |\n| Objects | %d |\n| Behind | %d s |\n",
		escape(s.Reason), s.Strategy, escape(s.Repository), escape(s.Branch), escape(s.Path), orDash(short(s.Revision)), s.Objects, s.LagSeconds))
	if s.LastSyncTime != nil {
		page.WriteString(fmt.Sprintf("| Last agreed | %s |\n", s.LastSyncTime.UTC().Format("2006-01-02 15:04:05 UTC")))
	}
	if s.BranchEvent != nil {
		page.WriteString(fmt.Sprintf("| Branch event | %s, %s |\n", escape(s.BranchEvent.String()), s.BranchEvent.Time.UTC().Format("2006-01-02 15:04:05 UTC")))
	}
	if lock := s.Lock.String(); lock != "" {
		page.WriteString(fmt.Sprintf("| Lock | %s |\n", escape(lock)))
	}
	section(&page, "Deletions waiting for approval", s.PendingDeletions, s.Pending.Objects, escape)
	section(&page, "Failures", s.FailedCount, s.Failed, func(f Failure) string {
		return fmt.Sprintf("%s %s: %s", escape(f.Object), escape(f.File), escape(f.Message))
	})
	section(&page, "Conflicts", len(s.Conflicts), s.Conflicts, func(c Conflict) string {
		return fmt.Sprintf("%s %s: %s", escape(c.Object), escape(c.File), escape(c.String()))
	})
	section(&page, "Left in the cluster though not in Git", s.KeptCount, s.Kept, func(f Failure) string {
		return fmt.Sprintf("%s: %s", escape(f.Object), escape(f.Message))
	})
	section(&page, "Last syncs", len(s.Recent), s.Recent, func(r Record) string {
		return fmt.Sprintf("%s %s %s: %d added, %d updated, %d deleted", r.Time.UTC().Format("01-02 15:04:05"),
			r.Direction, short(r.Revision), r.Changes.Added, r.Changes.Updated, r.Changes.Deleted)
	})
	return page.String()
}

// section writes a list with a heading, as far as the page has room.
func section[T any](page *strings.Builder, heading string, total int, rows []T, line func(T) string) {
	if total == 0 {
		return
	}
	page.WriteString(fmt.Sprintf("\n**%s: %d**\n\n", heading, total))
	for _, row := range rows[:min(len(rows), maxDetailRows)] {
		text := "- " + line(row) + "\n"
		if page.Len()+len(text) > maxDetails {
			page.WriteString("- …\n")
			return
		}
		page.WriteString(text)
	}
}

// escape makes text from outside plain: the Web UI would render Markdown and pass raw HTML on.
func escape(text string) string {
	var out strings.Builder
	for i, r := range text {
		switch {
		case i >= maxDetailMessage:
			return out.String() + "…"
		case strings.ContainsRune(`<>&`, r):
			out.WriteString(fmt.Sprintf("&#%d;", r))
		case strings.ContainsRune("\\`*_[]()#|!~", r):
			out.WriteRune('\\')
			out.WriteRune(r)
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			out.WriteRune(' ')
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

func orDash(text string) string {
	if text == "" {
		return "–"
	}
	return text
}
