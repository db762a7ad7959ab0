package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"k8s.io/client-go/rest"
)

const (
	// slightSkew is above what a Date header, which has whole seconds, and a slow answer are wrong by.
	slightSkew = 10 * time.Second
	// badSkew makes this command take a worker that is there for one that is gone, and certificates and tokens
	// of a new cluster be refused.
	badSkew = time.Minute
)

// clock is that of another machine.
type clock struct {
	of    string
	ahead time.Duration // of the one here
	err   error         // it isn't known
}

// checkClocks compares the clock here with those of all whom the other checks have reached.
func (d *doctor) checkClocks(ctx context.Context) finding {
	var clocks []clock
	if d.knows("Temporal") {
		ahead, err := d.registry.clock(ctx)
		clocks = append(clocks, clock{"Temporal", ahead, err})
	}
	if d.knows("cluster") {
		ahead, err := d.target.clock(ctx)
		clocks = append(clocks, clock{"the API server", ahead, err})
	}
	if d.knows("repository") {
		ahead, known := d.repository.Clock()
		var err error
		if !known {
			err = errors.New("it doesn't tell the time")
		}
		clocks = append(clocks, clock{"the Git server", ahead, err})
	}
	return judge(clocks)
}

// judge says which clocks go wrong.
func judge(clocks []clock) finding {
	const remedy = "have all machines take the time from NTP (`timedatectl` shows whether one does)"
	var fine, unknown, off []string
	worst := time.Duration(0)
	for _, c := range clocks {
		skew := c.ahead.Abs()
		switch {
		case c.err != nil:
			unknown = append(unknown, c.of)
			continue
		case skew <= slightSkew:
			fine = append(fine, c.of)
			continue
		case c.ahead > 0:
			off = append(off, fmt.Sprintf("%s is %s ahead of the clock here", c.of, skew.Round(time.Second)))
		default:
			off = append(off, fmt.Sprintf("%s is %s behind the clock here", c.of, skew.Round(time.Second)))
		}
		worst = max(worst, skew)
	}
	text := strings.Join(off, ", ")
	switch {
	case worst > badSkew:
		return wrong(text, remedy)
	case worst > 0:
		return doubtful(text, remedy)
	case len(fine) == 0:
		return finding{Result: isSkipped, Message: "skipped because nobody tells the time"}
	}
	text = "the one here and " + strings.Join(fine, ", ") + " agree"
	if len(unknown) > 0 {
		text += "; not known: " + strings.Join(unknown, ", ")
	}
	return right(text)
}

// clock reads the time of the API server from the head of an answer; whichever, also a refusal has it.
func (t target) clock(ctx context.Context) (ahead time.Duration, err error) {
	config, err := t.restConfig()
	if err != nil {
		return 0, err
	}
	api, err := rest.HTTPClientFor(config)
	if err != nil {
		return 0, err
	}
	address, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.JoinPath("version").String(), nil)
	if err != nil {
		return 0, err
	}
	response, err := api.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	at, err := http.ParseTime(response.Header.Get("Date"))
	return time.Until(at), err
}

// clockQueue is a task queue that nobody gives tasks to; no cluster's is called like this.
const clockQueue = "active-cluster-sync/clock"

// clock reads Temporal's time. Its answers don't tell, but it notes when somebody polled a task queue: so that is
// done here, on one of its own.
func (r *registry) clock(ctx context.Context) (ahead time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	me, queue := fmt.Sprintf("doctor-%d", rand.Uint64()), &taskqueuepb.TaskQueue{Name: clockQueue} //nolint:gosec // it only has to differ
	began, refused := time.Now(), make(chan error, 1)
	go func() {
		_, err := r.client.WorkflowService().PollActivityTaskQueue(ctx, &workflowservice.PollActivityTaskQueueRequest{
			Namespace: r.namespace, TaskQueue: queue, Identity: me,
		})
		refused <- err
	}()
	for {
		described, err := r.client.DescribeTaskQueue(ctx, clockQueue, enumspb.TASK_QUEUE_TYPE_ACTIVITY)
		if err != nil {
			return 0, err
		}
		for _, poller := range described.GetPollers() {
			if poller.GetIdentity() == me {
				return poller.GetLastAccessTime().AsTime().Sub(began), nil
			}
		}
		select {
		case err := <-refused:
			return 0, fmt.Errorf("poll task queue %s: %w", clockQueue, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
