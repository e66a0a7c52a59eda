package audit

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// metadata reads the hotlines' metadata, starting with member m, and walks the log with it: each
// version's and renewal's signatures at that leaf's time, each withdrawal's under the officers of that
// time. It returns the first member after them.
func (v *verifier) metadata(b *bundleReader, m *member) (*member, error) {
	named := &named{seen: make(map[[32]byte]bool)}
	for _, l := range v.leaves {
		named.leaf(l)
	}
	v.docs = make(map[[32]byte][]byte)
	for m != nil && m.class == classMetadata {
		if !named.seen[m.hash] {
			v.fail(CheckVersions, "the bundle has metadata %x that the log does not name", m.hash[:8])
		} else {
			data, err := b.read()
			if err != nil {
				return nil, err
			}
			v.docs[m.hash] = data
		}
		var err error
		if m, err = v.next(b); err != nil {
			return nil, err
		}
	}
	w := &walk{v: v, roots: v.trust.Cluster.Anchors(), high: make(map[trust.HotlineID]Versions), officers: make(map[trust.HotlineID]trust.Officers)}
	for _, l := range v.leaves {
		if err := v.ctx.Err(); err != nil {
			return nil, err
		}
		w.leaf(l)
	}
	w.noteOwed()
	w.knowGiven()
	v.pass(CheckMetadata, "%d versions and %d renewals signed by their hotlines under the pinned roots", len(v.publishes), len(v.renewals))
	v.pass(CheckCharter, "scope csam everywhere, charters valid when used, filters as chartered")
	v.pass(CheckWithdrawals, "%d withdrawals, each signed by the hotline's officers", len(v.withdraws))
	return m, nil
}

// walk goes through the log once, carrying what each hotline's metadata last said.
type walk struct {
	v        *verifier
	roots    map[trust.HotlineID][]byte // the latest trusted root
	high     map[trust.HotlineID]Versions
	officers map[trust.HotlineID]trust.Officers
	owed     []owing
}

func (w *walk) leaf(l Leaf) {
	switch l.K {
	case KindPublish, KindTrust, KindWithdraw:
	default:
		return
	}
	body, err := l.Body()
	if err != nil {
		panic(fmt.Sprintf("audit: leaf %d decoded before and not now: %v", l.N, err))
	}
	switch b := body.(type) {
	case Publish:
		w.settle(b.List, b.Seq)
		what := fmt.Sprintf("leaf %d, list %s", l.N, listSeq(b.List, b.Seq))
		got, ok := w.verify(l, what, b.Hotline, b.Metadata)
		if !ok {
			return
		}
		if t, err := signedTarget(got, b); err != nil {
			w.v.fail(CheckMetadata, "%s: %v", what, err)
		} else {
			w.v.signedHead(l.N, t.EdgeHead)
		}
		if err := sameCharter(got, b); err != nil {
			w.v.fail(CheckCharter, "%s: %v", what, err)
		}
	case Trust:
		if b.Metadata == ([32]byte{}) {
			if l.N >= uint64(len(w.v.trust.Cluster.Genesis())) { // those of genesis were compared by the log check
				w.v.fail(CheckMetadata, "leaf %d: it would pin hotline %s anew, without any metadata", l.N, b.Hotline)
			}
			return
		}
		what := fmt.Sprintf("leaf %d, renewal of hotline %s", l.N, b.Hotline)
		got, ok := w.verify(l, what, b.Hotline, b.Metadata)
		if ok && (sha256.Sum256(got.Root) != b.Root || VersionsOf(got.High) != b.Versions) {
			w.v.fail(CheckMetadata, "%s: the leaf's root or versions are not those of the metadata", what)
		}
	case Withdraw:
		w.withdraw(l, b)
	}
}

// verify checks one metadata document at a leaf's time and reports its failure under the right name.
func (w *walk) verify(l Leaf, what string, h trust.HotlineID, hash [32]byte) (*trust.Verified, bool) {
	v := w.v
	root, ok := w.roots[h]
	if !ok {
		v.fail(CheckMetadata, "%s: the trust file pins no root of hotline %s", what, h)
		return nil, false
	}
	doc, ok := v.docs[hash]
	if !ok {
		v.fail(CheckMetadata, "%s: metadata %x is missing from the bundle", what, hash[:8])
		return nil, false
	}
	at := time.Unix(l.T, 0).UTC()
	md, err := decodeMetadata(doc, hash)
	if err != nil {
		v.fail(CheckMetadata, "%s: %v", what, err)
		if md, err := trust.DecodeMetadata(doc); err == nil { // say what stands in its place
			if _, err := trust.Verify(root, trust.HighWater{}, md, at); err != nil {
				w.refused(what, md, at, err)
			}
		}
		return nil, false
	}
	got, err := trust.Verify(root, trust.HighWater{}, md, at)
	if err == nil && got.Hotline != h {
		err = fmt.Errorf("it is of hotline %q: %w", string(got.Hotline), ErrMismatch)
	}
	if err == nil && !v.trust.Cluster.Development {
		err = got.Production()
	}
	if err != nil {
		w.refused(what, md, at, err)
		return nil, false
	}
	now := VersionsOf(got.High)
	if before := w.high[h]; now.Root < before.Root || !got.Restarted && (now.Timestamp < before.Timestamp || now.Snapshot < before.Snapshot) ||
		now.Targets < before.Targets || now.List < before.List {
		v.fail(CheckVersions, "%s: the hotline's metadata went back from versions %s to %s", what, before, now)
	}
	w.high[h], w.roots[h], w.officers[h] = now, got.Root, got.Officers
	return got, true
}

// refused sorts a refusal: what is wrong with the charter itself is the charter check's.
func (w *walk) refused(what string, md trust.Metadata, at time.Time, err error) {
	if errors.Is(err, trust.ErrScope) || errors.Is(err, trust.ErrCharter) || errors.Is(err, trust.ErrExpired) || errors.Is(err, trust.ErrHash) {
		c, cerr := trust.ParseCharter(md.Charter)
		if cerr == nil {
			cerr = c.ValidAt(at)
		}
		if scope := foreignScope(md.Charter); scope != "" {
			w.v.fail(CheckCharter, "%s: the charter's scope is %q, only \"csam\" is allowed", what, scope)
			return
		} else if cerr != nil {
			w.v.fail(CheckCharter, "%s: %v", what, cerr)
			return
		}
		if _, f, err := trust.ReadTargets(md.Targets); err == nil && f.SHA256 != sha256.Sum256(md.Charter) {
			w.v.fail(CheckCharter, "%s: the charter is not the accredited one", what)
			return
		}
	}
	if errors.Is(err, trust.ErrScope) {
		if scope := foreignListScope(md.List); scope != "" {
			w.v.fail(CheckMetadata, "%s: scope is %q, only \"csam\" is allowed (%v)", what, scope, err)
			return
		}
	}
	w.v.fail(CheckMetadata, "%s: %v", what, err)
}

func (w *walk) withdraw(l Leaf, b Withdraw) {
	what := fmt.Sprintf("leaf %d, withdrawal %d of list %s", l.N, b.Number, b.List)
	o, ok := w.officers[b.Hotline]
	if !ok {
		w.v.fail(CheckWithdrawals, "%s: no verified metadata before it says who the hotline's officers are", what)
		return
	}
	said, signers, err := trust.VerifyWithdrawal(o, b.Statement, time.Unix(l.T, 0).UTC())
	if err != nil {
		w.v.fail(CheckWithdrawals, "%s: %v", what, err)
		return
	}
	w.v.know(b.Statement, said, o.Complete(signers))
	if strings.Join(signers, " ") != strings.Join(b.Signers, " ") || b.Owed != (len(signers) < o.Threshold) {
		w.v.fail(CheckWithdrawals, "%s: the leaf names other signers than the statement has", what)
	}
	w.owe(l, b)
}

// owing is a withdrawal that one officer alone has signed.
type owing struct {
	list   match.ListID
	number uint64
	id     [32]byte // of the statement, whoever signed it
	to     uint64   // last version it speaks of
	leaf   Leaf
}

// owe keeps who owes a second signature, until it comes.
func (w *walk) owe(l Leaf, b Withdraw) {
	id, err := trust.StatementID(b.Statement)
	if err != nil {
		return // it verified before
	}
	w.owed = slices.DeleteFunc(w.owed, func(o owing) bool { return o.list == b.List && o.number == b.Number && o.id == id })
	if b.Owed {
		w.owed = append(w.owed, owing{b.List, b.Number, id, b.SeqTo, l})
	}
}

// settle ends what was owed on versions before this one: the officers' threshold has signed the list anew.
func (w *walk) settle(list match.ListID, seq uint64) {
	w.owed = slices.DeleteFunc(w.owed, func(o owing) bool { return o.list == list && o.to < seq })
}

// noteOwed says at the end what no second officer has signed.
func (w *walk) noteOwed() {
	for _, o := range w.owed {
		late := ""
		if due := time.Unix(o.leaf.T, 0).Add(secondWithin); w.v.o.Now.After(due) {
			late = ", overdue since " + stamp(due.Unix())
		}
		w.v.note("leaf %d, withdrawal %d of list %s: signed by one officer, the second signature is owed%s", o.leaf.N, o.number, o.list, late)
	}
}

// secondWithin is when the second signature of a withdrawal is due.
const secondWithin = 24 * time.Hour

// verdicts counts, for each version, the members of that time who had checked its files.
func (v *verifier) verdicts() {
	id := v.trust.Cluster.ID()
	for _, at := range v.publishes {
		admitted := slices.DeleteFunc(slices.Clone(at.p.Verdicts), func(s SignedVerdict) bool {
			said, err := s.Verdict()
			return err != nil || !at.orders.Admits(said)
		})
		by, need := Approvals(admitted, id, at.members, at.p), Majority(len(at.members))
		if len(by) < need {
			against := ""
			if len(admitted) < len(at.p.Verdicts) {
				against = " against the never-block list that the officers decided on"
			}
			v.fail(CheckVerdicts, "leaf %d, list %s: checked and signed%s by %d of %d members (%s), %d are needed",
				at.leaf.N, listSeq(at.p.List, at.p.Seq), against, len(by), len(at.members), strings.Join(by, ", "), need)
		}
	}
	v.pass(CheckVerdicts, "each version was checked and signed by a quorum of members")
}

func (v Versions) String() string {
	return fmt.Sprintf("%d.%d.%d.%d.%d", v.Root, v.Timestamp, v.Snapshot, v.Targets, v.List)
}

// foreignScope and foreignListScope read a document that was refused for its scope once more, only to
// name the scope in the message.
func foreignScope(charter []byte) string {
	var c struct {
		Scope string `json:"scope"`
	}
	if json.Unmarshal(charter, &c) != nil || c.Scope == "csam" {
		return ""
	}
	return clip(c.Scope)
}

func foreignListScope(list []byte) string {
	var doc struct {
		Signed struct {
			Targets map[string]struct {
				Custom struct {
					Scope *string `json:"scope"`
				} `json:"custom"`
			} `json:"targets"`
		} `json:"signed"`
	}
	if json.Unmarshal(list, &doc) != nil {
		return ""
	}
	first := ""
	for _, t := range doc.Signed.Targets {
		if s := t.Custom.Scope; s != nil && *s != "csam" && (first == "" || *s < first) {
			first = *s
		}
	}
	return clip(first)
}

func stamp(t int64) string { return time.Unix(t, 0).UTC().Format(time.RFC3339) }
