package main

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadyFollowsWhatItAsks(t *testing.T) {
	m := newPage()
	address, stop, err := m.serve("127.0.0.1:0", nil)
	require.NoError(t, err)
	defer stop()
	probe := func() int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/readyz", nil)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	require.Equal(t, http.StatusServiceUnavailable, probe(), "still starting")
	var down error
	m.becomeReady(func(context.Context) error { return down })
	require.Equal(t, http.StatusOK, probe())
	down = errors.New("the Temporal server does not answer")
	require.Equal(t, http.StatusServiceUnavailable, probe())
}
