package manifest

import "strings"

// people are the managers that stand for a person: interactive clients, and tools that write what is in a
// person's files. A program that isn't known counts as a controller.
var people = map[string]string{
	FieldManager: "what Git says, or said",

	"oc":             "the client of OpenShift",
	"k9s":            "a client for terminals",
	"lens":           "a client for desktops",
	"openlens":       "a client for desktops",
	"freelens":       "a client for desktops",
	"node-fetch":     "what Lens and its like call themselves",
	"aptakube":       "a client for desktops",
	"octant":         "a dashboard",
	"headlamp":       "a dashboard",
	"dashboard":      "a dashboard",
	"portainer":      "a dashboard",
	"mozilla":        "a browser, through a dashboard that passes its name on",
	"curl":           "typed by hand, or in a script",
	"wget":           "typed by hand, or in a script",
	"httpie":         "typed by hand, or in a script",
	"postmanruntime": "a client for any HTTP server",
	"insomnia":       "a client for any HTTP server",

	"helm":                   "a person's chart",
	"helm-controller":        "a person's chart, by Flux",
	"kustomize-controller":   "a person's files, by Flux",
	"flux":                   "a person's files",
	"flux-client-side-apply": "a person's files",
	"kapp":                   "a person's files",
	"kubecfg":                "a person's files",
	"tk":                     "a person's files, by Tanka",
	"hashicorp":              "a person's files, by Terraform",
	"werf":                   "a person's files",
	"skaffold":               "a developer's work in progress",
	"tilt":                   "a developer's work in progress",
	"okteto":                 "a developer's work in progress",
	"devspace":               "a developer's work in progress",
}

// peoplePrefixes are how the names of more of them begin: kubectl-edit, argocd-server, pulumi-kubernetes-1a2b.
var peoplePrefixes = []string{"kubectl", "argocd", "terraform", "pulumi"}

// IsPerson reports whether a field manager stands for a person, and not for a program that acts by itself.
func IsPerson(manager string) bool {
	manager = strings.ToLower(manager)
	if people[manager] != "" {
		return true
	}
	for _, prefix := range peoplePrefixes {
		if strings.HasPrefix(manager, prefix) {
			return true
		}
	}
	return false
}

// undecided are names that tell nothing for sure. What they put into an object isn't taken for a person's, so
// that it doesn't get into Git, nor is an addition of theirs kept in the cluster: a controller would make it
// again, and would be named then as the one that does.
var undecided = map[string]string{
	"rancher":            "people's edits in its pages, and its controllers",
	"before-first-apply": "all who wrote before the server kept book",
	"unknown":            "a client without a name",
	"":                   "a client without a name",
}

// addsForGood reports whether what a manager adds to an object stays where Git says nothing about it.
func addsForGood(manager string) bool {
	return !IsPerson(manager) && undecided[strings.ToLower(manager)] == ""
}
