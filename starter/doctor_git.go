package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
	"github.com/active-cluster-sync/active-cluster-sync/internal/terms"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// checkRepository tries the credentials that the cluster holds.
func (d *doctor) checkRepository(ctx context.Context) finding {
	credentials, err := terms.GitCredentials(d.stored, terms.SecretOrigin)
	if err != nil {
		return faulty(err)
	}
	r, end, err := openRepository(d.config, credentials)
	if err != nil {
		return faulty(err)
	}
	d.later(end)
	if d.tip, err = r.Tip(ctx); err != nil {
		return d.gitFault(err)
	}
	d.repository = r
	return right(d.config.Repository + ", the token is accepted")
}

// gitFault is an error of the Git server.
func (d *doctor) gitFault(err error) finding {
	const network = "check that the Git server is up, and the network between here and there"
	again := fmt.Sprintf("give the right one with `starter enroll %s --repo %s --pat-file FILE`", d.cluster, quote(d.config.Repository))
	var limited *repo.RateLimitedError
	switch {
	case errors.Is(err, repo.ErrAuth):
		return wrong("the Git server refuses the token in "+terms.SecretOrigin+" for "+d.config.Repository, "check that it hasn't expired and may read and write this repository; "+again)
	case errors.Is(err, repo.ErrNotFound):
		return wrong("there is no Git repository at "+d.config.Repository+", or the token may not see it",
			"if it has moved, `starter unenroll "+d.cluster+"` and enrol with the new address; if not, check the token's permissions; "+again)
	case errors.As(err, &limited):
		return faulty(limited)
	case errors.Is(err, repo.ErrUnreachable):
		return wrong(err.Error(), network)
	case errors.Is(err, repo.ErrMoved):
		return doubtful("the branch moved while it was read", "try again")
	}
	return wrong(err.Error())
}

func (d *doctor) checkBranch(context.Context) finding {
	switch {
	case !d.tip.IsZero():
		return right(d.config.Branch + " at " + short(d.tip.String()))
	case d.config.Strategy == workflows.Pull:
		return wrong(fmt.Sprintf("branch %s is not in %s, so there is nothing to pull; nothing is deleted because of it", d.config.Branch, d.config.Repository),
			"push the branch again, or `starter unenroll "+d.cluster+"` and enrol with the right --branch")
	case d.enrolment.revision != "":
		return doubtful(fmt.Sprintf("branch %s is gone from %s, though revision %s was there", d.config.Branch, d.config.Repository, short(d.enrolment.revision)),
			"push the branch again from a clone if somebody deleted it by mistake; otherwise the sync makes it anew")
	}
	return right(d.config.Branch + ", the first sync creates it")
}

func (d *doctor) checkWriteAccess(ctx context.Context) finding {
	if d.config.Strategy == workflows.Pull || d.config.Strategy == workflows.None {
		return right("not needed with strategy " + string(d.config.Strategy))
	}
	if err := d.repository.MayPush(ctx); err != nil {
		if errors.Is(err, repo.ErrAuth) {
			return wrong("the token may read "+d.config.Repository+", and not write it, which strategy "+string(d.config.Strategy)+" needs",
				fmt.Sprintf("allow it to write, or give another one with `starter enroll %s --repo %s --pat-file FILE`", d.cluster, quote(d.config.Repository)))
		}
		return d.gitFault(err)
	}
	return right("the token may write; whether a rule protects the branch shows at the first push")
}

// checkPlace makes sure that the path is there to be read, or the cluster's own to be written.
func (d *doctor) checkPlace(ctx context.Context) finding {
	if d.tip.IsZero() || d.config.Strategy == workflows.None {
		return right("not used yet")
	}
	if err := d.repository.Fetch(ctx, d.tip); err != nil {
		return d.gitFault(err)
	}
	d.fetched = true
	config, settled := d.config, plumbing.NewHash(d.enrolment.revision)
	if d.knows("sync") {
		config.Adopt = d.status.Adopt
	}
	var err error
	switch config.Strategy {
	case workflows.Push:
		err = terms.MayPush(ctx, d.repository, config, d.tip, settled)
	case workflows.PushPull:
		_, err = terms.MayMerge(ctx, d.repository, config, d.tip, settled)
	case workflows.Pull, workflows.None:
		return d.checkFiles()
	}
	var refusal *terms.Refusal
	switch {
	case errors.As(err, &refusal):
		f := faulty(refusal)
		f.known = true
		return f
	case err != nil:
		return d.gitFault(err)
	}
	return right(fmt.Sprintf("path %s is this cluster's to write", config.Path))
}

// checkFiles makes sure that there is something to pull.
func (d *doctor) checkFiles() finding {
	files, err := d.repository.Files(d.tip)
	if err != nil {
		return d.gitFault(err)
	}
	if len(files) == 0 {
		return doubtful(fmt.Sprintf("path %s of branch %s holds no manifests", d.config.Path, d.config.Branch),
			"check --path, and what was pushed last; deletions of what was there wait for `starter approve "+d.cluster+"`")
	}
	return right(fmt.Sprintf("path %s holds %d files to read", d.config.Path, len(files)))
}

// checkAgeIdentity makes sure that the cluster can encrypt Secrets, and decrypt those in Git.
func (d *doctor) checkAgeIdentity(context.Context) finding {
	if d.config.Secrets != workflows.SecretsEncrypt {
		return right("not used with --secrets=" + string(d.config.Secrets))
	}
	another := fmt.Sprintf("give one with `starter enroll %s --repo %s --age-key-file FILE`", d.cluster, quote(d.config.Repository))
	keys, err := terms.AgeKeys(d.stored, terms.SecretOrigin)
	switch {
	case err != nil:
		return wrong(err.Error(), another)
	case keys.Empty():
		return wrong("there is none in "+terms.SecretOrigin+", so Secrets are not synced", another+": a copy of the old one, or that of the cluster that writes to this branch; without a file, a new one is made")
	}
	own := strings.Join(keys.Own(), ", ")
	recipients, err := d.recipients()
	switch {
	case err != nil:
		return wrong(err.Error(), "restore it from the history of the branch")
	case len(recipients) == 0:
		return right(own)
	case slices.ContainsFunc(keys.Own(), func(key string) bool { return slices.Contains(recipients, key) }):
		return right(own + ", among the recipients of " + secrets.ConfigFile)
	case d.config.Strategy == workflows.Push:
		return doubtful(fmt.Sprintf("%s is not among the recipients of %s; the next sync encrypts all Secrets anew, for this one", own, secrets.ConfigFile),
			"if that isn't meant to be, "+another)
	}
	return wrong(fmt.Sprintf("the Secrets in Git are encrypted for %s, and this cluster's identity is %s, which can't read them", strings.Join(recipients, ", "), own),
		another+": that of the cluster which writes them",
		"or have that one encrypt for this one, too: `starter enroll OTHER … --age-recipient "+keys.Own()[0]+"`")
}

// recipients are those of the Secrets in Git; none where that isn't known.
func (d *doctor) recipients() ([]string, error) {
	if !d.knows("place") || !d.fetched {
		return nil, nil
	}
	file, err := d.repository.ReadFile(d.tip, secrets.ConfigFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return secrets.Recipients(file)
}
