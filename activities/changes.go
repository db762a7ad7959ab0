package activities

import (
	"context"
	"log/slog"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/metrics"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// changeLog tells log and metrics of the objects that an activity changed. The log gets a line for each at the level
// Info as far as a status would list them, and for the others at the level Debug: the line of the activity has the
// counts of all, and a first sync of 100,000 objects doesn't push everything else out.
type changeLog struct {
	*Activities
	direction, message string
	told               int
}

// changed tells of one object: what is counted as added, updated or deleted may have a word of its own in the log.
func (l *changeLog) changed(path, counted, action string) {
	l.Metrics.Changed(l.direction, counted)
	level := slog.LevelInfo
	if l.told++; l.told > workflows.MaxListed {
		level = slog.LevelDebug
	}
	if l.Logger.Enabled(context.Background(), level) {
		l.Logger.Log(context.Background(), level, l.message, "cluster", l.Cluster,
			"direction", l.direction, "object", manifest.ObjectName(path), "action", action)
	}
}

// stored tells of what a push put into Git.
func (a *Activities) stored(changes []tree.Change) {
	l := &changeLog{Activities: a, direction: metrics.ToGit, message: "object committed"}
	for _, c := range changes {
		if beside(c.Path) {
			continue
		}
		action := actionOf(c)
		l.changed(c.Path, action, action)
	}
}

// beside tells whether a file lies beside the manifests, and isn't one.
func beside(path string) bool { return path == manifest.MarkerFile || path == secrets.ConfigFile }

func actionOf(c tree.Change) string {
	switch {
	case c.From.IsZero():
		return metrics.Added
	case c.To.IsZero():
		return metrics.Deleted
	}
	return metrics.Updated
}

// summarise counts what changed, files that aren't objects left out.
func summarise(changes []tree.Change) workflows.Changes {
	var c workflows.Changes
	for _, change := range changes {
		if beside(change.Path) {
			continue
		}
		switch actionOf(change) {
		case metrics.Added:
			c.Added++
		case metrics.Deleted:
			c.Deleted++
		default:
			c.Updated++
		}
		if len(c.Objects) < workflows.MaxListed {
			c.Objects = append(c.Objects, manifest.ObjectName(change.Path))
		}
	}
	return c
}
