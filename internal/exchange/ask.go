package exchange

import (
	"context"
	"errors"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// findOut decides about the subjects, and asks the API server where it has to be asked.
func (x *Exchange) findOut(ctx context.Context) error {
	const rounds = 3 // each answers one of two questions
	for range rounds {
		var base, git []*Subject
		for _, s := range x.InOrder() {
			if s.Elusive {
				continue
			}
			switch s.Step = x.decide(s); s.Action {
			case plan.AskBase:
				base = append(base, s)
			case plan.AskGit:
				git = append(git, s)
			default:
			}
		}
		if len(base)+len(git) == 0 {
			return nil
		}
		if err := errors.Join(x.askBase(ctx, base), x.askGit(ctx, git)); err != nil {
			return err
		}
	}
	return nil
}

// decide remembers that the fields of an object can't be merged, so that it isn't tried again and again.
func (x *Exchange) decide(s *Subject) plan.Step {
	step := s.Decide(x.policy(s))
	if h, known := x.Memory.accord.held[s.Path]; step.Action == plan.Merge && known && h.Sides == s.Sides && x.policy(s) == plan.Hold {
		return plan.Step{Action: plan.Wait, Conflict: true}
	}
	return step
}

// askBase finds out whether the cluster has objects as base says.
func (x *Exchange) askBase(ctx context.Context, subjects []*Subject) error {
	if len(subjects) == 0 {
		return nil
	}
	paths := make([]string, 0, len(subjects))
	for _, s := range subjects {
		paths = append(paths, s.Path)
	}
	formers := x.formers(ctx, paths)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var asked []*Subject
	for _, s := range subjects {
		former, ok := formers[s.Path]
		if !ok {
			s.LiveIsBase = plan.No // as far as anybody can tell
			continue
		}
		s.former = former.Object
		asked = append(asked, s)
	}
	return x.ask(ctx, asked, func(s *Subject) (manifest.Resource, map[string]any, error) {
		return formers[s.Path].Resource, s.former, nil
	}, func(s *Subject, written kube.Written, answer plan.Answer) { s.ByBase, s.LiveIsBase = written, answer })
}

// askGit finds out whether the cluster has objects as Git says.
func (x *Exchange) askGit(ctx context.Context, subjects []*Subject) error {
	return x.ask(ctx, subjects, func(s *Subject) (manifest.Resource, map[string]any, error) {
		return x.Memory.Desired.Object(s.Path, x.Kinds)
	}, func(s *Subject, written kube.Written, answer plan.Answer) { s.ByGit, s.LiveIsGit = written, answer })
}

// ask has the API server say what writing some content would change.
func (x *Exchange) ask(ctx context.Context, subjects []*Subject, content func(*Subject) (manifest.Resource, map[string]any, error),
	take func(*Subject, kube.Written, plan.Answer)) error {
	var writes []kube.Write
	contents := map[string]map[string]any{}
	for _, s := range subjects {
		resource, object, err := content(s)
		if err != nil {
			s.Elusive = true
			continue
		}
		contents[s.Path] = object
		writes = append(writes, kube.Write{
			Path: s.Path, Resource: resource, Object: object, Live: s.Live, Recreate: true, Scaled: x.Memory.Desired.IsScaled(manifest.IDOf(object)),
			Exactly: true, // an answer about a later edit would be taken for one about this one
		})
	}
	x.Say("comparing %d objects", len(writes))
	for _, written := range x.Index.Apply(ctx, writes, kube.ApplyOptions{DryRun: true}) {
		s := x.Subjects[written.Path]
		answer, err := x.answer(ctx, s, written, contents[s.Path])
		if err != nil {
			return err
		}
		take(s, written, answer)
	}
	return ctx.Err()
}

// answer makes out what a dry run says.
func (x *Exchange) answer(ctx context.Context, s *Subject, written kube.Written, content map[string]any) (plan.Answer, error) {
	switch written.Action {
	case kube.Unchanged:
		return plan.Yes, nil
	case kube.Updated, kube.Recreated:
		return plan.No, nil
	case kube.Failed:
		if errors.Is(written.Err, kube.ErrUnreachable) || ctx.Err() != nil {
			return plan.Unknown, written.Err
		}
		return x.answerAlone(ctx, s, content)
	default:
		s.Elusive = true
	}
	return plan.Unknown, nil
}

// answerAlone compares the declared fields where the API server refuses to tell, because of a webhook for
// instance.
func (x *Exchange) answerAlone(ctx context.Context, s *Subject, content map[string]any) (plan.Answer, error) {
	live, err := x.liveContent(ctx, s)
	switch {
	case err != nil:
		return plan.Unknown, err
	case live == nil:
		s.Elusive = true
		return plan.Unknown, nil
	case manifest.Declares(content, live):
		return plan.Yes, nil
	}
	return plan.No, nil
}

// liveContent is the object as the cluster has it, in the version of the index; nil where it is another one by
// now.
func (x *Exchange) liveContent(ctx context.Context, s *Subject) (map[string]any, error) {
	contents, err := x.Index.Content(ctx, []tree.Change{{Path: s.Path, To: s.Live}})
	if err != nil || contents[s.Path] == nil {
		return nil, err
	}
	return objectOf(contents[s.Path])
}

// objectOf reads a canonical file.
func objectOf(content []byte) (map[string]any, error) {
	documents, problems := manifest.Decode("", content)
	if len(documents) != 1 || len(problems) > 0 {
		return nil, errors.New("the content of an object can't be read back")
	}
	return documents[0].Object, nil
}
