// Package controlplane runs a Kubernetes control plane on the loopback
// interface: etcd, kube-apiserver and kube-controller-manager as child
// processes. There are no nodes, so Pods are made but never run.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/process"
)

// Config describes one control plane.
type Config struct {
	// Name is also that of the kubeconfig's context, cluster and user.
	Name string
	// Dir keeps the certificates and etcd's data, and is used again at the next start.
	Dir string
	// LogDir gets one file per process: <name>-etcd.log and so on.
	LogDir string
	// Kubeconfig is where the administrator's is written, mode 0600.
	Kubeconfig string
	// Binaries is the directory of etcd, kube-apiserver and kube-controller-manager.
	Binaries string
	// Ports are reserved from here; Port is the API server's if it is free.
	Ports *process.Ports
	Port  int
	// Audited are users whose requests are logged, see AuditLog.
	Audited []string
	// Report is told what is being waited for.
	Report func(format string, args ...any)
}

// ControlPlane is a running one.
type ControlPlane struct {
	config   Config
	pki      *pki
	port     int // of the API server
	children []*process.Child
	failed   chan error
}

// Start returns when the API server is ready, the controller manager works and
// the kubeconfig is written.
func Start(ctx context.Context, c Config) (*ControlPlane, error) {
	pki, err := loadOrCreatePKI(filepath.Join(c.Dir, "pki"))
	if err != nil {
		return nil, fmt.Errorf("certificates of cluster %s: %w", c.Name, err)
	}
	plane := &ControlPlane{config: c, pki: pki, failed: make(chan error, 1)}
	// A port can be lost between its reservation and the server's bind, to a
	// process that knows nothing of reservations.
	for attempt := 1; ; attempt++ {
		err := plane.start(ctx)
		if err == nil {
			break
		}
		plane.Stop()
		if !process.PortTaken(err) || attempt == 3 {
			return nil, err
		}
		c.Report("a port was taken meanwhile, trying others")
	}
	for _, child := range plane.children {
		go plane.watch(child)
	}
	return plane, nil
}

// Name is also that of the contexts in its kubeconfigs.
func (p *ControlPlane) Name() string { return p.config.Name }

// Kubeconfig is the administrator's.
func (p *ControlPlane) Kubeconfig() string { return p.config.Kubeconfig }

// URL is the API server's address.
func (p *ControlPlane) URL() string { return fmt.Sprintf("https://127.0.0.1:%d", p.port) }

// Port is the API server's.
func (p *ControlPlane) Port() int { return p.port }

// Failed gets an error that names the process and shows the end of its log
// when one of the three ends by itself.
func (p *ControlPlane) Failed() <-chan error { return p.failed }

// Stop ends the processes in the reverse order of their start.
func (p *ControlPlane) Stop() {
	for i := len(p.children) - 1; i >= 0; i-- {
		p.children[i].Stop(3 * time.Second)
	}
	p.children = nil
}

func (p *ControlPlane) start(ctx context.Context) error {
	api, err := newAPIClient(p.pki)
	if err != nil {
		return err
	}

	p.config.Report("starting etcd")
	etcd, err := p.startEtcd()
	if err != nil {
		return err
	}

	p.config.Report("starting kube-apiserver")
	if err := p.startAPIServer(etcd); err != nil {
		return err
	}
	api.base = p.URL()
	p.config.Report("waiting for kube-apiserver to be ready")
	if err := p.waitFor(ctx, api, "/readyz"); err != nil {
		return err
	}

	p.config.Report("starting kube-controller-manager")
	if err := p.writeKubeconfigs(); err != nil {
		return err
	}
	if err := p.startControllerManager(); err != nil {
		return err
	}
	// No user's Pod is admitted before this account exists, and only the
	// controller manager makes it.
	p.config.Report("waiting for kube-controller-manager to make the default ServiceAccount")
	return p.waitFor(ctx, api, "/api/v1/namespaces/default/serviceaccounts/default")
}

type etcdEndpoint string

func (p *ControlPlane) startEtcd() (etcdEndpoint, error) {
	client, err := p.config.Ports.Reserve()
	if err != nil {
		return "", err
	}
	peer, err := p.config.Ports.Reserve()
	if err != nil {
		return "", err
	}
	clientURL := fmt.Sprintf("https://127.0.0.1:%d", client)
	peerURL := fmt.Sprintf("https://127.0.0.1:%d", peer)
	endpoint := etcdEndpoint(clientURL)
	return endpoint, p.run("etcd",
		"--name=default",
		"--data-dir="+filepath.Join(p.config.Dir, "etcd"),
		"--listen-client-urls="+clientURL,
		"--advertise-client-urls="+clientURL,
		"--listen-peer-urls="+peerURL,
		"--initial-advertise-peer-urls="+peerURL,
		"--initial-cluster=default="+peerURL,
		// Clusters hold tokens: only who has a certificate may read them.
		"--client-cert-auth", "--trusted-ca-file="+p.pki.caFile(),
		"--cert-file="+p.pki.certFile(serverCert), "--key-file="+p.pki.keyFile(serverCert),
		"--peer-client-cert-auth", "--peer-trusted-ca-file="+p.pki.caFile(),
		"--peer-cert-file="+p.pki.certFile(serverCert), "--peer-key-file="+p.pki.keyFile(serverCert),
		// Loses data only when the machine stops, not when a process does.
		"--unsafe-no-fsync",
		"--log-level=warn",
	)
}

func (p *ControlPlane) startAPIServer(etcd etcdEndpoint) error {
	port, err := p.config.Ports.Reserve(p.port, p.config.Port)
	if err != nil {
		return err
	}
	p.port = port
	audit, err := p.auditArgs()
	if err != nil {
		return err
	}
	return p.run("kube-apiserver", append(audit,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port),
		"--etcd-servers="+string(etcd),
		"--etcd-cafile="+p.pki.caFile(),
		"--etcd-certfile="+p.pki.certFile(serverCert), "--etcd-keyfile="+p.pki.keyFile(serverCert),
		"--authorization-mode=Node,RBAC",
		"--client-ca-file="+p.pki.caFile(),
		"--tls-cert-file="+p.pki.certFile(serverCert), "--tls-private-key-file="+p.pki.keyFile(serverCert),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-signing-key-file="+p.pki.accountKeyFile(),
		"--service-account-key-file="+p.pki.accountKeyFile(),
		"--service-cluster-ip-range=10.96.0.0/16",
		"--allow-privileged",
		// The Service kubernetes may not point at a loopback address.
		"--endpoint-reconciler-type=none",
	)...)
}

func (p *ControlPlane) startControllerManager() error {
	return p.run("kube-controller-manager",
		"--kubeconfig="+p.controllerKubeconfig(),
		"--controllers=*",
		"--use-service-account-credentials",
		"--service-account-private-key-file="+p.pki.accountKeyFile(),
		"--root-ca-file="+p.pki.caFile(),
		"--cluster-signing-cert-file="+p.pki.caFile(),
		"--cluster-signing-key-file="+p.pki.caKeyFile(),
		"--leader-elect=false",
		// At the usual 20 requests a second the start alone takes five seconds.
		"--kube-api-qps=500", "--kube-api-burst=1000",
		// Nothing asks for its metrics; the ServiceAccount tells that it works.
		"--secure-port=0",
	)
}

func (p *ControlPlane) run(binary string, args ...string) error {
	child, err := process.Start(process.Command{
		Name: p.config.Name + " " + binary,
		Path: filepath.Join(p.config.Binaries, binary),
		Args: args,
		// Not the person's own: etcd takes any ETCD_* for a flag.
		Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.config.Dir, "TMPDIR=" + os.TempDir()},
		Log: filepath.Join(p.config.LogDir, p.config.Name+"-"+binary+".log"),
	})
	if err != nil {
		return err
	}
	p.children = append(p.children, child)
	return nil
}

// waitFor returns when a GET of path succeeds, or when a process ended.
func (p *ControlPlane) waitFor(ctx context.Context, api *apiClient, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for {
		err := api.get(ctx, path)
		if err == nil {
			return nil
		}
		for _, child := range p.children {
			if crash := child.Crash(); crash != nil {
				return crash
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cluster %s is not ready (%s), see the logs in %s: %w",
				p.config.Name, path, p.config.LogDir, errors.Join(ctx.Err(), err))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (p *ControlPlane) watch(child *process.Child) {
	<-child.Done()
	if crash := child.Crash(); crash != nil {
		select {
		case p.failed <- crash:
		default: // the first one is the cause
		}
	}
}
