package controlplane

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// apiClient asks the API server as its administrator. A Kubernetes client
// library would be the largest dependency here for two GETs.
type apiClient struct {
	base string
	http *http.Client
}

func newAPIClient(p *pki) (*apiClient, error) {
	tls, err := p.clientTLS(adminCert)
	if err != nil {
		return nil, err
	}
	return &apiClient{http: &http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: tls, DisableKeepAlives: true},
	}}, nil
}

func (c *apiClient) get(ctx context.Context, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return fmt.Errorf("%s: %s", response.Status, body)
	}
	return nil
}
