package controlplane

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// auditArgs makes the API server log the requests of the audited users and of
// nobody else.
func (p *ControlPlane) auditArgs() ([]string, error) {
	if len(p.config.Audited) == 0 {
		return nil, nil
	}
	policy, err := yaml.Marshal(map[string]any{
		"apiVersion": "audit.k8s.io/v1",
		"kind":       "Policy",
		// One event a request, and a watch's isn't delayed until it ends.
		"omitStages": []string{"ResponseStarted", "ResponseComplete", "Panic"},
		"rules": []any{
			map[string]any{"level": "Metadata", "users": p.config.Audited},
			map[string]any{"level": "None"},
		},
	})
	if err != nil {
		return nil, err
	}
	path := filepath.Join(p.config.Dir, "audit-policy.yaml")
	if err := os.WriteFile(path, policy, 0o600); err != nil {
		return nil, fmt.Errorf("write the audit policy: %w", err)
	}
	return []string{"--audit-policy-file=" + path, "--audit-log-path=" + p.AuditLog(), "--audit-log-maxsize=0"}, nil
}
