// Package kube is one Kubernetes cluster: the connection to it, an index of its exportable objects that
// watches keep current, and the writer that makes objects equal to what Git says.
package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	dialTimeout = 10 * time.Second
	// requestTimeout is above the 60 seconds in which an API server itself gives up on a request, so
	// that its answer is the one that is seen.
	requestTimeout = 65 * time.Second
)

// Cluster is a connection to one Kubernetes cluster. It is safe for concurrent use.
type Cluster struct {
	host      string
	dynamic   dynamic.Interface // each request ends after requestTimeout
	streams   dynamic.Interface // without a timeout, for lists that take long
	watcher   rest.Interface    // the same, for watches
	metadata  metadata.Interface
	discovery *discovery.DiscoveryClient
	core      coreclient.CoreV1Interface
	access    authorizationclient.AuthorizationV1Interface
	identity  authenticationclient.AuthenticationV1Interface
}

// Connect prepares the connection to the cluster of a kubeconfig's context; it sends no request. Without
// a context it is the current one, and without both, the cluster that the process runs in. A context
// without a kubeconfig is looked for in $KUBECONFIG and ~/.kube/config.
func Connect(kubeconfig, context string, options ...Option) (*Cluster, error) {
	config, err := load(kubeconfig, context)
	if err != nil {
		return nil, err
	}
	return newCluster(config, options)
}

func load(kubeconfig, context string) (*rest.Config, error) {
	if kubeconfig == "" && context == "" {
		config, err := rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, errors.New("not running inside a Kubernetes cluster: name a kubeconfig with --kubeconfig")
		}
		if err == nil {
			config.DisableCompression = true // the network is fast there
		}
		return config, err
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: context}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	return config, nil
}

func newCluster(config *rest.Config, options []Option) (*Cluster, error) {
	config = rest.CopyConfig(config)
	for _, option := range options {
		option(config)
	}
	config.UserAgent = "active-cluster-sync/" + version()
	// Every caller bounds its own concurrency, and the API server has priority and fairness.
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	config.Timeout = 0
	// Compressing what doesn't leave the machine takes longer than reading it. Elsewhere it is the
	// kubeconfig that says, with disable-compression.
	config.DisableCompression = config.DisableCompression || loopback(config.Host)
	if config.Dial == nil {
		config.Dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	}
	shared, err := transport(config)
	if err != nil {
		return nil, err
	}
	// Watches share one connection of HTTP/2. A request has one of HTTP/1.1 to itself: on a shared one the API
	// server hands each request from one goroutine to the next, which takes a sixth of its time when many
	// objects are written, and has them wait behind everybody else's.
	config.NextProtos = []string{"http/1.1"}
	own, err := transport(config)
	if err != nil {
		return nil, err
	}
	requests, streams := &http.Client{Transport: own, Timeout: requestTimeout}, &http.Client{Transport: shared}

	c := &Cluster{host: config.Host}
	if c.dynamic, err = dynamic.NewForConfigAndClient(config, requests); err != nil {
		return nil, err
	}
	if c.streams, err = dynamic.NewForConfigAndClient(config, streams); err != nil {
		return nil, err
	}
	if c.watcher, err = newWatcher(config, streams); err != nil {
		return nil, err
	}
	if c.metadata, err = metadata.NewForConfigAndClient(config, requests); err != nil {
		return nil, err
	}
	if c.discovery, err = discovery.NewDiscoveryClientForConfigAndClient(config, requests); err != nil {
		return nil, err
	}
	if c.core, err = coreclient.NewForConfigAndClient(config, requests); err != nil {
		return nil, err
	}
	if c.access, err = authorizationclient.NewForConfigAndClient(config, requests); err != nil {
		return nil, err
	}
	if c.identity, err = authenticationclient.NewForConfigAndClient(config, requests); err != nil {
		return nil, err
	}
	return c, nil
}

func transport(config *rest.Config) (http.RoundTripper, error) {
	t, err := rest.TransportFor(config)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", config.Host, err)
	}
	return t, nil
}

func loopback(host string) bool {
	address, err := url.Parse(host)
	return err == nil && (address.Hostname() == "localhost" || net.ParseIP(address.Hostname()).IsLoopback())
}

// Host is the address of the API server, for messages.
func (c *Cluster) Host() string { return c.host }

// UID is the cluster's identity: the UID of its namespace kube-system, which no cluster ever deletes.
func (c *Cluster) UID(ctx context.Context) (string, error) {
	namespace, err := c.core.Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("identify the cluster at %s: %w", c.host, explain(err))
	}
	return string(namespace.UID), nil
}

// What the strategies need on every resource.
var (
	PushVerbs = []string{"get", "list", "watch"}
	PullVerbs = []string{"get", "list", "watch", "create", "update", "delete"}
)

// Permissions asks the API server which of the verbs these credentials lack on all resources of all
// groups. Each of the results is such a verb.
func (c *Cluster) Permissions(ctx context.Context, verbs ...string) (missing []string, err error) {
	for _, verb := range verbs {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Group: "*", Resource: "*"},
		}}
		review, err := c.access.SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return nil, fmt.Errorf("ask %s for permissions: %w", c.host, explain(err))
		}
		if !review.Status.Allowed {
			missing = append(missing, verb)
		}
	}
	return missing, nil
}

// version is what the binary was built from.
func version() string {
	if build, ok := debug.ReadBuildInfo(); ok && build.Main.Version != "" && build.Main.Version != "(devel)" {
		return build.Main.Version
	}
	return "dev"
}
