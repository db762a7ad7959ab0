package stacktest

import (
	"strings"
	"sync"
)

// Output collects what processes and goroutines write.
type Output struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String is all that was written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Quiet drops the log of a Temporal client.
type Quiet struct{}

// Debug implements log.Logger.
func (Quiet) Debug(string, ...any) {}

// Info implements log.Logger.
func (Quiet) Info(string, ...any) {}

// Warn implements log.Logger.
func (Quiet) Warn(string, ...any) {}

// Error implements log.Logger.
func (Quiet) Error(string, ...any) {}
