// Package workflows holds ClusterSync, the durable loop that keeps one Kubernetes cluster and one Git
// branch in step, and the names and types that the worker, the command line and other tools share with
// it. Payloads carry hashes, counts and names, never manifests and never secrets.
package workflows

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// Strategy says in which direction changes travel.
type Strategy string

const (
	// None keeps the enrolment and does nothing: the default.
	None Strategy = "none"
	// Push stores the cluster in Git; edits of manifests in Git are overwritten.
	Push Strategy = "push"
	// Pull applies Git to the cluster; what differs in the cluster is overwritten.
	Pull Strategy = "pull"
	// PushPull sends changes both ways. Where both sides changed the same, the policy for conflicts decides.
	PushPull Strategy = "push-pull"
)

// ParseStrategy reads a strategy as users write it.
func ParseStrategy(s string) (Strategy, error) {
	switch strategy := Strategy(s); strategy {
	case None, Push, Pull, PushPull:
		return strategy, nil
	}
	return "", fmt.Errorf("unknown strategy %q: use none, push, pull or push-pull", s)
}

// SecretsPolicy says what happens to objects of kind Secret.
type SecretsPolicy string

const (
	// SecretsEncrypt stores Secrets encrypted with SOPS, for the age recipients of the cluster's credentials.
	// Without an age identity there, push leaves Secrets alone, and says so.
	SecretsEncrypt SecretsPolicy = "encrypt"
	// SecretsExclude leaves Secrets alone on both sides.
	SecretsExclude SecretsPolicy = "exclude"
	// SecretsPlaintext stores Secrets like everything else: who can read the repository can read them.
	SecretsPlaintext SecretsPolicy = "plaintext"
)

// PrunePolicy says which objects of the cluster pull deletes.
type PrunePolicy string

const (
	// PruneTracked deletes what Git once held and holds no longer.
	PruneTracked PrunePolicy = "tracked"
	// PruneMirror deletes everything that takes part in the sync and isn't in Git. The first such set waits
	// for approval.
	PruneMirror PrunePolicy = "mirror"
	// PruneOff deletes nothing.
	PruneOff PrunePolicy = "off"
)

// LockPolicy says whether pull keeps people from editing synced objects in the cluster.
type LockPolicy string

const (
	// LockOn has the API server refuse edits of synced objects by people, while the strategy is pull.
	LockOn LockPolicy = "on"
	// LockOff lets everybody edit; what differs from Git is set back.
	LockOff LockPolicy = "off"
)

// ConflictPolicy says whose edit wins where push-pull finds that both sides changed the same field of an object
// in different ways. Either way both edits stay in the history of the branch.
type ConflictPolicy string

const (
	// ConflictGit lets the edit in Git win.
	ConflictGit ConflictPolicy = "git"
	// ConflictCluster lets the edit in the cluster win.
	ConflictCluster ConflictPolicy = "cluster"
	// ConflictHold leaves the object as it is on both sides until a person has made them agree.
	ConflictHold ConflictPolicy = "hold"
)

// AdoptPolicy is a person's word for the first sync with push-pull of a cluster and a place in Git that both hold
// objects already: what only one side holds is carried to the other, nothing is deleted, and where both hold an
// object and differ, this side wins.
type AdoptPolicy string

const (
	// AdoptGit makes the cluster's objects what Git says.
	AdoptGit AdoptPolicy = "git"
	// AdoptCluster stores the cluster's objects over those in Git.
	AdoptCluster AdoptPolicy = "cluster"
)

// Config is an enrolment: which cluster, which branch, which way. It holds no credentials; those stay in
// the cluster (Secret git-credentials in namespace active-cluster-sync).
type Config struct {
	// Cluster is the name of the enrolment, a DNS label.
	Cluster string `json:"cluster"`
	// ClusterUID is the UID of the namespace kube-system. A worker that is connected to a cluster with
	// another UID refuses to do anything.
	ClusterUID string `json:"clusterUID"`
	// Repository is the HTTP(S) address, without user information.
	Repository string `json:"repository"`
	Branch     string `json:"branch"`
	// Path is the folder in the repository, slash-separated; "." is its root.
	Path              string   `json:"path"`
	Strategy          Strategy `json:"strategy"`
	IgnoredNamespaces []string `json:"ignoredNamespaces"`
	// Interval is the time between the beginnings of two ticks, in JSON as "10s".
	Interval metav1.Duration `json:"interval"`
	Secrets  SecretsPolicy   `json:"secrets"`
	// IncludeResources take part although the rules leave them out, ExcludeResources don't take part:
	// "jobs.batch", "*.cert-manager.io".
	IncludeResources []string `json:"includeResources,omitempty"`
	ExcludeResources []string `json:"excludeResources,omitempty"`
	// IgnoreNames are patterns of names of objects that don't take part: "istio-*", "configmaps/istio-*".
	IgnoreNames []string `json:"ignoreNames,omitempty"`
	// Selector is a label selector that objects have to match, as kubectl takes it; "" for all.
	Selector string `json:"selector,omitempty"`
	// IgnoreFields are fields that don't take part: "deployments.apps:/spec/replicas", a resource and a JSON
	// pointer (RFC 6901). The cluster keeps its own value; Git's is used when an object is created.
	IgnoreFields []string `json:"ignoreFields,omitempty"`
	// Prune says which objects pull deletes; empty, as in enrolments of earlier versions, is tracked.
	Prune PrunePolicy `json:"prune,omitempty"`
	// RecreateImmutable lets pull delete and create again an object of which Git changed a field that can't
	// be changed, for kinds that lose nothing by it.
	RecreateImmutable bool `json:"recreateImmutable,omitempty"`
	// Lock says whether pull locks the synced objects; empty, as in enrolments of earlier versions, is off.
	Lock LockPolicy `json:"lock,omitempty"`
	// BreakGlassGroup is the group whose members the lock lets through.
	BreakGlassGroup string `json:"breakGlassGroup,omitempty"`
	// OnConflict says whose edit wins under push-pull; see Conflicts for what empty means.
	OnConflict ConflictPolicy `json:"onConflict,omitempty"`
	// Adopt lets push-pull begin where both sides hold objects already; empty: nobody has said so. It holds for the
	// strategy that it was given with, until the next one is set or, after a first agreement, other objects take part.
	Adopt AdoptPolicy `json:"adopt,omitempty"`
}

// Conflicts is whose edit wins under push-pull: Git's unless the enrolment says otherwise.
func (c Config) Conflicts() ConflictPolicy { return cmp.Or(c.OnConflict, DefaultConflict) }

// Locks reports whether the synced objects shall be locked. Under push-pull people edit either side.
func (c Config) Locks() bool { return c.Strategy == Pull && c.Lock == LockOn }

// Defaults of an enrolment.
const (
	DefaultBranch   = "main"
	DefaultPath     = "."
	DefaultInterval = 10 * time.Second
	DefaultSecrets  = SecretsEncrypt
	DefaultPrune    = PruneTracked
	DefaultLock     = LockOn
	DefaultConflict = ConflictGit
	// DefaultBreakGlassGroup is a group that no cluster has by itself.
	DefaultBreakGlassGroup = "active-cluster-sync:break-glass"
	// MinInterval keeps a typing mistake from hammering a Git host.
	MinInterval = time.Second
)

// DefaultIgnoredNamespaces are left out unless the enrolment says otherwise.
func DefaultIgnoredNamespaces() []string {
	return []string{"kube-system", "kube-public", "kube-node-lease"}
}

// CredentialsNamespace is where a cluster keeps its credentials; it is never synced.
const CredentialsNamespace = manifest.OwnNamespace

// CredentialsSecret is the name of the Secret with the Git credentials.
const CredentialsSecret = "git-credentials"

// Keys of the credentials, as Flux names them: the password is the personal access token, the CA
// certificates are optional.
const (
	UsernameKey = "username"
	PasswordKey = "password"
	CAKey       = "ca.crt"
)

// Keys of the age keys, beside the Git credentials. The first is what Flux looks for.
const (
	// AgeIdentityKey holds identities, as age-keygen writes them. Their public halves are recipients.
	AgeIdentityKey = "age.agekey"
	// AgeRecipientsKey holds more recipients, one a line.
	AgeRecipientsKey = "age.recipients"
)

// Validate says what is wrong with an enrolment and how to mend it.
func (c Config) Validate() error {
	if err := ValidateCluster(c.Cluster); err != nil {
		return err
	}
	if _, err := ParseStrategy(string(c.Strategy)); err != nil {
		return err
	}
	if c.Repository == "" {
		return errors.New("the repository is missing: give its HTTPS address")
	}
	if err := validateBranch(c.Branch); err != nil {
		return err
	}
	if err := validatePath(c.Path); err != nil {
		return err
	}
	if c.Interval.Duration < MinInterval {
		return fmt.Errorf("interval %s is too short: use %s or more", c.Interval.Duration, MinInterval)
	}
	switch c.Secrets {
	case SecretsEncrypt, SecretsExclude, SecretsPlaintext:
	default:
		return fmt.Errorf("unknown policy %q for Secrets: use encrypt, exclude or plaintext", c.Secrets)
	}
	switch c.Prune {
	case "", PruneTracked, PruneMirror, PruneOff:
	default:
		return fmt.Errorf("unknown policy %q for deletions: use tracked, mirror or off", c.Prune)
	}
	switch c.Lock {
	case "", LockOn, LockOff:
	default:
		return fmt.Errorf("the lock is on or off, not %q", c.Lock)
	}
	if err := validateConflicts(c.OnConflict); err != nil {
		return err
	}
	if err := validateAdopt(c.Strategy, c.Adopt); err != nil {
		return err
	}
	if _, err := c.Selection(); err != nil {
		return err
	}
	return ValidateNamespaces(c.IgnoredNamespaces)
}

// Selection is what takes part in the sync, where Secrets can be read.
func (c Config) Selection() (manifest.Selection, error) {
	s := manifest.Selection{
		Include: c.IncludeResources, Exclude: c.ExcludeResources, IgnoreNames: c.IgnoreNames,
		Secrets: manifest.SecretsTakePart,
	}
	if c.Secrets == SecretsExclude {
		s.Secrets = manifest.SecretsLeftOut
	}
	for _, resource := range slices.Concat(c.IncludeResources, c.ExcludeResources) {
		if err := manifest.ValidateResource(resource); err != nil {
			return s, err
		}
	}
	for _, pattern := range c.IgnoreNames {
		if err := manifest.ValidateNamePattern(pattern); err != nil {
			return s, err
		}
	}
	for _, field := range c.IgnoreFields {
		parsed, err := manifest.ParseIgnoredField(field)
		if err != nil {
			return s, err
		}
		s.IgnoreFields = append(s.IgnoreFields, parsed)
	}
	var err error
	s.Labels, err = manifest.ParseLabels(c.Selector)
	return s, err
}

// ValidateCluster checks the name of an enrolment.
func ValidateCluster(name string) error {
	if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
		return fmt.Errorf("cluster name %q is not a DNS label: use at most 63 of a-z, 0-9 and '-', with a letter or digit at both ends", name)
	}
	return nil
}

func validateConflicts(policy ConflictPolicy) error {
	switch policy {
	case "", ConflictGit, ConflictCluster, ConflictHold:
		return nil
	}
	return fmt.Errorf("unknown policy %q for conflicts: use git, cluster or hold", policy)
}

// validateAdopt checks an adoption against the strategy that it is given with.
func validateAdopt(strategy Strategy, adopt AdoptPolicy) error {
	switch adopt {
	case "":
		return nil
	case AdoptGit, AdoptCluster:
	default:
		return fmt.Errorf("either git or cluster can be adopted, not %q", adopt)
	}
	if strategy != PushPull {
		return fmt.Errorf("adopting %s goes with strategy push-pull, not with %s: set push-pull, or leave it out", adopt, strategy)
	}
	return nil
}

// ValidateNamespaces checks the names of namespaces.
func ValidateNamespaces(names []string) error {
	for _, name := range names {
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			return fmt.Errorf("%q is not a namespace: use at most 63 of a-z, 0-9 and '-', with a letter or digit at both ends", name)
		}
	}
	return nil
}

// validateBranch follows the rules of git-check-ref-format(1) for a branch name.
func validateBranch(name string) error {
	bad := name == "" || strings.HasPrefix(name, "-") || strings.HasPrefix(name, "/") || strings.HasSuffix(name, "/") ||
		strings.HasSuffix(name, ".") || name == "@" ||
		strings.Contains(name, "..") || strings.Contains(name, "//") || strings.Contains(name, "@{") ||
		strings.ContainsAny(name, " ~^:?*[\\\x7f") || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' })
	for part := range strings.SplitSeq(name, "/") {
		bad = bad || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock")
	}
	if bad {
		return fmt.Errorf("%q is not a valid Git branch name", name)
	}
	return nil
}

func validatePath(path string) error {
	if path == "." {
		return nil
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.ContainsAny(part, "\\\x00") {
			return fmt.Errorf("path %q is not a folder in the repository: give a relative path such as clusters/primary, without hidden folders", path)
		}
	}
	return nil
}

// Scope is what decides, beside the two sides' content, what a sync does. A settled point of push or pull holds only
// for the scope that it was reached in. Running enrolments hold such strings: they never change.
func (c Config) Scope() string {
	scope := string(c.Strategy) + " " + c.Selected()
	if c.Prune != "" && c.Prune != DefaultPrune {
		scope += " prune=" + string(c.Prune)
	}
	return scope
}

// Selected is which objects take part, in whatever direction: Scope without the strategy and what it deletes. What
// both sides agreed on under one strategy is the base of push-pull as long as this is the same.
func (c Config) Selected() string {
	selected := sorted(c.IgnoredNamespaces)
	if c.Secrets != SecretsExclude {
		selected += " secrets=" + string(c.Secrets)
	}
	for _, choice := range []struct{ name, value string }{
		{"include", sorted(c.IncludeResources)}, {"exclude", sorted(c.ExcludeResources)},
		{"names", sorted(c.IgnoreNames)}, {"selector", c.Selector}, {"fields", sorted(c.IgnoreFields)},
	} {
		if choice.value != "" {
			selected += " " + choice.name + "=" + choice.value
		}
	}
	return selected
}

func sorted(list []string) string {
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(list))), ",")
}

// WorkflowID is the ID of a cluster's ClusterSync and the name of its task queue.
func WorkflowID(cluster string) string { return "cluster-sync-" + cluster }

// WorkflowType is the registered name of ClusterSync.
const WorkflowType = "ClusterSync"
