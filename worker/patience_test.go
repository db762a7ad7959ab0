package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
)

// A server that goes down between the connection and the first poll ended the worker, and all other clusters of it.
func TestAServerThatIsDownIsWaitedForAndOneThatRefusesIsNot(t *testing.T) {
	logger := slog.New(slog.DiscardHandler)
	for name, down := range map[string]error{
		"no answer":   fmt.Errorf("failed reaching server: %w", context.DeadlineExceeded),
		"unavailable": fmt.Errorf("failed reaching server: %w", serviceerror.NewUnavailable("connection refused")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tries := 0
			require.NoError(t, patiently(t.Context(), logger, func() (bool, error) {
				if tries++; tries == 1 {
					return unreachable(down), down
				}
				return false, nil
			}))
			require.Equal(t, 2, tries)
		})
	}
	refusal := serviceerror.NewNamespaceNotFound("nowhere")
	require.ErrorIs(t, patiently(t.Context(), logger, func() (bool, error) { return unreachable(refusal), refusal }), refusal)

	stopped, stop := context.WithCancel(t.Context())
	stop()
	require.ErrorContains(t, patiently(stopped, logger, func() (bool, error) { return true, errors.New("down") }), "stopped before")
}
