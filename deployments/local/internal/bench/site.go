package bench

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/controlplane"
)

// The users whose requests are counted. The API server has to audit them.
const (
	workerUser  = "bench-worker"
	kubectlUser = "bench-kubectl"
	rawUser     = "bench-raw"
)

// Audited are the users that the clusters' API servers have to audit.
func Audited() []string { return []string{workerUser, kubectlUser, rawUser} }

// site is a cluster that something is measured on. Who is measured goes through
// the wire, the administrator doesn't.
type site struct {
	*controlplane.ControlPlane
	dir  string // of the users' kubeconfigs
	api  *api   // the administrator's
	wire *wire
}

func newSite(ctx context.Context, plane *controlplane.ControlPlane, dir string, roundTrip time.Duration) (*site, error) {
	tls, err := plane.ClientTLS("")
	if err != nil {
		return nil, err
	}
	s := &site{ControlPlane: plane, dir: dir, api: newAPI(plane.URL(), tls)}
	if s.wire, err = newWire(ctx, strings.TrimPrefix(plane.URL(), "https://"), roundTrip/2); err != nil {
		return nil, err
	}
	for _, user := range Audited() {
		if err := plane.WriteKubeconfig(s.kubeconfig(user), user, s.wire.address()); err != nil {
			s.wire.close()
			return nil, err
		}
	}
	return s, nil
}

// fresh starts a cluster that is empty, and for those who are measured some way
// off. It is to be ended with discard.
func (r *run) fresh(ctx context.Context, name string, roundTrip time.Duration) (*site, error) {
	r.Step("starting cluster %s", name)
	plane, err := r.Fresh(ctx, name)
	if err != nil {
		return nil, err
	}
	s, err := newSite(ctx, plane, r.Dir, roundTrip)
	if err != nil {
		plane.Stop()
	}
	return s, err
}

// discard ends a fresh cluster, so that it takes nothing from the next one.
func (s *site) discard() {
	s.wire.close()
	s.Stop()
}

func (s *site) kubeconfig(user string) string {
	return filepath.Join(s.dir, s.Name()+"-"+user+".kubeconfig")
}

// user is a user's own access to the API server, through the wire.
func (s *site) user(name string) (*api, error) {
	tls, err := s.ClientTLS(name)
	if err != nil {
		return nil, err
	}
	return newAPI("https://"+s.wire.address(), tls), nil
}
