package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/terms"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

func (d *doctor) checkCluster(ctx context.Context) finding {
	at, err := d.flags.named(d.cluster).resolve(d.cluster)
	if err != nil {
		return faulty(err)
	}
	cluster, err := at.connect()
	if err != nil {
		return faulty(err)
	}
	d.target, d.connection = at, cluster
	if d.uid, err = cluster.UID(ctx); err != nil {
		return clusterFault(cluster, err)
	}
	found := cluster.Host()
	if at.context != "" {
		found += ", context " + at.context
	}
	return right(found + ", as " + d.user(ctx))
}

// user is whom the API server takes the kubeconfig's user for.
func (d *doctor) user(ctx context.Context) string {
	name, err := d.connection.User(ctx)
	if err != nil {
		return "the kubeconfig's user"
	}
	return name
}

func clusterFault(cluster *kube.Cluster, err error) finding {
	return faulty(explainCluster(cluster.Host(), err))
}

func (d *doctor) checkIdentity(context.Context) finding {
	if d.uid != d.config.ClusterUID {
		return wrong(fmt.Sprintf("the cluster at %s is not the one that is enrolled as %s (it has UID %s, enrolled is %s)", d.connection.Host(), d.cluster, d.uid, d.config.ClusterUID),
			"give the right --kubeconfig and --context; if the cluster was built anew, `starter unenroll "+d.cluster+"` and enrol it again")
	}
	return right("it is the one that is enrolled, UID " + d.uid)
}

// checkPermissions asks for those of whoever runs this: nobody knows here whom the worker acts as.
func (d *doctor) checkPermissions(ctx context.Context) finding {
	needed := verbs(d.config.Strategy)
	if len(needed) == 0 {
		return right("none needed with strategy " + string(d.config.Strategy))
	}
	missing, err := d.connection.Permissions(ctx, needed...)
	if err != nil {
		return clusterFault(d.connection, err)
	}
	user := d.user(ctx)
	if len(missing) > 0 {
		return wrong(fmt.Sprintf("%s may not %s all resources, which strategy %s needs", user, strings.Join(missing, ", "), d.config.Strategy),
			"if the worker acts as the same user, bind that to a ClusterRole with these verbs on all resources; otherwise run this with the worker's kubeconfig").unlessInSync(d.inSync())
	}
	return right(fmt.Sprintf("%s may %s everything, as strategy %s needs; the worker may be somebody else", user, strings.Join(needed, ", "), d.config.Strategy))
}

// checkCredentials makes sure that the Secret is there and can be meant. Nothing of it is shown.
func (d *doctor) checkCredentials(ctx context.Context) finding {
	again := fmt.Sprintf("store them with `starter enroll %s --repo %s --pat-file FILE`", d.cluster, quote(d.config.Repository))
	stored, err := d.connection.ReadSecret(ctx, workflows.CredentialsNamespace, workflows.CredentialsSecret)
	switch {
	case errors.Is(err, kube.ErrNoCredentials):
		return wrong("there is no "+terms.SecretOrigin+" in the cluster", again, "a worker with --credentials-dir has them there, and this can't look at Git").unlessInSync(d.inSync())
	case err != nil:
		return clusterFault(d.connection, err)
	}
	credentials, err := terms.GitCredentials(stored, terms.SecretOrigin)
	if err != nil {
		return wrong(fmt.Sprintf("%s holds no %q", terms.SecretOrigin, workflows.PasswordKey), again)
	}
	if _, err := parseToken([]byte(credentials.Password)); err != nil {
		fault, _, _ := strings.Cut(err.Error(), ": ")
		return wrong(fault+" ("+terms.SecretOrigin+", "+workflows.PasswordKey+")", again)
	}
	if ca := stored[workflows.CAKey]; len(ca) > 0 && !x509.NewCertPool().AppendCertsFromPEM(ca) {
		return wrong(fmt.Sprintf("%q in %s holds no certificate in PEM", workflows.CAKey, terms.SecretOrigin), again+" and --ca-file FILE")
	}
	d.stored = stored
	return right(terms.SecretOrigin)
}

// checkLock compares what locks in the cluster with what the enrolment wants.
func (d *doctor) checkLock(ctx context.Context) finding {
	const whole = 2
	parts, err := d.connection.LockParts(ctx, d.cluster)
	if err != nil {
		return clusterFault(d.connection, err)
	}
	wanted := d.config.Locks()
	switch {
	case !wanted && parts > 0:
		return wrong(fmt.Sprintf("it is in the cluster, and keeps people from editing, though strategy %s with --lock=%s wants none", d.config.Strategy, d.config.Lock),
			"the worker takes it away; if none runs, do it with `"+kube.LockRemoval(d.cluster)+"`")
	case !wanted:
		return right("none, as it should be")
	case parts == whole && d.knows("sync") && d.status.Lock.Message != "":
		return doubtful(kube.LockName(d.cluster)+" is there; the worker says: "+d.status.Lock.Message, "`starter status "+d.cluster+"` shows when that is over")
	case parts == whole:
		return right(kube.LockName(d.cluster))
	}
	remedy := []string{"the worker puts it back at its next look; until then, what people edit is set back"}
	if d.knows("sync") && d.status.Lock.Message != "" {
		remedy = append(remedy, "the worker says: "+d.status.Lock.Message)
	}
	if missing, err := d.connection.LockPermissions(ctx); err == nil && len(missing) > 0 {
		remedy = append(remedy, "allow the worker to "+strings.Join(missing, ", ")+", which "+d.user(ctx)+" may not")
	}
	if d.knows("sync") && d.status.State == workflows.Paused {
		remedy = append(remedy, "while the sync is paused nobody puts it back: `starter resume "+d.cluster+"`")
	}
	return wrong(fmt.Sprintf("%s is missing in the cluster, so people can edit synced objects", kube.LockName(d.cluster)), remedy...)
}
