package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// receiving is a session in which the server takes objects.
type receiving struct {
	exchange *exchange
	session  transport.ReceivePackSession
	server   *capability.List
	branch   plumbing.ReferenceName
	parent   plumbing.Hash
}

// receive opens a session for moving a branch away from a revision. It is ErrMoved when the branch isn't
// there any more.
func (x *exchange) receive(branch plumbing.ReferenceName, parent plumbing.Hash) (*receiving, error) {
	s, err := x.receiveSession()
	if err != nil {
		return nil, err
	}
	refs, err := x.advertised(s)
	if err != nil && !errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return nil, err
	}
	if tip := refs.References[branch.String()]; tip != parent {
		return nil, moved(parent, tip)
	}
	return &receiving{x, s, refs.Capabilities, branch, parent}, nil
}

func moved(from, to plumbing.Hash) error {
	name := func(h plumbing.Hash) string {
		if h.IsZero() {
			return "nothing"
		}
		return short(h)
	}
	return fmt.Errorf("%w from %s to %s", ErrMoved, name(from), name(to))
}

// send sends a pack and has the branch moved, if it still is where it was: the server compares.
func (r *receiving) send(pack *spool, to plumbing.Hash) error {
	if _, err := pack.Seek(0, io.SeekStart); err != nil {
		return err
	}
	req := packp.NewReferenceUpdateRequest()
	for _, c := range []capability.Capability{capability.ReportStatus, capability.Sideband64k, capability.Quiet} {
		if r.server.Supports(c) {
			if err := req.Capabilities.Set(c); err != nil {
				return err
			}
		}
	}
	var said serverWords
	req.Progress = &said
	req.Commands = []*packp.Command{{Name: r.branch, Old: r.parent, New: to}}
	req.Packfile = io.NopCloser(pack)
	report, err := r.session.ReceivePack(r.exchange.ctx, req)
	switch {
	case report != nil:
		return r.verdict(report, said.String())
	case err != nil:
		return r.exchange.explain(err)
	}
	return fmt.Errorf("%w: %s doesn't say what has become of the push", ErrUnreachable, r.exchange.remote.url)
}

// lostRace are the words of servers for a branch that isn't where it was: of Git itself, GitHub, GitLab,
// Gitea, Bitbucket and Azure DevOps (TF401028).
var lostRace = regexp.MustCompile(`(?i)non-fast-forward|fetch first|cannot lock ref|failed to lock|` +
	`reference already exists|stale info|but expected|TF401028`)

// verdict reads what the server says about a push.
func (r *receiving) verdict(report *packp.ReportStatus, said string) error {
	said = words(said, r.exchange.secrets)
	if status := report.UnpackStatus; status != "ok" {
		return fmt.Errorf("%s could not store what was pushed: %s", r.exchange.remote.url,
			words(status+" "+said, r.exchange.secrets))
	}
	if len(report.CommandStatuses) == 0 {
		return fmt.Errorf("%s doesn't say what has become of the push", r.exchange.remote.url)
	}
	status := words(report.CommandStatuses[0].Status, r.exchange.secrets)
	switch {
	case status == "ok":
		return nil
	case lostRace.MatchString(status), lostRace.MatchString(said):
		return fmt.Errorf("%w: %s", ErrMoved, status)
	}
	return &rejection{strings.TrimSpace(status + " " + said)}
}

// rejection is ErrRejected with the server's words.
type rejection struct{ said string }

func (e *rejection) Error() string { return ErrRejected.Error() + ": " + e.said }
func (e *rejection) Unwrap() error { return ErrRejected }

// serverWords collects what the server writes for people while it works: what hooks say, for instance.
type serverWords struct{ strings.Builder }

func (w *serverWords) Write(p []byte) (int, error) {
	if room := 8*maxWords - w.Len(); room > 0 {
		w.Builder.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}

// outcome looks where the branch stands after a push that failed, because the failure alone doesn't tell:
// the server may have taken the push and its answer been lost, and not each server names a lost race. It
// returns nil when the branch is where the push was to take it.
func (r *Repository) outcome(ctx context.Context, parent, pushed plumbing.Hash, failure error) error {
	if ctx.Err() != nil || errors.Is(failure, ErrMoved) ||
		!errors.Is(failure, ErrUnreachable) && !errors.Is(failure, ErrRejected) {
		return failure
	}
	switch tip, err := r.Tip(ctx); {
	case err != nil:
		return failure
	case tip == pushed:
		return nil
	case tip != parent:
		return moved(parent, tip)
	}
	return failure
}
