package repo

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// maxIncrement is the number of objects above which an incremental fetch is given up for one of the
// revision alone: after the branch was rewound, the difference may be all of a long history.
const maxIncrement = 20_000

// wish is what shall be fetched: revisions with all that isn't in since or in what came before it, up to
// where the history ends here; or the revisions alone, without their history, when since is zero.
type wish struct {
	revisions []plumbing.Hash
	since     plumbing.Hash
	boundary  []plumbing.Hash
}

// incomingPack is a pack on its way in.
type incomingPack struct {
	io.Reader
	objects uint32
}

// requestPack asks for a pack. The branch may have moved since the caller looked at it, so a revision
// that the server refuses is ErrMoved unless it is the tip.
func (x *exchange) requestPack(w wish, branch plumbing.ReferenceName) (*incomingPack, error) {
	s, refs, err := x.upload()
	if err != nil {
		return nil, err
	}
	req := packp.NewUploadPackRequestFromCapabilities(refs.Capabilities)
	req.Wants = w.revisions
	req.Filter = packp.FilterBlobLimit(MaxFileSize, packp.BlobLimitPrefixNone)
	if w.since.IsZero() {
		req.Depth = packp.DepthCommits(1)
	} else {
		req.Haves = []plumbing.Hash{w.since}
		req.Shallows = w.boundary
	}
	pack, err := x.openPack(s, req, refs.Capabilities, maxIncrement)
	var refused *packRefusal
	switch {
	case !errors.As(err, &refused):
		return pack, err
	case refs.References[branch.String()] != w.revisions[0] || strings.Contains(refused.text, "not our ref"):
		return nil, fmt.Errorf("%w: the remote doesn't have revision %s any more", ErrMoved, w.revisions[0])
	case !w.since.IsZero():
		return nil, fmt.Errorf("%w: %w", errIncomplete, refused)
	}
	return nil, fmt.Errorf("%s: %w", x.remote.url, refused)
}

// upload opens a session in which the server sends objects.
func (x *exchange) upload() (transport.UploadPackSession, *packp.AdvRefs, error) {
	s, err := x.uploadSession()
	if err != nil {
		return nil, nil, err
	}
	refs, err := x.advertised(s)
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return nil, nil, fmt.Errorf("%w: the repository %s is empty now", ErrMoved, x.remote.url)
	}
	return s, refs, err
}

// agree sets the capabilities that a request makes use of.
func agree(req *packp.UploadPackRequest, server *capability.List) error {
	use := []capability.Capability{capability.NoProgress}
	if !req.Depth.IsZero() || len(req.Shallows) > 0 {
		if !server.Supports(capability.Shallow) {
			return errors.New("the Git server can't send a revision without its history (shallow)")
		}
		use = append(use, capability.Shallow)
	}
	if server.Supports(capability.Filter) {
		use = append(use, capability.Filter)
	} else {
		req.Filter = ""
	}
	for _, c := range use {
		if server.Supports(c) {
			if err := req.Capabilities.Set(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// packRefusal is the server's word that there won't be a pack.
type packRefusal struct{ text string }

func (e *packRefusal) Error() string { return "the Git server sends no objects: " + e.text }

// Why an answer that builds on what is here isn't taken.
var (
	errUnrelated = errors.New("the remote doesn't know the revision that is here")
	errTooFar    = errors.New("too much has happened since the revision that is here")
)

// openPack sends a request and reads the answer up to the pack's header. The limit is for the number of
// objects beyond what the request says is here.
func (x *exchange) openPack(
	s transport.UploadPackSession, req *packp.UploadPackRequest, server *capability.List, limit uint32,
) (*incomingPack, error) {
	if err := agree(req, server); err != nil {
		return nil, err
	}
	res, err := s.UploadPack(x.ctx, req)
	if err != nil {
		return nil, x.noPack(err)
	}
	if len(req.Haves) > 0 && len(res.ACKs) == 0 {
		x.abandon()
		return nil, errUnrelated
	}
	var data io.Reader = res
	switch {
	case req.Capabilities.Supports(capability.Sideband64k):
		data = sideband.NewDemuxer(sideband.Sideband64k, res)
	case req.Capabilities.Supports(capability.Sideband):
		data = sideband.NewDemuxer(sideband.Sideband, res)
	}
	buffered := bufio.NewReaderSize(data, 64<<10)
	header, err := buffered.Peek(12)
	if err != nil {
		return nil, x.noPack(err)
	}
	if string(header[:4]) != "PACK" {
		return nil, x.noPack(errors.New("its answer isn't a pack"))
	}
	pack := &incomingPack{buffered, binary.BigEndian.Uint32(header[8:])}
	if len(req.Haves) > 0 && pack.objects > limit {
		x.abandon()
		return nil, fmt.Errorf("%w: it would be %d objects", errTooFar, pack.objects)
	}
	return pack, nil
}

// noPack tells the server's own words from a broken connection.
func (x *exchange) noPack(err error) error {
	if x.broken || x.ctx.Err() != nil {
		return x.explain(err)
	}
	return &packRefusal{words(err.Error(), x.secrets)}
}
