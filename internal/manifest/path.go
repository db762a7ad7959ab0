package manifest

import "strings"

// Location is what a path says about its object.
type Location struct {
	Group, Resource string
	// Namespace is "" for objects of the cluster.
	Namespace string
	Name      string
}

// ResourceName is "deployments.apps", or "services" for the core group.
func (l Location) ResourceName() string {
	if l.Group == "" {
		return l.Resource
	}
	return l.Resource + "." + l.Group
}

// ObjectName is how logs, commits and the status name the object at a canonical path, "deployments.apps
// shop/cart"; another path is named as it is.
func ObjectName(path string) string {
	l, ok := ParsePath(path)
	if !ok {
		return path
	}
	name := l.Name
	if l.Namespace != "" {
		name = l.Namespace + "/" + l.Name
	}
	return l.ResourceName() + " " + name
}

// Path is where the file of an object lies, relative to the enrolment's path:
//
//	namespaces/<namespace>/<resource>[.<group>]/<name>.yaml
//	cluster/<resource>[.<group>]/<name>.yaml
//
// What a file system or a shell may not take as it is stands as %XX: everything but ASCII letters, digits,
// dash, underscore and dot, a dot at the begin or at the end, and one letter of the names that Windows has
// for devices. A name that is longer than file systems take goes on in a subdirectory.
//
// Upper case, which RBAC names may have, stays: two objects whose names differ in nothing else are two files
// in Git, but only one in a checkout on a file system that ignores case.
func Path(r Resource, namespace, name string) string {
	if !r.Namespaced {
		namespace = ""
	}
	return Location{Group: r.Group, Resource: r.Name, Namespace: namespace, Name: name}.path()
}

// ParsePath is the inverse of Path: it is false for every path that Path doesn't give.
func ParsePath(path string) (Location, bool) {
	l, ok := parsePath(path)
	if !ok || l.Resource == "" || l.Name == "" || l.path() != path {
		return Location{}, false
	}
	return l, true
}

const (
	clusterDirectory   = "cluster/"
	namespaceDirectory = "namespaces/"
	extension          = ".yaml"
)

func (l Location) path() string {
	var b strings.Builder
	if l.Namespace == "" {
		b.WriteString(clusterDirectory)
	} else {
		b.WriteString(namespaceDirectory + escape(l.Namespace) + "/")
	}
	// The first dot ends the resource: one in its name, which no API has, is escaped.
	b.WriteString(strings.ReplaceAll(escape(l.Resource), ".", "%2E"))
	if l.Group != "" {
		b.WriteString("." + escape(l.Group))
	}
	b.WriteByte('/')
	for i, segment := range segments(l.Name) {
		if i > 0 {
			b.WriteString(continued)
		}
		b.WriteString(escape(segment))
	}
	b.WriteString(extension)
	return b.String()
}

// parsePath reads a path without asking whether it is written as Path would.
func parsePath(path string) (Location, bool) {
	rest, ok := strings.CutSuffix(path, extension)
	if !ok {
		return Location{}, false
	}
	var namespace string
	if namespaced, ok := strings.CutPrefix(rest, namespaceDirectory); ok {
		namespace, rest, ok = strings.Cut(namespaced, "/")
		if !ok || namespace == "" {
			return Location{}, false
		}
	} else if rest, ok = strings.CutPrefix(rest, clusterDirectory); !ok {
		return Location{}, false
	}
	directory, name, ok := strings.Cut(rest, "/")
	if !ok {
		return Location{}, false
	}
	resource, group, _ := strings.Cut(directory, ".")
	l := Location{Group: group, Resource: resource, Namespace: namespace, Name: strings.ReplaceAll(name, continued, "")}
	for _, part := range []*string{&l.Group, &l.Resource, &l.Namespace, &l.Name} {
		if *part, ok = unescape(*part); !ok {
			return Location{}, false
		}
	}
	return l, true
}

const (
	// maxSegment is the longest name of a file or a directory. File systems take 255 bytes; names of
	// objects have up to 253, escapes make them longer, and the last segment gets an extension.
	maxSegment = 240
	// continued stands between the segments of one name. In an escape, two digits follow the percent sign.
	continued = "%/"
)

// segments cuts a name where it gets too long for a file.
func segments(name string) []string {
	var parts []string
	begin, size := 0, 0
	for i := range len(name) {
		if size += escapedSize(name[i]); size > maxSegment-specialEscapes {
			parts = append(parts, name[begin:i])
			begin, size = i, escapedSize(name[i])
		}
	}
	return append(parts, name[begin:])
}

// specialEscapes is what the escapes of single plain characters add to a segment, at most.
const specialEscapes = 6

func escapedSize(c byte) int {
	if plain(c) {
		return 1
	}
	return len("%XX")
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
}

const upperHex = "0123456789ABCDEF"

// escape makes of any text the name of a file or a directory.
func escape(s string) string {
	device := isDevice(s)
	var b strings.Builder
	b.Grow(len(s))
	for i := range len(s) {
		c := s[i]
		edge := c == '.' && (i == 0 || i == len(s)-1)
		if plain(c) && !edge && !(device && i == 0) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&15])
	}
	return b.String()
}

// isDevice recognises the names that Windows has for devices, which it takes for them with any extension and
// in any case. (https://learn.microsoft.com/windows/win32/fileio/naming-a-file)
func isDevice(name string) bool {
	name, _, _ = strings.Cut(name, ".")
	if len(name) < 3 || len(name) > 4 {
		return false
	}
	switch name = strings.ToUpper(name); name {
	case "CON", "PRN", "AUX", "NUL":
		return true
	}
	port := name[:3]
	return len(name) == 4 && (port == "COM" || port == "LPT") && name[3] >= '0' && name[3] <= '9'
}

// IsSecretPath reports whether a canonical path is that of a Secret.
func IsSecretPath(path string) bool {
	if !strings.Contains(path, "/secrets/") {
		return false
	}
	location, ok := ParsePath(path)
	return ok && location.Group == "" && location.Resource == "secrets"
}

// unescape is the inverse of escape; false where an escape is malformed.
func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		high := strings.IndexByte(upperHex, s[i+1])
		low := strings.IndexByte(upperHex, s[i+2])
		if high < 0 || low < 0 {
			return "", false
		}
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return b.String(), true
}
