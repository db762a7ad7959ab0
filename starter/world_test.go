package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"google.golang.org/protobuf/encoding/protojson"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// history is everything that Temporal keeps of the enrolment, as JSON.
func (w *world) history() string {
	w.Helper()
	var text strings.Builder
	for events := w.temporal.GetWorkflowHistory(w.Context(), workflows.WorkflowID(w.cluster), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); events.HasNext(); {
		event, err := events.Next()
		require.NoError(w, err)
		line, err := protojson.Marshal(event)
		require.NoError(w, err)
		text.Write(line)
	}
	require.NotEmpty(w, text.String())
	return text.String()
}

func (w *world) writeToken(text string) {
	w.Helper()
	require.NoError(w, os.WriteFile(w.tokenFile, []byte(text), 0o600))
}

// commit puts files on branch main of the repository, past the Git server.
func (w *world) commit(files map[string]string) {
	w.Helper()
	dir := w.TempDir()
	git := func(args ...string) {
		w.Helper()
		command := exec.CommandContext(w.Context(), "git", append([]string{"-C", dir, "-c", "user.name=test", "-c", "user.email=test@example.com"}, args...)...)
		out, err := command.CombinedOutput()
		require.NoError(w, err, string(out))
	}
	git("init", "--quiet", "--initial-branch", "main")
	for name, content := range files {
		file := filepath.Join(dir, name)
		require.NoError(w, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(w, os.WriteFile(file, []byte(content), 0o644))
	}
	git("add", "--all")
	git("commit", "--quiet", "--message", "content")
	git("push", "--quiet", w.stack.RepoDir(w.repo), "main")
}

// kubeconfig makes KUBECONFIG one with the cluster "c" and the user "u", changed as asked.
func (w *world) kubeconfig(change func(*clientcmdapi.Config)) {
	w.Helper()
	admin, err := w.stack.Config(kubernetesName)
	require.NoError(w, err)
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: admin.Host, CertificateAuthorityData: admin.CAData, CertificateAuthority: admin.CAFile}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{}
	config.Contexts["other"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	config.CurrentContext = "other"
	change(config)
	file := filepath.Join(w.TempDir(), "kubeconfig")
	require.NoError(w, clientcmd.WriteToFile(*config, file))
	w.Setenv("KUBECONFIG", file)
}

// serviceAccount makes KUBECONFIG that of a ServiceAccount that may do these verbs with everything.
func (w *world) serviceAccount(verbs ...string) {
	w.Helper()
	ctx := w.Context()
	account, err := w.kube.CoreV1().ServiceAccounts("default").Create(ctx, &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "limited-"},
	}, metav1.CreateOptions{})
	require.NoError(w, err)
	if len(verbs) > 0 {
		role, err := w.kube.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: account.Name},
			Rules:      []rbacv1.PolicyRule{{Verbs: verbs, APIGroups: []string{"*"}, Resources: []string{"*"}}},
		}, metav1.CreateOptions{})
		require.NoError(w, err)
		_, err = w.kube.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: account.Name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "default", Name: account.Name}},
		}, metav1.CreateOptions{})
		require.NoError(w, err)
	}
	token, err := w.kube.CoreV1().ServiceAccounts("default").CreateToken(ctx, account.Name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(w, err)
	w.kubeconfig(func(c *clientcmdapi.Config) { c.AuthInfos["u"].Token = token.Status.Token })
	if len(verbs) == 0 {
		return
	}
	// The authorizer hears of a new binding a moment later.
	limited, err := target{}.resolve(w.cluster)
	require.NoError(w, err)
	cluster, err := limited.connect()
	require.NoError(w, err)
	w.eventually("the role is bound", func() bool {
		missing, err := cluster.Permissions(ctx, verbs...)
		return err == nil && len(missing) == 0
	})
}

// closedPort is a port that nobody listens on.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return port
}
