package workflows

import "strings"

// Reason is what a Status.Reason means to a person.
type Reason struct {
	Name  string
	State SyncState
	// Meaning is a clause; Remedy is what to do, empty where there is nothing to be done. Both are Markdown, with
	// CLUSTER for the name of the cluster.
	Meaning, Remedy string
}

// Reasons are all that a status can have: those that need a person first, then what is tried again, then the rest.
var Reasons = []Reason{
	{AuthFailed, Blocked, "the Git host refuses the token, or the API server refuses the worker",
		"enroll again with a new token: `starter enroll CLUSTER --repo URL --pat-file FILE`, or mend the worker's kubeconfig, as the message says"},
	{CredentialsMissing, Blocked, "the cluster has no Secret with the Git credentials, or it lacks a key",
		"enroll again with the token: `starter enroll CLUSTER --repo URL --pat-file FILE`"},
	{InitialSyncCanceled, Blocked, "the first push found content in Git that isn't this cluster's; nothing was written",
		"empty this branch or path, or `starter unenroll CLUSTER` and enroll with an empty one; to keep both sides: `starter set-strategy CLUSTER push-pull --adopt git` or `--adopt cluster`"},
	{PathOwned, Blocked, "another cluster pushes to this branch and path, or clusters share it and this one would push",
		"`starter unenroll CLUSTER`, then enroll with another `--branch` or `--path`"},
	{AdoptionRequired, Blocked, "the first sync with push-pull found objects on both sides; nothing was written",
		"say whose objects win where both sides hold one: `starter set-strategy CLUSTER push-pull --adopt git` or `--adopt cluster`"},
	{ConflictsHeld, Blocked, "objects were changed on both sides and are held as they are",
		"make one side like the other, or decide all: `starter set-strategy CLUSTER push-pull --on-conflict git` or `cluster`"},
	{MassDeletion, Blocked, "a new revision would delete much, or something precious; the deletions wait",
		"look at the list, then carry it out with `starter approve CLUSTER`, or restore the files in Git"},
	{MirrorDeletion, Blocked, "the cluster holds objects that Git never held; their deletion waits",
		"look at the list, then carry it out with `starter approve CLUSTER`, or add the objects to Git"},
	{RepositoryNotFound, Blocked, "there is no repository at this address, or none that the token may see",
		"check the address and what the token may read; with a new token, enroll again; with another address, `starter unenroll CLUSTER` first"},
	{BranchNotFound, Blocked, "the branch isn't in the repository",
		"create or restore the branch"},
	{PushRejected, Blocked, "the Git host refuses the commit, as a protected branch does",
		"let the token push to this branch, or `starter unenroll CLUSTER` and enroll with another one"},
	{ClusterMismatch, Blocked, "the worker is connected to another cluster than the enrolled one; nothing was touched",
		"start the worker with the right `--cluster CLUSTER=CONTEXT`; if the cluster was replaced: `starter unenroll CLUSTER`, then enroll it"},
	{InvalidConfig, Blocked, "the enrolment can't work as it is",
		"enroll again without what the message names: `starter enroll CLUSTER`"},

	{ObjectsFailed, Degraded, "some objects can't be synced and are tried again; all others are in sync",
		"mend what the list of failures names; for the whole list: `starter status CLUSTER`"},
	{ResourcesUnreadable, Degraded, "some resources of the cluster can't be read; they are left as they are in Git",
		"let the worker list and watch them, or leave them out with `--exclude-resource`"},
	{ClusterUnreachable, Degraded, "the API server doesn't answer; it is tried again",
		"see that the worker reaches the API server; nothing is deleted meanwhile"},
	{RemoteUnreachable, Degraded, "the Git host doesn't answer; it is tried again",
		"see that the worker reaches the Git host; nothing is lost meanwhile"},
	{RateLimited, Degraded, "the other side asked to wait; it is tried again after that", ""},
	{RemoteMoved, Degraded, "somebody else moves the branch all the time; it is tried again",
		"find out who else pushes to this branch all the time"},
	{DiskFull, Degraded, "the worker can't write to its data directory",
		"make room on the worker's disk, or give it another `--data-dir`"},
	{WorkerTimeout, Degraded, "the worker stopped answering in the middle of its work; it is tried again",
		"see the worker's log, whether it was killed and has enough memory"},
	{ActivityFailed, Degraded, "an error without a name of its own; it is tried again",
		"see the message, and the worker's log"},

	{FirstSync, Syncing, "the first sync is under way", ""},
	{RulesChanged, Syncing, "the first sync with the new strategy or namespaces is under way", ""},
	{ChangesSeen, Syncing, "changes are being transferred", ""},
	{SidesAgree, InSync, "both sides agree", ""},
	{PausedByUser, Paused, "somebody paused the sync; nothing runs", "go on with `starter resume CLUSTER`"},
	{StrategyNone, Stopped, "the strategy is none; nothing runs",
		"choose a direction: `starter set-strategy CLUSTER push`, `pull` or `push-pull`"},
}

// RemedyFor is what to do about a reason, in Markdown; empty where there is nothing to be done.
func RemedyFor(reason, cluster string) string {
	for _, r := range Reasons {
		if r.Name == reason {
			return strings.ReplaceAll(r.Remedy, "CLUSTER", strings.Trim(code(cluster, maxName), "`"))
		}
	}
	return ""
}
