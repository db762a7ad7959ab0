package controlplane

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// The part of a kubeconfig that is needed here.
type kubeconfig struct {
	APIVersion     string         `json:"apiVersion"`
	Kind           string         `json:"kind"`
	CurrentContext string         `json:"current-context,omitempty"`
	Clusters       []namedCluster `json:"clusters"`
	Users          []namedUser    `json:"users"`
	Contexts       []namedContext `json:"contexts"`
}

type namedCluster struct {
	Name    string `json:"name"`
	Cluster struct {
		Server    string `json:"server"`
		Authority []byte `json:"certificate-authority-data"`
	} `json:"cluster"`
}

type namedUser struct {
	Name string `json:"name"`
	User struct {
		Certificate []byte `json:"client-certificate-data"`
		Key         []byte `json:"client-key-data"`
	} `json:"user"`
}

type namedContext struct {
	Name    string `json:"name"`
	Context struct {
		Cluster string `json:"cluster"`
		User    string `json:"user"`
	} `json:"context"`
}

// MergeKubeconfigs writes one kubeconfig with a context for each control
// plane; the first one's is current.
func MergeKubeconfigs(path string, planes []*ControlPlane) error {
	merged := emptyKubeconfig()
	for _, plane := range planes {
		if err := merged.add(plane, adminCert); err != nil {
			return fmt.Errorf("write kubeconfig %s: %w", path, err)
		}
	}
	return merged.write(path)
}

func (p *ControlPlane) writeKubeconfigs() error {
	for path, certificate := range map[string]string{
		p.config.Kubeconfig:      adminCert,
		p.controllerKubeconfig(): controllerCert,
	} {
		config := emptyKubeconfig()
		if err := config.add(p, certificate); err != nil {
			return fmt.Errorf("write kubeconfig %s: %w", path, err)
		}
		if err := config.write(path); err != nil {
			return err
		}
	}
	return nil
}

func (p *ControlPlane) controllerKubeconfig() string {
	return filepath.Join(p.config.Dir, "kube-controller-manager.kubeconfig")
}

func emptyKubeconfig() *kubeconfig {
	return &kubeconfig{APIVersion: "v1", Kind: "Config",
		Clusters: []namedCluster{}, Users: []namedUser{}, Contexts: []namedContext{}}
}

func (k *kubeconfig) add(p *ControlPlane, certificate string) error {
	name := p.config.Name
	cluster, user, context := namedCluster{Name: name}, namedUser{Name: name}, namedContext{Name: name}
	cluster.Cluster.Server = p.URL()
	context.Context.Cluster, context.Context.User = name, name
	var err error
	for target, file := range map[*[]byte]string{
		&cluster.Cluster.Authority: p.pki.caFile(),
		&user.User.Certificate:     p.pki.certFile(certificate),
		&user.User.Key:             p.pki.keyFile(certificate),
	} {
		if *target, err = os.ReadFile(file); err != nil {
			return err
		}
	}
	if k.CurrentContext == "" {
		k.CurrentContext = name
	}
	k.Clusters = append(k.Clusters, cluster)
	k.Users = append(k.Users, user)
	k.Contexts = append(k.Contexts, context)
	return nil
}

func (k *kubeconfig) write(path string) error {
	text, err := yaml.Marshal(k)
	if err != nil {
		return fmt.Errorf("write kubeconfig %s: %w", path, err)
	}
	// A reader at a restart sees the old one or the new one, never half of it.
	half := path + ".new"
	if err := os.WriteFile(half, text, 0o600); err != nil {
		return err
	}
	return os.Rename(half, path)
}
