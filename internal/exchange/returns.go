package exchange

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
)

// returning is an object that the cluster makes the same again each time that it gets what Git says, with what is
// reported while the sync gives way. Two programs that each want their own value, in two clusters of a branch for
// instance, would make commits for ever.
type returning struct {
	plan.Contest
	message string
}

// returned remembers that Git got an object from the cluster, or kept its edit.
func (s *Sharing) returned(o *Subject) {
	rival, now := o.ByGit.Overwrote, time.Now()
	about := plan.Returning(o.Live, o.Git)
	c := s.Memory.returns[o.Path]
	c.Contest = c.Overwritten(about, now, rival.Manager != "" && !manifest.IsPerson(rival.Manager))
	c.message = s.returns(o, c.Times())
	s.Memory.returns[o.Path] = c
	if until, yields := c.Yields(about, now); yields {
		s.Logger.Warn("the cluster makes the object the same again each time that Git says something else; the sync gives way for a while",
			"object", manifest.ObjectName(o.Path), "manager", rival.Manager, "fields", rival.Fields, "until", until.UTC().Format(time.RFC3339))
	}
}

// givesWay is the reason for which the cluster's change isn't carried to Git for now; nil where there is none.
func (s *Sharing) givesWay(o *Subject) error {
	c := s.Memory.returns[o.Path]
	if until, yields := c.Yields(plan.Returning(o.Live, o.Git), time.Now()); yields {
		return &later{until: until, message: c.message}
	}
	return nil
}

// returns says who makes an object the same again and again, and what to do.
func (s *Sharing) returns(o *Subject, times int) string {
	who, flags := Rival(o.Path, o.ByGit.Overwrote)
	leave := ""
	if flags != "" {
		leave = ", or leave the field to each cluster with " + flags
	}
	return fmt.Sprintf("%s makes it the same again each time that Git says something else, %d times lately: stop that, or what changes it in Git%s; until then the cluster's change is stored at growing intervals",
		who, times, leave)
}

// later is why an object isn't stored before some time.
type later struct {
	until   time.Time
	message string
}

func (l *later) Error() string { return l.message }

// RetryAfter is when the first of the objects that Git didn't get is worth another try; 0 where nobody can tell.
func (s *Sharing) RetryAfter() time.Duration {
	var first time.Duration
	for _, err := range s.Failed {
		var l *later
		if !errors.As(err, &l) {
			continue
		}
		if after := max(time.Until(l.until), time.Second); first == 0 || after < first {
			first = after
		}
	}
	return first
}

// forgetReturns forgets the objects that have been left in peace.
func (m *Memory) forgetReturns() {
	for path, c := range m.returns {
		if c.Over(time.Now()) {
			delete(m.returns, path)
		}
	}
}

// maxNamed bounds the fields that an error names.
const maxNamed = 5

// Rival names who changes an object, and the flags that would leave the fields to the cluster.
func Rival(path string, o manifest.Overwrite) (who, flags string) {
	if who = fmt.Sprintf("%q", o.Manager); o.Manager == "" {
		who = "something in the cluster"
	}
	location, _ := manifest.ParsePath(path)
	var fields []string
	for _, field := range o.Fields[:min(len(o.Fields), maxNamed)] {
		fields = append(fields, "--ignore-field "+location.ResourceName()+":"+field)
	}
	if left := len(o.Fields) - maxNamed; left > 0 {
		fields = append(fields, fmt.Sprintf("(and %d more)", left))
	}
	return who, strings.Join(fields, " ")
}
