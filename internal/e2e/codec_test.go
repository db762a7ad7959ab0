package e2e

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/proxy"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// newKeyFile makes a file with a key of an ID.
func newKeyFile(t *testing.T, id string) string {
	t.Helper()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	path := filepath.Join(t.TempDir(), "codec.keys")
	require.NoError(t, os.WriteFile(path, []byte(id+":"+base64.StdEncoding.EncodeToString(key)+"\n"), 0o600))
	return path
}

// storedHistory is all that Temporal stores of a sync, as it is stored.
func storedHistory(t *testing.T, name string) *historypb.History {
	t.Helper()
	history := new(historypb.History)
	events := temporal.GetWorkflowHistory(t.Context(), workflows.WorkflowID(name), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		history.Events = append(history.Events, event)
	}
	return history
}

func TestWithACodecTemporalHoldsNothingThatCanBeRead(t *testing.T) {
	on, name, repo, ns := clusters["primary"], "sealed", newRepo(t), "plans-for-mars"
	keys := newKeyFile(t, "key-1")
	flag := []string{"--codec-key-file", keys}
	newNamespace(t, on, ns)
	create(t, on, configMaps, configMap(ns, "rocket-design", "a"))
	serve := func(env ...string) *worker {
		return startWorkerWith(t, name, env, "--cluster", name+"="+on.context, "--kubeconfig", on.kubeconfig, "--data-dir", t.TempDir())
	}
	w := serve("ACS_CODEC_KEY_FILE=" + keys)
	enroll(t, name, on, repo, workflows.Push, flag...)
	command := func(args ...string) string {
		out, errs, status := starter(t, append(args, flag...)...)
		require.Zero(t, status, "%s%s", out, errs)
		return out
	}
	settled := func() bool {
		out, _, _ := starter(t, append([]string{"status", name, "-o", "json"}, flag...)...)
		return strings.Contains(out, `"state": "InSync"`)
	}
	eventually(t, settled, w.log.String)
	require.Contains(t, command("history", name, "-o", "json"), "rocket-design")

	// An error that names the repository.
	right, err := os.ReadFile(stack.TokenFile(repo))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(stack.TokenFile(repo), []byte("acs_another"), 0o600))
	eventually(t, func() bool {
		out, _, _ := starter(t, append([]string{"status", name, "-o", "json"}, flag...)...)
		return strings.Contains(out, workflows.AuthFailed)
	}, w.log.String)
	require.NoError(t, os.WriteFile(stack.TokenFile(repo), right, 0o600))

	history := storedHistory(t, name)
	require.Greater(t, len(history.GetEvents()), 20)
	stored, err := protojson.Marshal(history)
	require.NoError(t, err)
	plain := decodeAll(t, history, codecServer(t, keys))
	for _, text := range []string{repo + ".git", ns, "rocket-design", "InSync", "read what changed in"} {
		require.NotContains(t, unpacked(t, history), text)
		if text != "InSync" { // a search attribute, and part of no payload
			require.Contains(t, plain, text)
		}
	}
	require.Contains(t, string(stored), "Encoded failure")
	found, err := temporal.DescribeWorkflowExecution(t.Context(), workflows.WorkflowID(name), "")
	require.NoError(t, err)
	var state string
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(
		found.GetWorkflowExecutionInfo().GetSearchAttributes().GetIndexedFields()[workflows.SyncStateAttribute.GetName()], &state))
	require.NotEmpty(t, state, "search attributes are to be searched by")

	// Who lacks the key is told so.
	_, errs, status := starter(t, "status", name)
	require.Equal(t, 1, status)
	require.Contains(t, errs, "--codec-key-file")
	w.kill()
	keyless := serve()
	eventually(t, func() bool {
		return strings.Contains(keyless.log.String(), `is encrypted with key \"key-1\": give the file with it by --codec-key-file`)
	}, keyless.log.String)
	keyless.kill()
	found, err = temporal.DescribeWorkflowExecution(t.Context(), workflows.WorkflowID(name), "")
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, found.GetWorkflowExecutionInfo().GetStatus(), "it waits for the key")

	// And with the key it goes on.
	w = serve("ACS_CODEC_KEY_FILE=" + keys)
	change(t, on, configMaps, ns, "rocket-design", setKey("b"))
	eventually(t, func() bool { return strings.Contains(git(t, repo, "log", "--format=%s", "main"), "1 updated") }, w.log.String)
	eventually(t, settled, w.log.String)
}

// codecServer starts `starter codec-server` and answers with its address.
func codecServer(t *testing.T, keys string) string {
	t.Helper()
	told := new(stacktest.Output)
	server := exec.Command(filepath.Join(stacktest.Root(), "bin", "starter"), "codec-server", "--codec-key-file", keys, "--listen", "127.0.0.1:0")
	server.Stdout, server.Stderr = told, told
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		_ = server.Wait()
	})
	address := regexp.MustCompile(`http://[0-9.:]+`)
	eventually(t, func() bool { return address.MatchString(told.String()) }, told.String)
	return address.FindString(told.String())
}

// unpacked is the text of all that a history holds, payloads as they are.
func unpacked(t *testing.T, history *historypb.History) string {
	t.Helper()
	return visit(t, history, func(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) { return payloads, nil })
}

// decodeAll is the same after a codec server has decoded the payloads.
func decodeAll(t *testing.T, history *historypb.History, url string) string {
	t.Helper()
	remote := converter.NewRemotePayloadCodec(converter.RemotePayloadCodecOptions{Endpoint: url})
	return visit(t, history, remote.Decode)
}

func visit(t *testing.T, history *historypb.History, decode func([]*commonpb.Payload) ([]*commonpb.Payload, error)) string {
	t.Helper()
	var text strings.Builder
	require.NoError(t, proxy.VisitPayloads(context.Background(), history, proxy.VisitPayloadsOptions{
		SkipSearchAttributes: true,
		Visitor: func(_ *proxy.VisitPayloadsContext, payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
			decoded, err := decode(payloads)
			for _, p := range decoded {
				text.Write(p.GetData())
				text.WriteByte('\n')
			}
			return payloads, err
		},
	}))
	// And what is no payload, such as the message of an error.
	rest, err := protojson.Marshal(history)
	require.NoError(t, err)
	return text.String() + string(regexp.MustCompile(`"searchAttributes":\{.*?\}\}\}`).ReplaceAll(rest, nil))
}
