package manifest

import (
	"slices"
	"strings"
)

// ownNamespace holds the credentials and the workers of the sync. It is never synced.
const ownNamespace = "active-cluster-sync"

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
	return namespace == ownNamespace || slices.Contains(s.IgnoredNamespaces, namespace)
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
