package audit

import (
	"crypto"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/resolver/match"
)

// AppealRef is the random reference of an appeal: 16 digits and small letters without i, l, o and u, 80 bits. It is all that the log says of
// who complained.
type AppealRef string

const refAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// NewAppealRef draws a reference.
func NewAppealRef() AppealRef {
	var b [16]byte
	rand.Read(b[:])
	for i, c := range b {
		b[i] = refAlphabet[c%32]
	}
	return AppealRef(b[:])
}

// ParseAppealRef reads a reference as people write it: with or without hyphens, in any case, with o for 0, i or l for 1.
func ParseAppealRef(text string) (AppealRef, error) {
	r := AppealRef(strings.NewReplacer("-", "", " ", "", "o", "0", "i", "1", "l", "1").Replace(strings.ToLower(text)))
	if err := r.check(); err != nil {
		return "", err
	}
	return r, nil
}

// String groups the reference for people.
func (r AppealRef) String() string {
	if len(r) != 16 {
		return string(r)
	}
	return string(r[:4] + "-" + r[4:8] + "-" + r[8:12] + "-" + r[12:])
}

func (r AppealRef) check() error {
	if len(r) != 16 || strings.Trim(string(r), refAlphabet) != "" {
		return fmt.Errorf("reference %q of an appeal: %w", clip(string(r)), ErrFormat)
	}
	return nil
}

// Appeal is a complaint that came in. It holds nothing about the person: who it was is in the operator's own files, under Ref.
type Appeal struct {
	Ref      AppealRef    `cbor:"ref"`
	List     match.ListID `cbor:"list"`  // may be empty
	Entry    []byte       `cbor:"entry"` // id of the entry it is about, 16 bytes; empty when unknown, or not about one
	Received int64        `cbor:"received"`
	Due      int64        `cbor:"due"` // when it must be decided
}

func (Appeal) act() string { return ActAppeal }

func (a Appeal) check() error {
	if err := a.Ref.check(); err != nil {
		return err
	}
	if a.List != "" {
		if _, err := match.ParseListID(string(a.List)); err != nil {
			return fmt.Errorf("list id %q: %w", clip(string(a.List)), ErrFormat)
		}
	}
	if len(a.Entry) != 0 && (len(a.Entry) != len(match.EntryID{}) || a.List == "") {
		return fmt.Errorf("entry of %d bytes, or of no list: %w", len(a.Entry), ErrFormat)
	}
	if a.Received < 0 || a.Due > maxTime || a.Due <= a.Received || a.Due-a.Received > int64(MaxAppealTime/time.Second) {
		return fmt.Errorf("received at %d and due at %d: %w", a.Received, a.Due, ErrFormat)
	}
	return nil
}

// Outcome is what became of an appeal; the set is closed.
type Outcome string

// The outcomes.
const (
	OutcomeUpheld    Outcome = "upheld"    // who complained is right
	OutcomeRejected  Outcome = "rejected"  // who complained is not right
	OutcomeWithdrawn Outcome = "withdrawn" // by who complained
	OutcomeForwarded Outcome = "forwarded" // to the hotline or another body, which answers itself
)

// Outcomes are all of them.
var Outcomes = []Outcome{OutcomeUpheld, OutcomeRejected, OutcomeWithdrawn, OutcomeForwarded}

// Ruling is what officers sign about an appeal.
type Ruling struct {
	V       int       `cbor:"v"` // 1
	Cluster string    `cbor:"cluster"`
	Ref     AppealRef `cbor:"ref"`
	Outcome Outcome   `cbor:"outcome"`
	At      int64     `cbor:"at"` // when it was decided
}

// Decision is a ruling with the signatures of one officer at least: it changes nothing in force. What follows from it, a suppression, needs two.
type Decision struct {
	Body       []byte        `cbor:"body"`
	Signatures []OfficerSign `cbor:"signatures"` // ascending by officer
}

// OfficerSign is an officer's Ed25519 signature over "cordon/decision/v1\n" || body.
type OfficerSign struct {
	Officer string `cbor:"officer"`
	Sig     []byte `cbor:"sig"`
}

func (Decision) act() string { return ActDecision }

// SignRuling signs with one officer's key.
func SignRuling(r Ruling, officer string, key crypto.Signer) Decision {
	r.V = signedVersion
	body := encode(r)
	return Decision{Body: body, Signatures: []OfficerSign{{officer, sign(key, append([]byte(decisionTag), body...))}}}
}

// Countersign adds a further officer's signature.
func (d Decision) Countersign(officer string, key crypto.Signer) Decision {
	all := append(slices.Clone(d.Signatures), OfficerSign{officer, sign(key, append([]byte(decisionTag), d.Body...))})
	slices.SortFunc(all, func(a, b OfficerSign) int { return strings.Compare(a.Officer, b.Officer) })
	return Decision{Body: d.Body, Signatures: all}
}

// Ruling reads the body without verifying a signature.
func (d Decision) Ruling() (Ruling, error) {
	var r Ruling
	if err := decode(d.Body, maxSigned, "ruling", &r); err != nil {
		return Ruling{}, err
	}
	if r.V != signedVersion || !slices.Contains(Outcomes, r.Outcome) || r.At < 0 || r.At > maxTime {
		return Ruling{}, fmt.Errorf("ruling: %w", ErrFormat)
	}
	if err := checkClusterID(r.Cluster); err != nil {
		return Ruling{}, err
	}
	return r, r.Ref.check()
}

// Officers are the names under it, ascending.
func (d Decision) Officers() []string {
	names := make([]string, len(d.Signatures))
	for i, s := range d.Signatures {
		names[i] = s.Officer
	}
	return names
}

func (d Decision) check() error {
	if len(d.Signatures) == 0 || len(d.Signatures) > order.MaxOfficers {
		return fmt.Errorf("decision with %d signatures: %w", len(d.Signatures), ErrFormat)
	}
	for i, s := range d.Signatures {
		if i > 0 && d.Signatures[i-1].Officer >= s.Officer {
			return fmt.Errorf("signatures are not ascending by officer: %w", ErrFormat)
		}
		if err := checkName("officer", s.Officer); err != nil {
			return err
		}
	}
	_, err := d.Ruling()
	return err
}

// verify holds every signature to the officers.
func (d Decision) verify(officers []order.Officer) error {
	for _, s := range d.Signatures {
		i := slices.IndexFunc(officers, func(o order.Officer) bool { return o.Name == s.Officer })
		if i < 0 || !verify(officers[i].Key, decisionTag, d.Body, s.Sig) {
			return fmt.Errorf("decision signed as %q: %w", s.Officer, ErrSignature)
		}
	}
	return nil
}
