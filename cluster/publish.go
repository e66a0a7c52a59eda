package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Publish brings one list of a hotline's metadata into force, or a renewal of
// its metadata. The list's files must already be in Config.Files. It returns
// nil when the cluster has it in force (also when it had it before), an error
// wrapping ErrRefused and *state.Refusal when it was refused and the refusal
// is in the log, ErrHeld when a brake holds it back and that is in the log, ErrNoQuorum, ErrNoLeader or ErrSkew when nothing was decided.
// It may be called on any member and repeated.
func (n *Node) Publish(ctx context.Context, m trust.Metadata, id match.ListID) error {
	return n.PublishLogged(ctx, m, id, nil)
}

// PublishLogged is Publish for a hotline whose charter names a public log: proof
// is a publiclog.Proof, encoded, that goes on from View's head of that log. When
// another version was accepted meanwhile nothing is decided: publiclog.ErrStale.
func (n *Node) PublishLogged(ctx context.Context, m trust.Metadata, id match.ListID, proof []byte) error {
	if err := n.publish(ctx, m, id, proof); err != nil {
		return fmt.Errorf("publish list %s: %w", id, err)
	}
	return nil
}

func (n *Node) publish(ctx context.Context, m trust.Metadata, id match.ListID, proof []byte) error {
	view := n.fsm.view()
	refusal := command.Reject{Hotline: id.Hotline(), List: id, Stage: "stage", Node: n.c.Name}
	refuse := func(reason, detail string) error {
		hash := m.Hash()
		refusal.Object, refusal.Reason, refusal.Detail = hash[:], reason, plainText(detail)
		return n.refuse(ctx, refusal)
	}
	if _, err := match.ParseListID(string(id)); err != nil {
		refusal.Hotline, refusal.List = "", ""
		return refuse(state.ReasonUnknownList, "")
	}
	h, ok := view.Hotline(trust.HotlineID(id.Hotline()))
	if !ok {
		return refuse(state.ReasonUnknownHotline, "")
	}
	m = h.Roots.Complete(m)
	v, err := n.verify(h, m)
	if err != nil {
		if _, skew := n.compare(n.c.Clock()); errors.Is(skew, ErrSkew) {
			return skew // a wrong clock takes the valid for expired
		}
		return refuse(trust.Reason(err), err.Error())
	}
	i := slices.IndexFunc(v.Lists, func(t trust.ListTarget) bool { return t.List == id })
	if i < 0 {
		return refuse(state.ReasonUnknownList, "")
	}
	target := v.Lists[i]
	refusal.Seq = target.Seq
	encoded, err := m.Encode()
	if err != nil {
		return refuse(trust.Reason(err), err.Error())
	}
	publish := command.Publish{Metadata: encoded, List: id, PublicProof: proof}
	if cur, ok := view.InForce.List(id); !ok || cur.High() != target.Seq {
		if err := view.CheckPublicLog(m, v.Charter, target, proof); errors.Is(err, publiclog.ErrStale) {
			return err
		} else if err != nil {
			return refuse(trust.Reason(err), "")
		}
		if err := waits(view, target); err != nil {
			return err
		}
		verdicts, err := n.verdicts(ctx, StageRequest{From: n.c.Name, Size: view.Size, List: id, Metadata: encoded}, v, target)
		if err != nil {
			return err
		}
		if reason := objection(verdicts); reason != "" {
			if holdable(reason) {
				return n.hold(ctx, target, m.Hash(), reason, verdicts)
			}
			refusal.Verdicts = signed(verdicts, "")
			return refuse(reason, "")
		}
		var by string
		if publish.Verdicts, by = n.agreeing(ctx, target, verdicts); by != "" {
			refusal.Verdicts = signed(verdicts, "")
			return refuse(state.ReasonIndex, by)
		}
	}
	res, err := n.Propose(ctx, command.Command{Body: publish})
	if err != nil {
		return err
	}
	if r, ok := errors.AsType[*state.Refusal](res.Err); ok && r.Reason == state.ReasonStale {
		return fmt.Errorf("%w: %s", publiclog.ErrStale, r.Detail)
	}
	if res.Err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, res.Err)
	}
	if res.Logged {
		n.log.InfoContext(ctx, "list agreed", slog.Any("list", id), slog.Uint64("seq", target.Seq), slog.Uint64("leaf", res.Leaf))
	}
	return nil
}

// verify is what every replica does again when the command is applied.
func (n *Node) verify(h state.Hotline, m trust.Metadata) (*trust.Verified, error) {
	v, err := trust.Verify(h.Roots.Newest(), h.High, m, n.c.Clock())
	if err != nil {
		return nil, err
	}
	if v.Development && !n.c.Cluster.Development {
		return nil, trust.ErrDevelopment
	}
	return v, nil
}

// refuse records a refusal and returns it as Publish's error.
func (n *Node) refuse(ctx context.Context, r command.Reject) error {
	refusal := &state.Refusal{Reason: r.Reason, Detail: r.Detail}
	if _, err := n.Propose(ctx, command.Command{Body: r}); err != nil {
		return fmt.Errorf("record refusal %q: %w", r.Reason, err)
	}
	return fmt.Errorf("%w: %w", ErrRefused, refusal)
}

// opinion is one member's verdict.
type opinion struct {
	member string
	result string
	index  [32]byte // of the index it compiled
	signed audit.SignedVerdict
	err    error // nothing could be said
}

// verdicts stages the list here and asks every other member to. It returns as
// soon as a quorum approves with one index, or enough members object that none can; members
// that are still at it go on, so that they too hold the files. When too few
// members answer for either, it is ErrNoQuorum.
func (n *Node) verdicts(ctx context.Context, req StageRequest, v *trust.Verified, t trust.ListTarget) ([]opinion, error) {
	members := n.c.Cluster.Members
	answers := make(chan opinion, len(members))
	for _, m := range members {
		n.spawn(func(run context.Context) {
			run, cancel := context.WithTimeout(run, n.c.Timeouts.Stage)
			defer cancel()
			answers <- n.opinion(run, m, req, v, t)
		})
	}
	var all []opinion
	ok, no := 0, 0
	same := map[[32]byte]int{} // approvals by index
	var failed []error
	for range members {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrNoQuorum, ctx.Err())
		case <-n.stopped:
			return nil, fmt.Errorf("%w: node is stopping", ErrNoQuorum)
		case o := <-answers:
			switch {
			case o.err != nil:
				failed = append(failed, fmt.Errorf("%s: %w", o.member, o.err))
				continue
			case o.result == audit.ResultOK:
				ok++
				same[o.index]++
			default:
				no++
			}
			all = append(all, o)
			if same[o.index] >= n.quorum.Need {
				return all, nil
			}
		}
		if no > len(members)-n.quorum.Need {
			return all, nil
		}
	}
	most := 0
	for _, n := range same {
		most = max(most, n)
	}
	if ok >= n.quorum.Need && most+len(failed) < n.quorum.Need {
		return all, nil // of different indexes, whatever those say that did not answer
	}
	return nil, fmt.Errorf("%w: %d approve, %d object, %w", ErrNoQuorum, ok, no, errors.Join(failed...))
}

func (n *Node) opinion(ctx context.Context, m audit.MemberKey, req StageRequest, v *trust.Verified, t trust.ListTarget) opinion {
	var s audit.SignedVerdict
	var err error
	if m.Name == n.c.Name {
		s, err = n.stageSlot(ctx, v, t, nil)
	} else {
		s, err = n.c.Peers.Stage(ctx, m.Name, req)
		n.contact(m.Name, err)
	}
	if err != nil {
		return opinion{member: m.Name, err: err}
	}
	said, err := audit.VerifyVerdict(s, m.Key)
	if err != nil {
		return opinion{member: m.Name, err: err}
	}
	if said.Node != m.Name || said.Cluster != n.id || said.List != t.List || said.Seq != t.Seq || said.Edge != t.Edge.SHA256 {
		return opinion{member: m.Name, err: errors.New("its verdict is about something else")}
	}
	if m.Name != n.c.Name {
		n.noteKeys(m.Name, t, said.Result)
	}
	if said.Result != audit.ResultOK {
		n.log.Warn("member objects to a list", slog.String("member", m.Name), slog.Any("list", t.List),
			slog.Uint64("seq", t.Seq), slog.String("reason", said.Result))
	}
	return opinion{member: m.Name, result: said.Result, index: said.Index, signed: s}
}

// agreeing picks the approvals of the index that most members compiled. When these are no quorum it says who compiled what.
func (n *Node) agreeing(ctx context.Context, t trust.ListTarget, all []opinion) ([]audit.SignedVerdict, string) {
	by := map[[32]byte][]string{}
	var most [32]byte
	for _, o := range all {
		if o.result == audit.ResultOK {
			by[o.index] = append(by[o.index], o.member)
			if len(by[o.index]) > len(by[most]) {
				most = o.index
			}
		}
	}
	if len(by) > 1 {
		n.log.ErrorContext(ctx, "members compile different indexes of one edge list", slog.Any("list", t.List), slog.Uint64("seq", t.Seq), slog.String("members", saidBy(by)))
	}
	if len(by[most]) < n.quorum.Need {
		return nil, saidBy(by)
	}
	var out []audit.SignedVerdict
	for _, o := range all {
		if o.result == audit.ResultOK && o.index == most {
			out = append(out, o.signed)
		}
	}
	return out, ""
}

// saidBy says which members compiled which index.
func saidBy(by map[[32]byte][]string) string {
	parts := make([]string, 0, len(by))
	for index, members := range by {
		slices.Sort(members)
		parts = append(parts, fmt.Sprintf("%s compiled %x", strings.Join(members, ", "), index[:8]))
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}

// objection is the reason most members gave, when verdicts ended in a no; the
// first by the alphabet of equally many.
func objection(all []opinion) string {
	counts := map[string]int{}
	ok := 0
	for _, o := range all {
		if o.result == audit.ResultOK {
			ok++
			continue
		}
		counts[o.result]++
	}
	if ok > len(all)-ok {
		return ""
	}
	reasons := make([]string, 0, len(counts))
	for r := range counts {
		reasons = append(reasons, r)
	}
	slices.SortFunc(reasons, func(a, b string) int { return cmp.Or(counts[b]-counts[a], cmp.Compare(a, b)) })
	if len(reasons) == 0 {
		return ""
	}
	return reasons[0]
}

// signed picks the verdicts with a result; all of them for "".
func signed(all []opinion, result string) []audit.SignedVerdict {
	var out []audit.SignedVerdict
	for _, o := range all {
		if result == "" || o.result == result {
			out = append(out, o.signed)
		}
	}
	return out
}
