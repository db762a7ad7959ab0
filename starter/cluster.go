package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// target says which Kubernetes cluster a command works on: a context of a kubeconfig, or with neither
// the cluster that the process runs in.
type target struct{ kubeconfig, context string }

func targetFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "kubeconfig", Usage: "`FILE` with the cluster's address and credentials (default: $KUBECONFIG, ~/.kube/config, or the cluster that this runs in)"},
		&cli.StringFlag{Name: "context", Usage: "`NAME` of the context in the kubeconfig (default: the current one)"},
	}
}

func targetOf(c *cli.Context) target {
	return target{kubeconfig: c.String("kubeconfig"), context: c.String("context")}
}

// named is the target of the context with the cluster's name, if there is one and no other is given: for a
// command that changes nothing and makes sure itself that it is the right cluster.
func (t target) named(cluster string) target {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = t.kubeconfig
	config, err := rules.Load()
	if err != nil || t.context != "" {
		return t // resolve says what is wrong
	}
	if _, ok := config.Contexts[cluster]; ok {
		t.context = cluster
	}
	return t
}

// resolve finds the context that is meant, by the rules of kubectl with one exception: it doesn't take
// the current context when there is another one that has the cluster's name. Enrolling the wrong cluster
// may overwrite it.
func (t target) resolve(cluster string) (target, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = t.kubeconfig
	config, err := rules.Load()
	switch {
	case errors.Is(err, os.ErrNotExist):
		return t, errors.New("the file of --kubeconfig does not exist: give the path of a kubeconfig")
	case err != nil:
		return t, fmt.Errorf("the kubeconfig can't be read: %w", err)
	case len(config.Contexts) == 0 && t == target{}:
		return t, nil
	}
	if t.context == "" {
		t.context = config.CurrentContext
		if _, ok := config.Contexts[cluster]; ok && t.context != cluster {
			return t, misuse("it isn't clear which cluster to use: give --context %s, or --context %s, which is the kubeconfig's current one", quote(cluster), quote(t.context))
		}
	}
	context, ok := config.Contexts[t.context]
	if t.context == "" {
		return t, misuse("the kubeconfig has no current context: choose one with --context")
	}
	if !ok {
		return t, misuse("context %q is not in the kubeconfig: choose another one with --context (`kubectl config get-contexts` lists them)", t.context)
	}
	// With several files the context may need more than one of them, so they stay as they are.
	if t.kubeconfig == "" && len(rules.GetLoadingPrecedence()) == 1 {
		t.kubeconfig = context.LocationOfOrigin
	}
	return t, nil
}

// clusterTimeout bounds what is asked of a cluster for one check.
const clusterTimeout = 20 * time.Second

// connect prepares the connection; it makes no request.
func (t target) connect() (*kube.Cluster, error) {
	cluster, err := kube.Connect(t.kubeconfig, t.context)
	switch {
	case err == nil:
		return cluster, nil
	case t == target{}:
		return nil, err // it says that there is no kubeconfig
	}
	return nil, fmt.Errorf("the kubeconfig can't be used: %w", err)
}

// explainCluster turns an error of the cluster into a sentence.
func explainCluster(host string, err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, kube.ErrUnreachable), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the Kubernetes API server at %s does not answer: check that it is up and reachable from here, and that --kubeconfig and --context name the right cluster", host)
	case errors.Is(err, kube.ErrUnauthorized):
		return fmt.Errorf("the Kubernetes API server at %s does not accept the credentials: renew the token or certificate in the kubeconfig", host)
	case errors.Is(err, kube.ErrForbidden):
		return fmt.Errorf("the kubeconfig's user lacks a permission in the cluster at %s: use another --context, or have it granted by a ClusterRole (%s)", host, innermost(err))
	}
	return fmt.Errorf("the cluster at %s refuses: %w", host, err)
}

// innermost is the text of the error that all the others are about.
func innermost(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return status.Status().Message
	}
	return err.Error()
}

// verbs are what a strategy does with every resource of a cluster.
func verbs(strategy workflows.Strategy) []string {
	switch strategy {
	case workflows.Push:
		return kube.PushVerbs
	case workflows.Pull, workflows.PushPull:
		return kube.PullVerbs
	}
	return nil
}

// checkPermissions tells what the kubeconfig's user lacks for a strategy and for storing the credentials.
func (t target) checkPermissions(ctx context.Context, cluster *kube.Cluster, strategy workflows.Strategy) error {
	missing, err := cluster.Permissions(ctx, verbs(strategy)...)
	if err != nil {
		return explainCluster(cluster.Host(), err)
	}
	if len(missing) > 0 {
		return fmt.Errorf("the kubeconfig's user may not %s all resources of the cluster at %s, which strategy %s needs: bind the user to a ClusterRole with these verbs on all resources, or use another --context",
			strings.Join(missing, ", "), cluster.Host(), strategy)
	}
	missing, err = t.missingForSecret(ctx)
	if err != nil {
		return explainCluster(cluster.Host(), err)
	}
	if len(missing) > 0 {
		return fmt.Errorf("the kubeconfig's user lacks permissions to store the Git credentials in the cluster at %s: allow %s, or use another --context",
			cluster.Host(), strings.Join(missing, ", "))
	}
	return nil
}

// missingForSecret tells which permissions are missing for writing the credentials, and for taking them
// back when the enrolment fails.
func (t target) missingForSecret(ctx context.Context) ([]string, error) {
	config, err := t.restConfig()
	if err != nil {
		return nil, err
	}
	access, err := authorizationclient.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	core, err := coreclient.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	const namespace = workflows.CredentialsNamespace
	var needed []authorizationv1.ResourceAttributes
	_, err = core.Namespaces().Get(ctx, namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		needed = append(needed, authorizationv1.ResourceAttributes{Verb: "create", Resource: "namespaces"})
	}
	for _, verb := range []string{"get", "create", "update", "delete"} {
		attributes := authorizationv1.ResourceAttributes{Verb: verb, Resource: "secrets", Namespace: namespace}
		if verb != "create" {
			attributes.Name = workflows.CredentialsSecret
		}
		needed = append(needed, attributes)
	}
	var missing []string
	for _, attributes := range needed {
		review := &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &attributes},
		}
		review, err := access.SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return nil, err
		}
		if !review.Status.Allowed {
			what := attributes.Verb + " " + attributes.Resource
			if attributes.Namespace != "" {
				what += " in namespace " + attributes.Namespace
			}
			missing = append(missing, what)
		}
	}
	return slices.Compact(missing), nil
}

func (t target) restConfig() (*rest.Config, error) {
	if (t == target{}) {
		return rest.InClusterConfig()
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = t.kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: t.context}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	if err != nil {
		return nil, err
	}
	config.Timeout = clusterTimeout
	config.WarningHandler = rest.NoWarnings{}
	return config, nil
}
