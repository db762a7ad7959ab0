package kube

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// Option changes how a cluster is connected to.
type Option func(*rest.Config)

// Observed tells of each request to the API server: its verb as in the server's audit log ("discovery" for what is
// about no resource), the HTTP status or "error" when there was no answer, and the time until the answer began. A
// watch goes on after that.
func Observed(tell func(verb, code string, took time.Duration)) Option {
	return func(config *rest.Config) {
		config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &observed{next, tell} })
	}
}

type observed struct {
	next http.RoundTripper
	tell func(verb, code string, took time.Duration)
}

func (o *observed) RoundTrip(request *http.Request) (*http.Response, error) {
	began := time.Now()
	response, err := o.next.RoundTrip(request)
	code := "error"
	if err == nil {
		code = strconv.Itoa(response.StatusCode)
	}
	o.tell(requestVerb(request), code, time.Since(began))
	return response, err
}

// WrappedRoundTripper lets client-go reach the transport, to close connections that are broken.
func (o *observed) WrappedRoundTripper() http.RoundTripper { return o.next }

// requestVerb is what a request does.
func requestVerb(r *http.Request) string {
	segments := pathInGroup(r.URL.Path)
	if len(segments) == 0 {
		return "discovery"
	}
	collection := len(segments) == 1
	switch r.Method {
	case http.MethodGet:
		switch watch := r.URL.Query().Get("watch"); {
		case watch == "true" || watch == "1":
			return "watch"
		case collection:
			return "list"
		}
		return "get"
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodDelete:
		if collection {
			return "deletecollection"
		}
		return "delete"
	}
	return strings.ToLower(r.Method)
}

// pathInGroup is what a path says after group, version and namespace: a resource, perhaps with a name and a
// subresource. The API server may be below a path of its own.
func pathInGroup(path string) []string {
	var segments []string
	if _, rest, ok := strings.Cut(path, "/apis/"); ok {
		segments = strings.Split(strings.Trim(rest, "/"), "/")
		segments = segments[min(len(segments), 2):] // group and version
	} else if _, rest, ok := strings.Cut(path, "/api/"); ok {
		segments = strings.Split(strings.Trim(rest, "/"), "/")[1:]
	}
	if len(segments) > 2 && segments[0] == "namespaces" {
		segments = segments[2:]
	}
	return segments
}
