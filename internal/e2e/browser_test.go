package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// browser is a headless Chromium that is driven as a person does: by clicks and keys at what can be seen.
type browser struct {
	t   *testing.T
	tab context.Context
}

// browserLimit bounds a test with a browser, and stepLimit what it waits for at a time.
const (
	browserLimit = 8 * time.Minute
	stepLimit    = 90 * time.Second
)

// newBrowser starts a browser that ends with the test, with nothing of an earlier one.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium on this machine: `apt-get install chromium` lets this test see the Web UI")
	}
	dir, err := os.MkdirTemp("", "acs-browser-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // its helpers may write for a moment longer
	ctx, cancel := context.WithTimeout(context.Background(), browserLimit)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewExecAllocator(ctx, chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.UserDataDir(filepath.Join(dir, "profile")), chromedp.Env("TMPDIR="+dir),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("no-proxy-server", true), chromedp.Flag("disable-dev-shm-usage", true))
	t.Cleanup(stop) // waits until it has ended
	tab, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	b := &browser{t: t, tab: tab}
	b.resize(900)
	return b
}

// do carries out an action.
func (b *browser) do(what string, action chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.tab, action), what)
}

func (b *browser) resize(height int64) {
	b.t.Helper()
	b.do("resize the window", chromedp.EmulateViewport(1280, height))
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.do("open "+url, chromedp.Navigate(url))
}

// ask evaluates a JavaScript expression.
func ask[T any](b *browser, expression string) T {
	b.t.Helper()
	answer, err := chromedp.Run(b.tab, chromedp.Evaluate[T](expression))
	require.NoError(b.t, err, expression)
	return answer
}

// until asks again until the answer is as it should be.
func until[T any](b *browser, expression string, enough func(T) bool) T {
	b.t.Helper()
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	var answer T
	for deadline := time.Now().Add(stepLimit); time.Now().Before(deadline); <-poll.C {
		if answer = ask[T](b, expression); enough(answer) {
			return answer
		}
	}
	require.Failf(b.t, "the page is not as expected in time", "%s\nwas last: %v\nthe page says:\n%s", expression, answer, ask[string](b, "document.body.innerText"))
	return answer
}

// spot is the middle of the first element of a selector that contains a text and nothing covers.
const spot = `((selector, text) => {
	for (const e of document.querySelectorAll(selector)) {
		if (!e.textContent.includes(text) || e.disabled) continue;
		e.scrollIntoView({block: 'nearest'});
		const r = e.getBoundingClientRect(), x = r.x + r.width/2, y = r.y + r.height/2;
		const top = r.width && r.height && document.elementFromPoint(x, y);
		if (top && (e === top || e.contains(top))) return [x, y];
	}
	return [];
})(%q, %q)`

// click presses the mouse at an element once it can be seen and stands still.
func (b *browser) click(selector, text string) {
	b.t.Helper()
	var before []float64
	at := until(b, fmt.Sprintf(spot, selector, text), func(at []float64) bool {
		still := len(at) == 2 && len(before) == 2 && at[0] == before[0] && at[1] == before[1]
		before = at
		return still
	})
	b.do("click at "+selector, chromedp.MouseClickXY(at[0], at[1]))
}

// enter types a text where the focus is.
func (b *browser) enter(text string) {
	b.t.Helper()
	b.do("type "+text, chromedp.KeyEvent(text))
}

// shoot writes what the window shows to a PNG file.
func (b *browser) shoot(file string) {
	b.t.Helper()
	painted := `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`
	_, err := chromedp.Run(b.tab, chromedp.Evaluate[bool](painted, chromedp.EvalAwaitPromise))
	require.NoError(b.t, err)
	png, err := chromedp.Run(b.tab, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	require.NoError(b.t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(b.t, os.WriteFile(file, png, 0o644))
}
