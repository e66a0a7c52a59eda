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
	"github.com/cordon-project/cordon/appliance/identity"
	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/brake"
	"github.com/cordon-project/cordon/resolver/match"
)

// OrderRequest is what every order of the operator's officers has, as a person types it.
type OrderRequest struct {
	Officers []string      // their folders: one signs and writes a file for the next, two decide at once
	Out      string        // file to write instead of handing the order in; empty: a name of its own when one officer signs
	Reason   string        // content_gone error appeal court law_enforcement duplicate other(text)
	For      time.Duration // how long it lasts, or may be accepted
	Number   uint64        // 0: the next one
}

// Decision is what became of an order.
type Decision struct {
	Kind    string    `json:"kind"`
	Number  uint64    `json:"number"`
	Text    string    `json:"text"`
	Reason  string    `json:"reason"`
	Expires time.Time `json:"expires"`
	Signers []string  `json:"signers"`
	File    string    `json:"file,omitempty"` // where it waits for more signatures, or to be handed in
	Leaf    uint64    `json:"leaf,omitempty"` // of the log, once it is decided
	Again   bool      `json:"again,omitempty"`
}

// Approve lets a held version come into force: the one that is held, or the one of list when several are. Entries are ids in hex; brakes are
// those that hold it when none is named.
func (o *Operator) Approve(ctx context.Context, r OrderRequest, list string, entries, brakes []string) (Decision, error) {
	st, err := o.Newest(ctx)
	if err != nil {
		return Decision{}, err
	}
	held, err := pickHeld(st.Node.Held, list)
	if err != nil {
		return Decision{}, appliance.BadInput(err)
	}
	body := order.Approve{List: held.List, Seq: held.Seq, Brakes: brakes}
	if len(brakes) == 0 {
		if body.Brakes, err = o.holding(ctx, held); err != nil {
			return Decision{}, err
		}
	}
	slices.Sort(body.Brakes)
	body.Brakes = slices.Compact(body.Brakes)
	if body.Entries, err = parseEntries(entries); err != nil {
		return Decision{}, appliance.BadInput(err)
	}
	for text, into := range map[string]*[32]byte{held.Edge: &body.Edge, held.NeverBlock: &body.NeverBlock} {
		if *into, err = parseHash(text); err != nil {
			return Decision{}, fmt.Errorf("status of list %s: %w", held.List, err)
		}
	}
	return o.decide(ctx, r, st, body)
}

// holding are all brakes that hold a version and that officers can overrule: an approval takes the place of the one before, so that one
// for each brake in turn would never let the version pass.
func (o *Operator) holding(ctx context.Context, held cluster.HeldStatus) ([]string, error) {
	all, err := o.Held(ctx)
	if err != nil {
		return nil, err
	}
	brakes := []string{held.Brake}
	for _, h := range all {
		if h.List != held.List || h.Seq != held.Seq || h.Edge != held.Edge || h.Judgement == nil {
			continue
		}
		for _, b := range h.Judgement.Held {
			if b.Brake.AtOperator() != brake.Nobody {
				brakes = append(brakes, string(b.Brake))
			}
		}
	}
	return brakes, nil
}

func pickHeld(all []cluster.HeldStatus, list string) (cluster.HeldStatus, error) {
	var found []cluster.HeldStatus
	var names []string
	for _, h := range all {
		names = append(names, string(h.List))
		if list == "" || string(h.List) == list {
			found = append(found, h)
		}
	}
	switch {
	case len(all) == 0:
		return cluster.HeldStatus{}, errors.New("no version is held back; cordon status would name it")
	case len(found) == 1:
		return found[0], nil
	}
	return cluster.HeldStatus{}, fmt.Errorf("--list must be one of those that are held back: %s", strings.Join(names, ", "))
}

// Policy makes the never-block list that all control nodes check against now the one that every verdict must be about.
func (o *Operator) Policy(ctx context.Context, r OrderRequest) (Decision, error) {
	var best *api.Status
	for _, n := range o.Status(ctx) {
		switch {
		case n.Status == nil:
			return Decision{}, fmt.Errorf("control node at %s does not answer (%s): its never-block list must be known", n.URL, n.Error)
		case best != nil && best.Node.Orders.NeverBlock != n.Status.Node.Orders.NeverBlock:
			return Decision{}, appliance.BadInput(fmt.Errorf("control nodes %s and %s have different never_block lists; give all of them the same one first", best.Node.Name, n.Status.Node.Name))
		}
		best = n.Status
	}
	hash, err := parseHash(best.Node.Orders.NeverBlock)
	if err != nil {
		return Decision{}, err
	}
	return o.decide(ctx, r, *best, order.Policy{NeverBlock: hash, Count: uint64(best.Node.Orders.Names)})
}

// Which asks which entries of lists in force stop a name.
func (o *Operator) Which(ctx context.Context, name string) ([]cluster.Which, error) {
	var found []cluster.Which
	err := o.newestFirst(ctx, func(ctx context.Context, c *api.Client) (err error) {
		found, err = c.Which(ctx, name)
		return err
	})
	var said *api.AnswerError
	if errors.As(err, &said) && said.Code == http.StatusBadRequest {
		return nil, appliance.BadInput(errors.New(strings.TrimSuffix(said.Text, ": "+cluster.ErrRequest.Error())))
	}
	return found, err
}

// Suppression says which entries an order takes out of force, or with Lift puts back.
type Suppression struct {
	List    string   // HOTLINE/LIST; empty: the only one in force, or that of the name's entries
	Entries []string // ids in hex
	Name    string   // instead of entries: all that stop this name. The order holds their ids, never the name.
	Lift    bool
}

// Suppress takes entries out of force for a time, or puts back what was suppressed.
func (o *Operator) Suppress(ctx context.Context, r OrderRequest, s Suppression) (Decision, error) {
	st, err := o.Newest(ctx)
	if err != nil {
		return Decision{}, err
	}
	body := order.Suppress{List: match.ListID(s.List), Lift: s.Lift}
	if body.Entries, err = parseEntries(s.Entries); err != nil {
		return Decision{}, appliance.BadInput(err)
	}
	if s.Name != "" {
		found, err := o.Which(ctx, s.Name)
		if err != nil {
			return Decision{}, err
		}
		if err := named(&body, found); err != nil {
			return Decision{}, appliance.BadInput(err)
		}
	}
	var lists []string
	for _, l := range st.Node.Lists {
		if lists = append(lists, string(l.List)); body.List == l.List || body.List == "" {
			body.List, body.Epoch = l.List, l.Epoch
		}
	}
	if body.Epoch == 0 || s.List == "" && s.Name == "" && len(lists) > 1 {
		return Decision{}, appliance.BadInput(fmt.Errorf("--list must be one of those in force: %s", strings.Join(lists, ", ")))
	}
	for _, e := range body.Entries {
		if body.Lift && !slices.ContainsFunc(st.Node.Orders.Suppressed, func(x cluster.SuppressedStatus) bool { return x.List == body.List && x.Entry == e }) {
			return Decision{}, appliance.BadInput(fmt.Errorf("entry %s of list %s is not suppressed", e, body.List))
		}
	}
	return o.decide(ctx, r, st, body)
}

// named fills an order in with the entries that stop a name and are not as the order wants them.
func named(body *order.Suppress, found []cluster.Which) error {
	var lists []string
	for _, w := range found {
		if body.List != "" && w.List != body.List || w.Removed || w.Suppressed.IsZero() == body.Lift {
			continue
		}
		body.Entries = append(body.Entries, w.Entry)
		if !slices.Contains(lists, string(w.List)) {
			lists = append(lists, string(w.List))
		}
	}
	switch {
	case len(lists) == 0 && body.Lift:
		return errors.New("nothing that stops this name is suppressed")
	case len(lists) == 0:
		return errors.New("no entry in force stops this name; cordon which says more")
	case len(lists) > 1:
		return fmt.Errorf("the name is stopped by %s: give an order for each, with --list", strings.Join(lists, " and "))
	}
	body.List = match.ListID(lists[0])
	body.Entries = order.SortEntries(body.Entries)
	return nil
}

// Bypass lets everything pass for a time, or ends that.
func (o *Operator) Bypass(ctx context.Context, r OrderRequest, lift bool) (Decision, error) {
	st, err := o.Newest(ctx)
	if err != nil {
		return Decision{}, err
	}
	if lift && st.Node.Orders.Bypass.IsZero() {
		return Decision{}, appliance.BadInput(errors.New("no bypass is on: lists are enforced"))
	}
	return o.decide(ctx, r, st, order.Bypass{Lift: lift})
}

// Return goes back to an earlier version of a list.
func (o *Operator) Return(ctx context.Context, r OrderRequest, list string, seq uint64) (Decision, error) {
	st, err := o.Newest(ctx)
	if err != nil {
		return Decision{}, err
	}
	if list == "" && len(st.Node.Lists) == 1 {
		list = string(st.Node.Lists[0].List)
	}
	var body order.Return
	err = o.newestFirst(ctx, func(ctx context.Context, c *api.Client) (err error) {
		body, err = c.WayBack(ctx, match.ListID(list), seq)
		return err
	})
	var said *api.AnswerError
	if errors.As(err, &said) && said.Code == http.StatusBadRequest {
		return Decision{}, appliance.BadInput(errors.New(strings.TrimSuffix(said.Text, ": "+cluster.ErrRequest.Error())))
	} else if err != nil {
		return Decision{}, err
	}
	return o.decide(ctx, r, st, body)
}

// decide signs an order with the officers at hand, and hands it in when they are enough.
func (o *Operator) decide(ctx context.Context, r OrderRequest, st api.Status, body order.Body) (Decision, error) {
	known := st.Node.Orders
	if len(known.Officers) == 0 {
		return Decision{}, appliance.BadInput(errors.New("this cluster has no officers: its cluster file was made without --officer, and nobody can sign an order for it"))
	}
	kind := string(body.Kind())
	now := time.Now()
	if longest := order.Life(body.Kind()); r.For > longest {
		return Decision{}, appliance.BadInput(fmt.Errorf("--for: %s lasts at most %d hours", kind, int(longest.Hours())))
	}
	it := order.Order{
		Cluster: known.Cluster, Number: r.Number, Issued: now.Unix(), Expires: now.Add(r.For).Unix(), Reason: r.Reason, Body: body,
	}
	if it.Number == 0 {
		it.Number = known.Numbers[kind] + 1
	}
	officers, err := signers(r.Officers)
	if err != nil {
		return Decision{}, err
	}
	var raw []byte
	for i, officer := range officers {
		if !slices.Contains(known.Officers, officer.Name) {
			return Decision{}, appliance.BadInput(fmt.Errorf("%s is no officer of this cluster; its officers are %s", officer.Name, strings.Join(known.Officers, ", ")))
		}
		if i == 0 {
			raw, err = order.Sign(it, officer.Name, officer.Key)
		} else {
			raw, err = order.Countersign(raw, officer.Name, officer.Key)
		}
		if err != nil {
			return Decision{}, appliance.BadInput(err)
		}
	}
	d, err := decisionOf(raw)
	if err != nil {
		return Decision{}, err
	}
	if d.File = r.Out; d.File == "" && len(d.Signers) < order.Threshold {
		d.File = fmt.Sprintf("%s-%d.order", kind, it.Number)
	}
	if d.File != "" {
		return d, writeNew(d.File, raw)
	}
	return o.handIn(ctx, raw, d)
}

// signers reads officers' folders, each another person's.
func signers(dirs []string) ([]identity.Officer, error) {
	var all []identity.Officer
	for _, dir := range dirs {
		officer, err := identity.LoadOfficer(dir)
		if err != nil {
			return nil, appliance.BadInput(err)
		}
		if slices.ContainsFunc(all, func(before identity.Officer) bool { return before.Name == officer.Name }) {
			return nil, appliance.BadInput(fmt.Errorf("--officer: %s is named twice; the second signature is another person's", officer.Name))
		}
		all = append(all, officer)
	}
	return all, nil
}

func (o *Operator) handIn(ctx context.Context, raw []byte, d Decision) (Decision, error) {
	done, err := o.Order(ctx, raw)
	if err != nil {
		return Decision{}, fmt.Errorf("%s order %d: %w", d.Kind, d.Number, err)
	}
	d.Leaf, d.Again, d.File = done.Leaf, done.Again, ""
	return d, nil
}
