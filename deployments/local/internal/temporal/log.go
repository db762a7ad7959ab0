package temporal

import (
	"fmt"
	"strings"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// newLogger writes warnings and errors to a file. What the server calls fatal
// is sent to failed instead of ending the process: the other parts of a stack
// must be ended, too.
func newLogger(path string, failed chan<- error) log.Logger {
	zap := log.BuildZapLogger(log.Config{Level: "warn", OutputFile: path})
	return fatalAsFailure{log.NewZapLogger(zap), path, failed}
}

type fatalAsFailure struct {
	log.Logger
	path   string
	failed chan<- error
}

func (l fatalAsFailure) Fatal(msg string, tags ...tag.Tag) {
	l.Error(msg, tags...)
	var details strings.Builder
	for _, t := range tags {
		fmt.Fprintf(&details, ", %s: %v", t.Key(), t.Value())
	}
	select {
	case l.failed <- fmt.Errorf("the Temporal server gave up: %s%s; its log is %s", msg, &details, l.path):
	default: // the first one is the cause
	}
	// Who calls Fatal relies on it not to return.
	select {}
}
