// Package preview tells what the next sync of an enrolment would do, and why, without doing it. Nothing that it
// answers with holds a value of a Secret.
package preview

import (
	"cmp"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/desired"
	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Sides are the two sides of an enrolment as they are now.
type Sides struct {
	// Config has the strategy that is previewed.
	Config workflows.Config
	Rules  desired.Rules
	// Index has been read once; it need not be running any more.
	Index      *kube.Index
	Snapshot   kube.Snapshot
	Repository *repo.Repository
	// Revision is the one to compare with; zero where the branch doesn't exist.
	Revision plumbing.Hash
	// Settled is the revision that both sides agreed on last; zero before the first time.
	Settled plumbing.Hash
	// Tracked are the revisions whose objects Git has put into the cluster (workflows.ApplyInput).
	Tracked []plumbing.Hash
	// Agreement is what the workflow remembers beyond that. Push does without it.
	Agreement workflows.Agreement
	// Say is told in words what is being done.
	Say func(format string, args ...any)
}

// Preview is what a sync would do, and the JSON of `starter diff -o json`.
type Preview struct {
	Cluster  string             `json:"cluster"`
	Strategy workflows.Strategy `json:"strategy"`
	// Revision is what the cluster is compared with; empty where the branch doesn't exist.
	Revision string `json:"revision"`
	// Settled is the revision that both sides agreed on last; empty before the first time.
	Settled string `json:"settled"`
	// Refused is why nothing at all would be done.
	Refused string   `json:"refused,omitempty"`
	Changes []Change `json:"changes"`
	Counts  Counts   `json:"counts"`
	// Sides are the counts of each side under push-pull; what neither side gets is in Counts alone.
	Sides map[Direction]Counts `json:"sides,omitempty"`
	// Adoption is what there would be to do under push-pull with each side adopted, where one has to be.
	Adoption map[workflows.AdoptPolicy]Adoption `json:"adoption,omitempty"`
}

// Adoption is what a first sync under push-pull would do.
type Adoption struct {
	Counts Counts               `json:"counts"`
	Sides  map[Direction]Counts `json:"sides"`
}

// Direction is the side that gets a change.
type Direction string

const (
	ToCluster Direction = "cluster"
	ToGit     Direction = "git"
)

// Change is what would become of one object or file.
type Change struct {
	// Object is named as in the status: "deployments.apps shop/cart".
	Object string `json:"object"`
	Action Action `json:"action"`
	// Direction is empty for what neither side gets.
	Direction Direction `json:"direction,omitempty"`
	Reason    Reason    `json:"reason"`
	// Message is the reason in words, with what to do about it where something has to be done.
	Message string `json:"message"`
	// Conflict says that both sides were changed in ways that can't both be kept; nil where they weren't.
	Conflict *Conflict `json:"conflict,omitempty"`
	// File is where Git has the object, with the line: "shop/cart.yaml:12".
	File string `json:"file,omitempty"`
	// Masked: values in the diff are replaced by ***, because they are secret.
	Masked bool `json:"masked,omitempty"`
	// Diff is a unified diff, from how it is to how it would become; empty where there is nothing to show.
	Diff string `json:"diff,omitempty"`
	// Unconfirmed: the API server could not be asked what the object would become, so that the diff may only be
	// what it fills in by itself.
	Unconfirmed bool `json:"unconfirmed,omitempty"`
}

// Conflict is how push-pull decides between two edits.
type Conflict struct {
	// Winner is the side whose edit is kept; empty while both wait for somebody.
	Winner workflows.ConflictPolicy `json:"winner,omitempty"`
	// Fields are JSON pointers to what both changed; none where it is about the object as a whole.
	Fields []string `json:"fields,omitempty"`
}

// Action is what would be done.
type Action string

const (
	Create Action = "create"
	Update Action = "update"
	Delete Action = "delete"
	// Withhold is a deletion that would wait for approval.
	Withhold Action = "withhold"
	// Wait is what stays as it is on both sides until somebody has made them agree.
	Wait Action = "wait"
	// Fail is what could not be done.
	Fail Action = "fail"
)

// Reason is which side has moved since both agreed, or why something can't be done.
type Reason string

const (
	EditedInCluster  Reason = "EditedInCluster"
	MissingInCluster Reason = "MissingInCluster"
	AddedInCluster   Reason = "AddedInCluster"
	GoneFromCluster  Reason = "GoneFromCluster"
	AddedInGit       Reason = "AddedInGit"
	ChangedInGit     Reason = "ChangedInGit"
	GoneFromGit      Reason = "GoneFromGit"
	ChangedOnBoth    Reason = "ChangedOnBoth"
	// Differs: the two sides have never agreed, or what they agreed on can't be had any more.
	Differs Reason = "Differs"
	// Recipients: it is the same, encrypted for others than the enrolment says.
	Recipients Reason = "Recipients"
	// Mistake: a file in Git can't be read, or asks for something impossible.
	Mistake Reason = "Mistake"
	// Refused: the API server doesn't take it.
	Refused Reason = "Refused"
	// Unreadable: a resource of the cluster or a revision can't be read.
	Unreadable Reason = "Unreadable"
)

// Counts is how many changes there are of each action.
type Counts struct {
	Create   int `json:"create"`
	Update   int `json:"update"`
	Delete   int `json:"delete"`
	Withheld int `json:"withheld"`
	Failed   int `json:"failed"`
	// Waiting are objects that wait for somebody to make both sides agree, Conflicts all that both sides changed in
	// ways that can't both be kept.
	Waiting   int `json:"waiting,omitempty"`
	Conflicts int `json:"conflicts,omitempty"`
}

// Total is the number of all.
func (c Counts) Total() int {
	return c.Create + c.Update + c.Delete + c.Withheld + c.Failed + c.Waiting
}

// Empty reports whether the sync would find nothing to do.
func (p Preview) Empty() bool { return p.Refused == "" && p.Counts.Total() == 0 }

// of makes a preview of changes, in the order of the objects' names.
func of(s Sides, changes []Change) Preview {
	p := Preview{
		Cluster: s.Config.Cluster, Strategy: s.Config.Strategy,
		Revision: name(s.Revision), Settled: name(s.Settled), Changes: []Change{},
	}
	p.Changes = append(p.Changes, changes...)
	slices.SortStableFunc(p.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.File, b.File), cmp.Compare(a.Direction, b.Direction))
	})
	if s.Config.Strategy == workflows.PushPull {
		p.Sides = map[Direction]Counts{ToCluster: count(p.Changes, ToCluster), ToGit: count(p.Changes, ToGit)}
	}
	p.Counts = count(p.Changes, "", ToCluster, ToGit)
	return p
}

// refused is a preview of nothing, with the reason.
func refused(s Sides, why string) Preview {
	p := of(s, nil)
	p.Refused = why
	return p
}

// count counts the changes of some directions.
func count(changes []Change, directions ...Direction) Counts {
	var counts Counts
	conflicts := map[string]bool{} // an object may change on both sides
	for _, c := range changes {
		if !slices.Contains(directions, c.Direction) {
			continue
		}
		switch c.Action {
		case Create:
			counts.Create++
		case Update:
			counts.Update++
		case Delete:
			counts.Delete++
		case Withhold:
			counts.Withheld++
		case Wait:
			counts.Waiting++
		case Fail:
			counts.Failed++
		}
		if c.Conflict != nil {
			conflicts[c.Object] = true
		}
	}
	counts.Conflicts = len(conflicts)
	return counts
}

// name is a revision, empty for none.
func name(revision plumbing.Hash) string {
	if revision.IsZero() {
		return ""
	}
	return revision.String()
}

// short is a revision as people read it.
func short(revision plumbing.Hash) string { return revision.String()[:12] }

// unread are the resources that can't be read: what is said of their objects may be wrong.
func unread(s kube.Snapshot) []Change {
	var changes []Change
	for _, u := range s.Unread {
		changes = append(changes, Change{
			Object: u.Resource, Action: Fail, Reason: Unreadable, Message: "it can't be read: " + u.Message,
		})
	}
	return changes
}
