package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
)

// throwing is a Temporal server that throws the first messages away, as the real one does when a workflow goes on
// to a fresh history in that very moment, which can't be brought about at will.
type throwing struct {
	client.Client
	left, asked int
}

func (s *throwing) UpdateWorkflow(context.Context, client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error) {
	if s.asked++; s.asked <= s.left {
		return nil, serviceerror.NewWorkflowNotReady("unexpected workflow task failure")
	}
	return nil, nil
}

func TestAMessageThatWasThrownAwayIsSentAgain(t *testing.T) {
	server := &throwing{left: 2}
	_, err := (&registry{client: server}).send(t.Context(), client.UpdateWorkflowOptions{})
	require.NoError(t, err)
	require.Equal(t, 3, server.asked)

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = (&registry{client: &throwing{left: 1000}}).send(ctx, client.UpdateWorkflowOptions{})
	require.ErrorContains(t, err, "unexpected workflow task failure")
}
