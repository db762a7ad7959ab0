package e2e

import (
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

var screenshots = flag.String("screenshots", "", "directory that gets pictures of the Web UI")

const (
	details = "document.querySelector('#user-metadata-current-details')?.contentDocument?.body?.innerText ?? ''"
	links   = "[...document.querySelector('#user-metadata-current-details')?.contentDocument?.querySelectorAll('a') ?? []].map(a => a.href)"
)

// TestTheWebUIIsTheDashboard walks through the Web UI as an operator: the list with its columns, a cluster that is in
// step and then isn't, what to do about it, and another strategy.
func TestTheWebUIIsTheDashboard(t *testing.T) {
	b := newBrowser(t)
	primary, standby := clusters["primary"], clusters["standby"]
	host := newGitHost(t, "lantern", "shop")
	newShop(t, primary)
	dropAfter(t, standby, "lantern-shop")
	dropAfter(t, standby, "lantern-promotions")
	startWorker(t, "primary", primary, t.TempDir())
	startWorker(t, "standby", standby, t.TempDir())
	startWorker(t, "edge", standby, t.TempDir())
	options := []string{"--repo", host.repository, "--ca-file", host.authority, "--selector", "shop=lantern", "--secrets", "exclude", "--lock", "off"}
	enroll(t, "primary", primary, "shop", workflows.Push, options...)
	reaches(t, "primary", inSync)
	enroll(t, "standby", standby, "shop", workflows.Pull, options...)
	enroll(t, "edge", standby, "shop", workflows.None, options...)
	for _, value := range []string{"two", "three"} {
		change(t, primary, configMaps, "lantern-shop", "storefront", setKey(value))
		follow(t)
	}

	// The list, with columns as somebody adds them once.
	b.open(stack.Env["TEMPORAL_UI"] + "/namespaces/default/workflows?query=" +
		url.QueryEscape(`WorkflowType="ClusterSync" AND ExecutionStatus="Running"`))
	b.click("[data-testid=workflows-summary-table-configuration-button]", "")
	for _, column := range []string{"Run ID", "Type", "Start", "End"} {
		b.click("[data-testid='orderable-list-item-"+column+"-remove-button']", "")
	}
	for _, column := range []string{"SyncState", "SyncStrategy", "SyncRevision"} {
		b.click("[data-testid='orderable-list-item-"+column+"-add-button']", "")
	}
	b.click("[data-testid=drawer-close-button]", "")
	revision := follow(t)
	b.seesRows("primary InSync push "+revision, "standby InSync pull "+revision, "edge Stopped none")

	// A cluster in step.
	b.click("a", "cluster-sync-standby")
	b.click("a", "User Metadata")
	page := until(b, details, contains("InSync: Settled"))
	require.Contains(t, page, "standby: cluster and Git agree")
	require.Contains(t, page, "pull: the cluster is made what Git says")
	require.Contains(t, page, revision[:12])
	until(b, links, func(links []string) bool {
		return slices.Contains(links, "https://gitlab.example.com/lantern/shop/-/commit/"+revision)
	})

	// One that needs somebody.
	update(t, "standby", workflows.PauseMessage) // to see the namespace and what is in it go at the same time
	remove(t, primary, namespaces, "", "lantern-promotions")
	eventually(t, func() bool {
		return !slices.Contains(files(t, "shop"), "cluster/namespaces/lantern-promotions.yaml")
	}, func() string { return strings.Join(files(t, "shop"), "\n") })
	update(t, "standby", workflows.ResumeMessage)
	blocked := reaches(t, "standby", func(s workflows.Status) bool {
		return s.State == workflows.Blocked && s.PendingDeletions == 3 && s.LagSeconds > 0
	})
	page = b.refreshed("Blocked: MassDeletion")
	require.Contains(t, page, "starter approve standby")
	require.Contains(t, page, "namespaces lantern-promotions")
	require.Contains(t, page, blocked.Pending.Digest)
	b.picture("webui-cluster.png", 1350)
	b.click("a", "Back to Workflows")
	b.seesRows("primary InSync push", "standby Blocked pull", "edge Stopped none")
	b.picture("webui-list.png", 490)

	// Another strategy, sent from here.
	b.click("a", "cluster-sync-standby")
	b.click("a", "User Metadata")
	b.click("button[aria-controls=workflow-actions]", "More Actions")
	b.click("[data-testid=update-button]", "")
	const dialog = "[data-testid=update-confirmation-modal] "
	b.click(dialog+"[data-testid=update-select-button]", "")
	b.click(dialog+"li[role=option]", "set-strategy")
	b.click(dialog+"[role=textbox]", "")
	b.enter(`{"strategy": "none"}`)
	b.click(dialog+"[data-testid=confirm-modal-button]", "Submit")
	changed := reaches(t, "standby", func(s workflows.Status) bool { return s.Strategy == workflows.None })
	require.Equal(t, workflows.Stopped, changed.State)
	require.Contains(t, b.refreshed("Stopped: StrategyNone"), "starter set-strategy standby push")
	b.click("a", "Back to Workflows")
	b.seesRows("primary InSync push", "standby Stopped none", "edge Stopped none")
}

// refreshed is the page of a cluster once it begins with a verdict. The Web UI reads it anew at the key R; a page that is
// still being read gets the time for that.
func (b *browser) refreshed(verdict string) string {
	b.t.Helper()
	var pressed time.Time
	return until(b, details, func(page string) bool {
		if strings.Contains(page, verdict) {
			return true
		}
		if page != "" && time.Since(pressed) > readAnew {
			b.enter("r")
			pressed = time.Now()
		}
		return false
	})
}

// readAnew is how long the Web UI may take before it is asked again.
const readAnew = 3 * time.Second

// picture is a screenshot, if any are wanted.
func (b *browser) picture(name string, height int64) {
	b.t.Helper()
	if *screenshots == "" {
		return
	}
	b.resize(height)
	ask[bool](b, "document.activeElement.blur() ?? true") // no frame around what the keys went to
	b.shoot(filepath.Join(*screenshots, name))
	b.resize(900)
}

func contains(text string) func(string) bool {
	return func(page string) bool { return strings.Contains(page, text) }
}

// rows are the workflows in the list: what stands in the cells that hold text.
const rows = `[...document.querySelectorAll('[data-testid=workflows-summary-configurable-table-row]')].map(row =>
	[...row.querySelectorAll('[data-testid=workflows-summary-table-body-cell]')].map(cell => cell.innerText.trim()).join(' ').trim())`

// seesRows waits until the list has these clusters, with what stands in the added columns.
func (b *browser) seesRows(wanted ...string) {
	b.t.Helper()
	var asked time.Time
	until(b, rows, func(found []string) bool {
		missing := func(want string) bool {
			return !slices.ContainsFunc(found, func(row string) bool { return strings.Contains(row, workflows.WorkflowID(want)) })
		}
		if !slices.ContainsFunc(wanted, missing) {
			return true
		}
		if len(found) > 0 && time.Since(asked) > readAnew {
			b.click("button", "Refresh")
			asked = time.Now()
		}
		return false
	})
	require.Contains(b.t, ask[string](b, `document.querySelector('thead').innerText.replace(/\s+/g, ' ')`),
		"Workflow ID SyncState SyncStrategy SyncRevision")
}

// follow waits until the standby has what the primary has pushed, and returns the revision.
func follow(t *testing.T) string {
	t.Helper()
	pushed := syncNow(t, "primary").Revision
	reaches(t, "standby", func(s workflows.Status) bool { return s.Revision == pushed && inSync(s) })
	return pushed
}

// newShop makes what takes part in the sync with the selector shop=lantern.
func newShop(t *testing.T, on *cluster) {
	t.Helper()
	labels := func(manifest string) string {
		return strings.Replace(manifest, "metadata: {", "metadata: {labels: {shop: lantern}, ", 1)
	}
	for _, ns := range []string{"lantern-shop", "lantern-promotions"} {
		dropAfter(t, on, ns)
		create(t, on, namespaces, labels("apiVersion: v1\nkind: Namespace\nmetadata: {name: "+ns+"}\n"))
	}
	create(t, on, deployments, labels(strings.ReplaceAll(deployment, "NS", "lantern-shop")))
	for _, name := range []string{"storefront", "checkout", "catalog", "search"} {
		create(t, on, configMaps, labels(configMap("lantern-shop", name, "one")))
	}
	for _, name := range []string{"winter-sale", "first-order"} {
		create(t, on, configMaps, labels(configMap("lantern-promotions", name, "one")))
	}
}

// gitHost is the stack's Git server under the name of one that people use.
type gitHost struct {
	repository string // its address
	authority  string // file with the certificate
}

// newGitHost makes the processes that the test starts find https://gitlab.example.com/GROUP/REPO.git.
func newGitHost(t *testing.T, group, repo string) gitHost {
	t.Helper()
	require.NoError(t, stack.AddRepo(t.Context(), repo, token))
	server, err := url.Parse(stack.Env["GIT_URL"])
	require.NoError(t, err)
	front := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(server)
		r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, "/"+group)
	}})
	t.Cleanup(front.Close)
	tunnel := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tunnelTo(w, r, "gitlab.example.com:443", front.Listener.Addr().String())
	}))
	t.Cleanup(tunnel.Close)
	t.Setenv("HTTPS_PROXY", tunnel.URL)
	t.Setenv("NO_PROXY", "")
	authority := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	require.NoError(t, os.WriteFile(authority, certificate, 0o600))
	return gitHost{repository: fmt.Sprintf("https://gitlab.example.com/%s/%s.git", group, repo), authority: authority}
}

// tunnelTo carries a tunnel through a proxy to an address under another name.
func tunnelTo(w http.ResponseWriter, r *http.Request, name, address string) {
	if r.Method != http.MethodConnect || r.Host != name {
		http.Error(w, "only "+name+" is behind this", http.StatusForbidden)
		return
	}
	there, err := net.Dial("tcp", address)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = there.Close() }()
	here, read, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = here.Close() }()
	if _, err := io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(there, read)
		_ = there.Close()
	}()
	_, _ = io.Copy(here, there)
}
