package listsync

import (
	"context"
	"errors"
	"fmt"

	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Preview is what a hotline publishes now, verified, whether or not it is in force.
type Preview struct {
	Metadata trust.Metadata
	Lists    []trust.ListTarget // whose files lie in the store
}

// Preview reads the first repository that can be followed, and brings the files of its lists into the store: all lists, or the one
// that is named. Nothing is proposed and nothing is remembered. It may be called concurrently with Run.
func (s *Syncer) Preview(ctx context.Context, only match.ListID) (Preview, error) {
	accepted, ok := s.c.Proposer.Accepted(s.c.Hotline)
	if !ok {
		return Preview{}, fmt.Errorf("preview of hotline %s: %w", s.c.Hotline, errNotPinned)
	}
	var failures []error
	for _, repo := range s.c.Repositories {
		p, err := s.preview(ctx, repo, accepted, only)
		if err == nil || ctx.Err() != nil {
			return p, err
		}
		failures = append(failures, err)
	}
	return Preview{}, fmt.Errorf("preview of hotline %s: %w", s.c.Hotline, errors.Join(failures...))
}

func (s *Syncer) preview(ctx context.Context, repo *fetch.Repository, accepted Accepted, only match.ListID) (Preview, error) {
	m, err := repo.Metadata(ctx, accepted.Roots.Version())
	if err != nil {
		return Preview{}, fmt.Errorf("read metadata: %w", err)
	}
	m = accepted.Roots.Complete(m)
	v, err := trust.Verify(accepted.Roots.Newest(), accepted.High, m, s.c.Clock())
	if err != nil {
		return Preview{}, err
	}
	p := Preview{Metadata: m}
	for _, t := range v.Lists {
		if only != "" && t.List != only {
			continue
		}
		if err := s.lists.stage(ctx, repo, t); err != nil {
			return Preview{}, fmt.Errorf("fetch list %s version %d: %w", t.List, t.Seq, err)
		}
		p.Lists = append(p.Lists, t)
	}
	return p, nil
}
