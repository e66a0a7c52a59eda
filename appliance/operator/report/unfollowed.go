package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync"
	"github.com/cordon-project/cordon/listsync/trust"
)

// unfollowed gathers what control nodes say about hotlines that they cannot follow, so that what all say alike is one sentence.
type unfollowed []unfollow

type unfollow struct {
	hotline trust.HotlineID
	problem string
	since   time.Time // the earliest
	by      []string
}

func (u *unfollowed) add(h listsync.Health, node string) {
	if h.FailingSince.IsZero() {
		return
	}
	i := slices.IndexFunc(*u, func(o unfollow) bool { return o.hotline == h.Hotline && o.problem == h.Problem })
	if i < 0 {
		i = len(*u)
		*u = append(*u, unfollow{h.Hotline, h.Problem, h.FailingSince, nil})
	}
	if one := &(*u)[i]; h.FailingSince.Before(one.since) {
		one.since = h.FailingSince
	}
	(*u)[i].by = append((*u)[i].by, node)
}

// said are the sentences; who says it stands in one that not all of so many nodes say.
func (u unfollowed) said(nodes int) (all []string) {
	slices.SortStableFunc(u, func(a, b unfollow) int { return cmp.Or(cmp.Compare(a.hotline, b.hotline), a.since.Compare(b.since)) })
	for _, one := range u {
		text := fmt.Sprintf("hotline %s cannot be followed since %s: %s", one.hotline, clock(one.since), one.problem)
		if len(one.by) < nodes {
			text += fmt.Sprintf(" (says %s)", strings.Join(one.by, ", "))
		}
		all = append(all, text)
	}
	return all
}
