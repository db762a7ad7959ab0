package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// connections is how many requests are under way at once where nothing is
// compared; the API server's own speed is the limit then.
const connections = 32

// api is the administrator's access to the API server. Its requests aren't
// among those that are counted.
type api struct {
	base string
	http *http.Client
}

func newAPI(base string, config *tls.Config) *api {
	return &api{base: base, http: &http.Client{
		Timeout: time.Minute,
		// HTTP/1.1: one HTTP/2 connection carries less than many of these.
		Transport: &http.Transport{TLSClientConfig: config, MaxIdleConnsPerHost: connections},
	}}
}

func (a *api) post(ctx context.Context, path string, object any) error {
	text, err := json.Marshal(object)
	if err != nil {
		return err
	}
	return a.create(ctx, path, text)
}

// create sends an object that is JSON already.
func (a *api) create(ctx context.Context, path string, text []byte) error {
	_, err := a.do(ctx, http.MethodPost, path, "application/json", text)
	return err
}

func (a *api) delete(ctx context.Context, path string) error {
	_, err := a.do(ctx, http.MethodDelete, path, "", nil)
	return err
}

func (a *api) mergePatch(ctx context.Context, path, patch string) error {
	_, err := a.do(ctx, http.MethodPatch, path, "application/merge-patch+json", []byte(patch))
	return err
}

// get reads a resource into an object.
func (a *api) get(ctx context.Context, path string, into any) error {
	text, err := a.do(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

func (a *api) do(ctx context.Context, method, path, contentType string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := a.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return nil, &refusal{response.StatusCode, fmt.Sprintf("%s %s: %s: %s", method, path, response.Status, text[:min(len(text), 500)])}
	}
	return text, nil
}

// refusal is the answer of an API server that didn't do what was asked.
type refusal struct {
	status  int
	message string
}

func (r *refusal) Error() string { return r.message }

// unlessThere passes over the refusal to create what exists.
func unlessThere(err error) error {
	var refused *refusal
	if errors.As(err, &refused) && refused.status == http.StatusConflict {
		return nil
	}
	return err
}
