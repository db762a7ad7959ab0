package kube

import (
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// advices are what to do about refusals that have no code of their own: the words of the API server and of its
// admission plug-ins tell them apart.
var advices = []struct {
	applies func(err error) bool
	text    string
}{
	{says("denied the request", "denied request:"),
		"refused by an admission webhook or policy of the cluster; make the object meet it, or exempt it there"},
	{says("failed calling webhook"),
		"an admission webhook that has to be asked doesn't answer; repair the service behind it, or delete its configuration"},
	{says("exceeded quota"), "the quota of its namespace is used up; raise it, or ask for less"},
	{says("failed quota"), "the quota of its namespace limits what the object doesn't name; add that to the object"},
	{says("etcdserver: request is too large", "trying to send message larger than max"), tooLarge},
	{apierrors.IsRequestEntityTooLargeError, tooLarge},
	{says("strict decoding error", "failed to create typed patch object"),
		"it has fields that this cluster doesn't know, or has one twice; correct them, or upgrade what defines the kind"},
	{apierrors.IsBadRequest, "the API server can't read it; correct the field that it names"},
}

const tooLarge = "it is larger than a cluster can store, which is about 1.5 MiB; split it"

// advice is what to do about an error; empty where that isn't known.
func advice(err error) string {
	for _, a := range advices {
		if a.applies(err) {
			return a.text
		}
	}
	return ""
}

func says(words ...string) func(error) bool {
	return func(err error) bool {
		for _, w := range words {
			if strings.Contains(err.Error(), w) {
				return true
			}
		}
		return false
	}
}
