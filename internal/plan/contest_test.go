package plan_test

import (
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
)

func TestASyncGivesWayToWhatWritesAgainAndAgain(t *testing.T) {
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	git := hash("git")
	for name, c := range map[string]struct {
		overwrites []int // at these seconds
		person     bool
		yields     int // seconds after the last one
	}{
		"twice is nothing":                       {overwrites: []int{0, 1}},
		"three times is a quarrel":               {overwrites: []int{0, 1, 2}, yields: 10},
		"but not within ten minutes":             {overwrites: []int{0, 200, 400}},
		"once more after the pause":              {overwrites: []int{0, 1, 2, 13}, yields: 20},
		"and again":                              {overwrites: []int{0, 1, 2, 13, 34}, yields: 40},
		"five minutes at most":                   {overwrites: []int{0, 1, 2, 13, 34, 75, 156, 317, 618}, yields: 300},
		"a person may do it nine times":          {overwrites: []int{0, 1, 2, 3, 4, 5, 6, 7, 8}, person: true},
		"ten times is a script":                  {overwrites: []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, person: true, yields: 10},
		"after a calm it begins anew":            {overwrites: []int{0, 1, 2, 400}},
		"the calm begins when the pause is over": {overwrites: []int{0, 1, 2, 305}, yields: 20},
	} {
		t.Run(name, func(t *testing.T) {
			var contest plan.Contest
			for _, second := range c.overwrites {
				contest = contest.Overwritten(git, at(second), !c.person)
			}
			last := c.overwrites[len(c.overwrites)-1]
			until, yields := contest.Yields(git, at(last))
			require.Equal(t, c.yields > 0, yields)
			if yields {
				require.Equal(t, at(last+c.yields), until)
			}
			_, yields = contest.Yields(git, at(last+c.yields))
			require.False(t, yields, "then it writes")
			_, yields = contest.Yields(hash("another content"), at(last))
			require.False(t, yields, "a change in Git is written at once")
		})
	}
}

func TestAQuarrelIsForgotten(t *testing.T) {
	now := time.Now()
	var contest plan.Contest
	require.True(t, contest.Over(now))
	for range 3 {
		contest = contest.Overwritten(plumbing.ZeroHash, now, true)
	}
	until, yields := contest.Yields(plumbing.ZeroHash, now)
	require.True(t, yields)
	require.False(t, contest.Over(until.Add(5*time.Minute)))
	require.True(t, contest.Over(until.Add(5*time.Minute+time.Second)))
	require.Equal(t, 3, contest.Times())

	other := contest.Overwritten(hash("another content"), now, true)
	require.Equal(t, 1, other.Times())
}

func TestWhatAClusterReturnsToIsAboutBothContents(t *testing.T) {
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	about := plan.Returning(hash("live"), hash("git"))
	var contest plan.Contest
	for second := range 3 {
		contest = contest.Overwritten(about, start.Add(time.Duration(second)*time.Second), true)
	}
	_, yields := contest.Yields(about, start.Add(3*time.Second))
	require.True(t, yields)
	for name, other := range map[string]plumbing.Hash{
		"Git says something new":         plan.Returning(hash("live"), hash("new")),
		"the cluster has something new":  plan.Returning(hash("new"), hash("git")),
		"the two have changed places":    plan.Returning(hash("git"), hash("live")),
		"the object is gone in Git":      plan.Returning(hash("live"), plumbing.ZeroHash),
		"the object is gone in clusters": plan.Returning(plumbing.ZeroHash, hash("git")),
	} {
		_, yields := contest.Yields(other, start.Add(3*time.Second))
		require.False(t, yields, name)
	}
}
