package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/active-cluster-sync/active-cluster-sync/deployments/local/internal/temporal"
)

// variable is a line of the env file.
type variable struct{ name, value string }

// env is what a shell or a test needs to find the parts of this stack.
func (s *stack) env() []variable {
	var vars []variable
	add := func(name, value string) { vars = append(vars, variable{name, value}) }
	if s.temporal != nil {
		add("TEMPORAL_ADDRESS", s.temporal.Address())
		add("TEMPORAL_NAMESPACE", temporal.Namespace)
		add("TEMPORAL_UI", s.temporal.UI())
	}
	if len(s.clusters) > 0 {
		add("KUBE_ASSETS", s.assets)
		add("KUBECONFIG", s.path("kubeconfig"))
	}
	for _, name := range s.options.Clusters {
		add("KUBECONFIG_"+variableName(name), s.kubeconfig(name))
	}
	if s.git != nil {
		add("GIT_URL", s.git.URL())
		for _, name := range s.options.Repos {
			add("GIT_TOKEN_FILE_"+variableName(name), s.git.TokenFile(name))
		}
		if len(s.options.Repos) == 1 {
			add("GIT_TOKEN_FILE", s.git.TokenFile(s.options.Repos[0]))
		}
	}
	return vars
}

// writeEnv writes one `export NAME='value'` a line, whole or not at all.
func writeEnv(path string, vars []variable) error {
	var text strings.Builder
	for _, v := range vars {
		fmt.Fprintf(&text, "export %s=%s\n", v.name, shellQuote(v.value))
	}
	half := path + ".new"
	if err := os.WriteFile(half, []byte(text.String()), 0o600); err != nil {
		return fmt.Errorf("write the env file: %w", err)
	}
	if err := os.Rename(half, path); err != nil {
		return fmt.Errorf("write the env file: %w", err)
	}
	return nil
}

// variableName is a cluster's or repository's name, a DNS label, in a variable.
func variableName(name string) string {
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
