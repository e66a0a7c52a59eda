package operator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/resolver/match"
)

// AppealRequest is an appeal as a person registers it.
type AppealRequest struct {
	List     string    // HOTLINE/LIST, or empty
	Entry    string    // id in hex, or empty
	Received time.Time // zero: now
	Due      time.Duration
}

// Registered is what became of an act.
type Registered struct {
	Ref   audit.AppealRef `json:"ref"`
	Due   time.Time       `json:"due,omitzero"`
	Leaf  uint64          `json:"leaf"`
	Again bool            `json:"again,omitempty"`
}

// NewAppeal registers an appeal under a new random reference.
func (o *Operator) NewAppeal(ctx context.Context, r AppealRequest) (Registered, error) {
	now := time.Now()
	if r.Received.IsZero() {
		r.Received = now
	}
	if r.Due <= 0 || r.Due > audit.MaxAppealTime {
		return Registered{}, appliance.BadInput(fmt.Errorf("--due: a number of days from 1 to %d", int(audit.MaxAppealTime.Hours()/24)))
	}
	if r.Received.After(now) || now.Sub(r.Received) > audit.MaxAppealTime {
		return Registered{}, appliance.BadInput(fmt.Errorf("--received: a day in the past year, not after today"))
	}
	a := audit.Appeal{Ref: audit.NewAppealRef(), List: match.ListID(r.List), Received: r.Received.Unix(), Due: r.Received.Add(r.Due).Unix()}
	if r.List != "" {
		if _, err := match.ParseListID(r.List); err != nil {
			return Registered{}, appliance.BadInput(fmt.Errorf("--list: %w", err))
		}
	}
	if r.Entry != "" {
		id, err := match.ParseEntryID(r.Entry)
		if err != nil {
			return Registered{}, appliance.BadInput(fmt.Errorf("--entry: %w; cordon which tells the ids of entries", err))
		}
		if r.List == "" {
			return Registered{}, appliance.BadInput(errors.New("--list is needed with --entry: the list that the entry is of"))
		}
		a.Entry = id[:]
	}
	return o.register(ctx, a, Registered{Ref: a.Ref, Due: time.Unix(a.Due, 0).UTC()})
}

// DecideAppeal hands in what these officers, one at least, decide about an appeal. What was decided so before is told again, and a reference
// that the register does not have is refused here: a refusal by the cluster would stay in the log.
func (o *Operator) DecideAppeal(ctx context.Context, ref, outcome string, officers []string) (Registered, error) {
	r, err := audit.ParseAppealRef(ref)
	if err != nil {
		return Registered{}, appliance.BadInput(fmt.Errorf("%w; cordon appeal list names those that are open", err))
	}
	st, err := o.Newest(ctx)
	if err != nil {
		return Registered{}, err
	}
	signing, err := signers(officers)
	if err != nil {
		return Registered{}, err
	}
	var d audit.Decision
	for i, officer := range signing {
		if i == 0 {
			d = audit.SignRuling(audit.Ruling{Cluster: st.Node.Orders.Cluster, Ref: r, Outcome: audit.Outcome(outcome), At: time.Now().Unix()}, officer.Name, officer.Key)
		} else {
			d = d.Countersign(officer.Name, officer.Key)
		}
	}
	if _, err := d.Ruling(); err != nil {
		return Registered{}, appliance.BadInput(fmt.Errorf("--outcome %q: one of %s", outcome, Outcomes()))
	}
	all, err := o.Appeals(ctx)
	if err != nil {
		return Registered{}, err
	}
	switch before, err := decided(all, r, audit.Outcome(outcome)); {
	case err != nil:
		return Registered{}, err
	case before != nil:
		return *before, nil
	}
	return o.register(ctx, d, Registered{Ref: r})
}

// decided looks for the appeal: nil when it is open, what became of it when that is the same outcome, an error otherwise.
func decided(all []api.Appeal, ref audit.AppealRef, outcome audit.Outcome) (*Registered, error) {
	i := slices.IndexFunc(all, func(a api.Appeal) bool { return a.Ref == ref })
	switch {
	case i < 0:
		return nil, appliance.BadInput(fmt.Errorf("no appeal %s is open, nor among the last that were decided; cordon appeal list names those that are open", ref))
	case all[i].Outcome == "":
		return nil, nil
	case all[i].Outcome == outcome:
		return &Registered{Ref: ref, Leaf: all[i].Decided, Again: true}, nil
	}
	a := all[i]
	return nil, fmt.Errorf("%w: appeal %s was decided before: %s at %s by %s (leaf %d)", ErrRefused, ref, a.Outcome, a.At.UTC().Format(time.RFC3339), strings.Join(a.By, " and "), a.Decided)
}

// Outcomes are the words for what may become of an appeal.
func Outcomes() string {
	words := make([]string, len(audit.Outcomes))
	for i, o := range audit.Outcomes {
		words[i] = string(o)
	}
	return strings.Join(words, ", ")
}

func (o *Operator) register(ctx context.Context, act audit.Act, r Registered) (Registered, error) {
	var done api.Ordered
	err := o.newestFirst(ctx, func(ctx context.Context, c *api.Client) (err error) {
		done, err = c.Register(ctx, act)
		return err
	})
	var said *api.AnswerError
	switch {
	case errors.As(err, &said) && said.Code == http.StatusConflict:
		return Registered{}, fmt.Errorf("%w: %s%s", ErrRefused, said.Text, whyNot(said.Text))
	case err != nil:
		return Registered{}, err
	}
	r.Leaf, r.Again = done.Leaf, done.Again
	return r, nil
}

// whyNot puts the register's refusals into words.
func whyNot(text string) string {
	switch {
	case strings.Contains(text, "refused: admin: "+audit.ActDecision):
		return " (there is no open appeal with this reference, or it was decided before: cordon appeal list)"
	case strings.Contains(text, "refused: signature: "+audit.ActDecision):
		return " (not signed by an officer of this cluster)"
	case strings.Contains(text, "refused: too_large"):
		return fmt.Sprintf(" (at most %d appeals are open at once: decide some first)", audit.MaxOpenAppeals)
	}
	return ""
}

// Appeals are the open appeals and the last thousand decided ones, by reference.
func (o *Operator) Appeals(ctx context.Context) ([]api.Appeal, error) {
	var all []api.Appeal
	err := o.newestFirst(ctx, func(ctx context.Context, c *api.Client) (err error) {
		all, err = c.Appeals(ctx)
		return err
	})
	return all, err
}
