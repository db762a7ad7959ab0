package temporal

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/temporalio/ui-server/v2/server"
	"github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/server_options"
)

type webUI struct {
	server *server.Server
	url    string
}

// startWebUI returns when the pages are served.
func startWebUI(ctx context.Context, temporalAddress string, port int) (*webUI, error) {
	ui := &webUI{
		url: "http://" + address(port),
		server: server.NewServer(server_options.WithConfigProvider(&config.Config{
			Host:                loopback,
			Port:                port,
			TemporalGRPCAddress: temporalAddress,
			DefaultNamespace:    Namespace,
			EnableUI:            true,
			DisableNewsFetch:    true,
			HideLogs:            true,
			// Browsers send no Secure cookie over plain HTTP, and without it
			// every button of the UI is refused.
			CORS: config.CORS{CookieInsecure: true},
		})),
	}
	ended := make(chan error, 1)
	go func() { ended <- ui.server.Start() }()

	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, ui.url+"/healthz", nil)
		if err != nil {
			return nil, err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			response.Body.Close()
			return ui, nil
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("start the Web UI at %s: %w", ui.url, err)
		case <-ctx.Done():
			ui.stop()
			return nil, fmt.Errorf("the Web UI does not answer at %s: %w", ui.url, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (u *webUI) stop() { u.server.Stop() }
