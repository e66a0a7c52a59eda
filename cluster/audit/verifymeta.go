package audit

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// document is a metadata document in the bundle, and whether a leaf behind it names it.
type document struct {
	data  []byte
	named bool
}

// documents reads the metadata before an entry bundle, starting with member m, and returns the first member after it.
func (v *verifier) documents(b *bundleReader, m *member) (*member, error) {
	v.docs = make(map[[32]byte]*document)
	for m != nil && m.class == classMetadata {
		if len(v.docs) == tileWidth {
			return nil, fmt.Errorf("more than %d metadata documents for %d leaves: %w", tileWidth, tileWidth, ErrTooLarge)
		}
		data, err := b.read()
		if err != nil {
			return nil, err
		}
		v.docs[m.hash] = &document{data: data}
		if m, err = v.next(b); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// unnamed refuses metadata that no leaf behind it names.
func (v *verifier) unnamed() {
	for _, hash := range slices.SortedFunc(maps.Keys(v.docs), compareHash) {
		if !v.docs[hash].named {
			v.fail(CheckVersions, "the bundle has metadata %x that the log does not name", hash[:8])
		}
	}
}

// lookMetadata verifies the signatures of a version or a renewal at its leaf's time.
func (v *verifier) lookMetadata(m *moment) {
	l := m.leaf
	switch b := m.body.(type) {
	case Publish:
		v.settle(b.List, b.Seq)
		what := fmt.Sprintf("leaf %d, list %s", l.N, listSeq(b.List, b.Seq))
		got, ok := v.verify(m, what, b.Hotline, b.Metadata)
		if !ok {
			return
		}
		if t, err := signedTarget(got, b); err != nil {
			v.fail(CheckMetadata, "%s: %v", what, err)
		} else {
			m.head, m.keys, m.signed = t.EdgeHead, keysFor(t, v.cluster), true
			v.watchSigned(l, b, t)
		}
		if err := sameCharter(got, b); err != nil {
			v.fail(CheckCharter, "%s: %v", what, err)
		}
		v.lookPublicLog(l, b, got)
	case Trust:
		if b.Metadata == ([32]byte{}) {
			if l.N >= uint64(len(v.genesis)) { // those of genesis were compared by the log check
				v.fail(CheckMetadata, "leaf %d: it would pin hotline %s anew, without any metadata", l.N, b.Hotline)
			}
			return
		}
		v.h.Tally.Renewals++
		what := fmt.Sprintf("leaf %d, renewal of hotline %s", l.N, b.Hotline)
		got, ok := v.verify(m, what, b.Hotline, b.Metadata)
		if ok && (sha256.Sum256(got.Root) != b.Root || VersionsOf(got.High) != b.Versions) {
			v.fail(CheckMetadata, "%s: the leaf's root or versions are not those of the metadata", what)
		}
	}
}

func (v *verifier) endMetadata() {
	v.noteOwed()
	v.knowGiven()
	t := v.h.Tally
	v.pass(CheckMetadata, "%d versions and %d renewals signed by their hotlines under the pinned roots", t.Versions, t.Renewals)
	v.pass(CheckCharter, "scope csam everywhere, charters valid when used, filters as chartered")
	v.pass(CheckWithdrawals, "%d withdrawals, each signed by the hotline's officers", t.Withdrawals)
}

// verify checks one metadata document at a leaf's time and reports its failure under the right name.
func (v *verifier) verify(m *moment, what string, id trust.HotlineID, hash [32]byte) (*trust.Verified, bool) {
	h := v.h.hotline(id)
	if h == nil {
		v.fail(CheckMetadata, "%s: the trust file pins no root of hotline %s", what, id)
		return nil, false
	}
	d, ok := v.docs[hash]
	if !ok {
		v.fail(CheckMetadata, "%s: metadata %x is missing from the bundle", what, hash[:8])
		return nil, false
	}
	d.named = true
	at := time.Unix(m.leaf.T, 0).UTC()
	md, err := decodeMetadata(d.data, hash)
	if err != nil {
		v.fail(CheckMetadata, "%s: %v", what, err)
		if md, err := trust.DecodeMetadata(d.data); err == nil { // say what stands in its place
			if _, err := trust.Verify(h.Root, trust.HighWater{}, md, at); err != nil {
				v.refused(what, md, at, err)
			}
		}
		return nil, false
	}
	got, err := m.ahead.metadata.verify(h.Root, md, at)
	if err == nil && got.Hotline != id {
		err = fmt.Errorf("it is of hotline %q: %w", string(got.Hotline), ErrMismatch)
	}
	if err == nil && !v.trust.Cluster.Development {
		err = got.Production()
	}
	if err != nil {
		v.refused(what, md, at, err)
		return nil, false
	}
	now := VersionsOf(got.High)
	if before := h.High; now.Root < before.Root || !got.Restarted && (now.Timestamp < before.Timestamp || now.Snapshot < before.Snapshot) ||
		now.Targets < before.Targets || now.List < before.List {
		v.fail(CheckVersions, "%s: the hotline's metadata went back from versions %s to %s", what, before, now)
	}
	h.High, h.Root, h.Officers, h.Log = now, got.Root, got.Officers, got.Charter.Log
	return got, true
}

// refused sorts a refusal: what is wrong with the charter itself is the charter check's.
func (v *verifier) refused(what string, md trust.Metadata, at time.Time, err error) {
	if errors.Is(err, trust.ErrScope) || errors.Is(err, trust.ErrCharter) || errors.Is(err, trust.ErrExpired) || errors.Is(err, trust.ErrHash) {
		c, cerr := trust.ParseCharter(md.Charter)
		if cerr == nil {
			cerr = c.ValidAt(at)
		}
		if scope := foreignScope(md.Charter); scope != "" {
			v.fail(CheckCharter, "%s: the charter's scope is %q, only \"csam\" is allowed", what, scope)
			return
		} else if cerr != nil {
			v.fail(CheckCharter, "%s: %v", what, cerr)
			return
		}
		if _, f, err := trust.ReadTargets(md.Targets); err == nil && f.SHA256 != sha256.Sum256(md.Charter) {
			v.fail(CheckCharter, "%s: the charter is not the accredited one", what)
			return
		}
	}
	if errors.Is(err, trust.ErrScope) {
		if scope := foreignListScope(md.List); scope != "" {
			v.fail(CheckMetadata, "%s: scope is %q, only \"csam\" is allowed (%v)", what, scope, err)
			return
		}
	}
	v.fail(CheckMetadata, "%s: %v", what, err)
}

// lookWithdrawal verifies a withdrawal under the officers of its time.
func (v *verifier) lookWithdrawal(m *moment) {
	b, ok := m.body.(Withdraw)
	if !ok {
		return
	}
	l := m.leaf
	v.h.Tally.Withdrawals++
	v.withdrawals = append(v.withdrawals, ServedWithdrawal{List: b.List, Number: b.Number, SeqTo: b.SeqTo, Leaf: l.N, At: time.Unix(l.T, 0).UTC()})
	what := fmt.Sprintf("leaf %d, withdrawal %d of list %s", l.N, b.Number, b.List)
	h := v.h.hotline(b.Hotline)
	if h == nil || h.Officers.Threshold == 0 {
		v.fail(CheckWithdrawals, "%s: no verified metadata before it says who the hotline's officers are", what)
		return
	}
	said, signers, err := trust.VerifyWithdrawal(h.Officers, b.Statement, time.Unix(l.T, 0).UTC())
	if err != nil {
		v.fail(CheckWithdrawals, "%s: %v", what, err)
		return
	}
	v.know(b.Statement, said, h.Officers.Complete(signers))
	if strings.Join(signers, " ") != strings.Join(b.Signers, " ") || b.Owed != (len(signers) < h.Officers.Threshold) {
		v.fail(CheckWithdrawals, "%s: the leaf names other signers than the statement has", what)
	}
	v.owe(l, b)
}

// owing is a withdrawal that one officer alone has signed.
type owing struct {
	List   match.ListID
	Number uint64
	ID     [32]byte // of the statement, whoever signed it
	To     uint64   // last version it speaks of
	Leaf   uint64
	Time   int64

	Signers []string
	Entries int
}

// owe keeps who owes a second signature, until it comes.
func (v *verifier) owe(l Leaf, b Withdraw) {
	id, err := trust.StatementID(b.Statement)
	if err != nil {
		return // it verified before
	}
	var before *owing
	if i := slices.IndexFunc(v.h.Owed, func(o owing) bool { return o.List == b.List && o.Number == b.Number && o.ID == id }); i >= 0 {
		o := v.h.Owed[i]
		before, v.h.Owed = &o, slices.Delete(slices.Clone(v.h.Owed), i, i+1)
	}
	if b.Owed {
		v.h.Owed = append(v.h.Owed, owing{b.List, b.Number, id, b.SeqTo, l.N, l.T, b.Signers, len(b.Entries)})
	}
	v.countAlone(l, b, before)
}

// settle ends what was owed on versions before this one: the officers' threshold has signed the list anew.
func (v *verifier) settle(list match.ListID, seq uint64) {
	v.h.Owed = slices.DeleteFunc(v.h.Owed, func(o owing) bool { return o.List == list && o.To < seq })
}

// noteOwed says at the end what no second officer has signed.
func (v *verifier) noteOwed() {
	for _, o := range v.h.Owed {
		late := ""
		if due := time.Unix(o.Time, 0).Add(secondWithin); v.o.Now.After(due) {
			late = ", overdue since " + stamp(due.Unix())
		}
		v.note("leaf %d, withdrawal %d of list %s: signed by one officer, the second signature is owed%s", o.Leaf, o.Number, o.List, late)
	}
}

// secondWithin is when the second signature of a withdrawal is due.
const secondWithin = 24 * time.Hour

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
