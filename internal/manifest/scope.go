package manifest

import (
	"slices"
	"strings"
)

// OwnNamespace holds the credentials and the workers of the sync. It is never synced.
const OwnNamespace = "active-cluster-sync"

// Scope is the part of a cluster that is synced: everything but some namespaces.
type Scope struct {
	// IgnoredNamespaces are left alone, on top of the sync's own namespace.
	IgnoredNamespaces []string
}

// Ignores reports whether the canonical path belongs to an ignored namespace: is one of its objects or
// the Namespace itself.
func (s Scope) Ignores(path string) bool {
	namespace, ok := namespaceOf(path)
	if !ok {
		return false
	}
	return namespace == OwnNamespace || slices.Contains(s.IgnoredNamespaces, namespace)
}

// Namespaces are those that don't take part, the sync's own among them, in the order of their names.
func (s Scope) Namespaces() []string {
	return slices.Compact(slices.Sorted(slices.Values(append([]string{OwnNamespace}, s.IgnoredNamespaces...))))
}

// namespaceOf is the namespace that a path lies in or that it is the object of.
func namespaceOf(path string) (string, bool) {
	if rest, ok := strings.CutPrefix(path, namespaceDirectory); ok {
		segment, _, ok := strings.Cut(rest, "/")
		if !ok {
			return "", false
		}
		return unescape(segment)
	}
	if rest, ok := strings.CutPrefix(path, clusterDirectory+"namespaces/"); ok {
		segment, ok := strings.CutSuffix(rest, extension)
		if !ok {
			return "", false
		}
		return unescape(segment)
	}
	return "", false
}
