package plan

import (
	"slices"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// Contest is what is known of somebody else who changes an object back each time that a sync has carried the other
// side's content over. The zero value knows of nobody.
type Contest struct {
	// About is the content that it is about. Another one begins anew. For pull it is what Git says, for push-pull
	// see Returning.
	About plumbing.Hash
	// Overwrites are the times at which one side was made what it had been before; only the last ones.
	overwrites []time.Time
	// pauses is how often the sync has given way in a row, until is to when it does.
	pauses int
	until  time.Time
}

// Overwriting once and again is what a sync is for: a person tries something, a program starts up. This often
// within the period is a quarrel. A person is given more, for one can be faster than one who reads.
const (
	contestPeriod     = 5 * time.Minute
	programOverwrites = 3
	personOverwrites  = 10
)

// Bounds of the time for which a sync gives way.
const (
	firstPause = 10 * time.Second
	lastPause  = 5 * time.Minute
)

// Returning is what a contest of push-pull is about: a cluster that makes an object this each time that it gets
// that from Git.
func Returning(live, git plumbing.Hash) plumbing.Hash {
	return plumbing.ComputeHash(plumbing.BlobObject, slices.Concat(live[:], git[:]))
}

// Overwritten adds that one side was made what the other says once more, after a person or a program, or nobody
// knows who, had changed it.
func (c Contest) Overwritten(about plumbing.Hash, at time.Time, program bool) Contest {
	if c.About != about || c.Over(at) {
		c = Contest{About: about}
	}
	c.overwrites = append(slices.Clone(c.overwrites), at)
	if len(c.overwrites) > personOverwrites {
		c.overwrites = c.overwrites[1:]
	}
	limit := personOverwrites
	if program {
		limit = programOverwrites
	}
	quarrel := len(c.overwrites) >= limit && at.Sub(c.overwrites[len(c.overwrites)-limit]) <= contestPeriod
	if quarrel || c.pauses > 0 {
		c.until = at.Add(min(firstPause<<min(c.pauses, 10), lastPause))
		c.pauses++
	}
	return c
}

// Yields reports until when the sync leaves the object to the other one; false when it doesn't.
func (c Contest) Yields(about plumbing.Hash, now time.Time) (until time.Time, yields bool) {
	return c.until, c.About == about && now.Before(c.until)
}

// Over reports whether the object has been left in peace for so long that it is forgotten.
func (c Contest) Over(now time.Time) bool {
	if len(c.overwrites) == 0 {
		return true
	}
	last := c.overwrites[len(c.overwrites)-1]
	if c.until.After(last) {
		last = c.until
	}
	return now.Sub(last) > contestPeriod
}

// Times is how often the object was overwritten lately.
func (c Contest) Times() int { return len(c.overwrites) }
