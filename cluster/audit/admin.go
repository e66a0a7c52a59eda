package audit

import (
	"cmp"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/resolver/match"
)

// Admin records what the operator's people and machines state about their own work: a complaint that came in, what became of it, which
// program a node runs. Nothing in force depends on it, and there is no act that changes a list.
type Admin struct {
	Act  string          `cbor:"act"`
	By   string          `cbor:"by"`   // the operator who handed it in, by the certificate's name; empty for what nodes say of themselves
	Node string          `cbor:"node"` // control node that took it
	D    cbor.RawMessage `cbor:"d"`    // the act's own fields

	Said Act `cbor:"-"` // what D says
}

// Act is what an Admin leaf records; the set of types is closed: Appeal, Decision, Builds, by value.
type Act interface {
	act() string
	check() error
}

// The acts.
const (
	ActAppeal   = "appeal"   // a complaint came in
	ActDecision = "decision" // what became of one
	ActBuild    = "build"    // nodes say which program they run
)

const (
	// MaxAppealTime is the longest time from the receipt of an appeal to the day when it is due, and how late it may be registered.
	MaxAppealTime = 366 * 24 * time.Hour
	// MaxBuilds is how many nodes' builds one leaf holds, each of about 350 bytes.
	MaxBuilds = 100

	decisionTag = "cordon/decision/v1\n"
	buildTag    = "cordon/build/v1\n"

	// adminSkew is how far a clock that an act names may be ahead of the cluster's.
	adminSkew = 10 * 60
)

// ErrAdmin: an act does not fit what the log says of appeals and builds so far.
var ErrAdmin = errors.New("does not fit the register")

// NewAdmin fills the body of an act.
func NewAdmin(by, node string, said Act) Admin {
	return Admin{Act: said.act(), By: by, Node: node, D: encode(said), Said: said}
}

func (Admin) kind() Kind { return KindAdmin }

func (a Admin) check() error {
	said, err := decodeAct(a.Act, a.D)
	if err != nil {
		return err
	}
	if err := checkName("node", a.Node); err != nil {
		return err
	}
	if _, own := said.(Builds); own {
		if a.By != "" {
			return fmt.Errorf("build of a person: %w", ErrFormat)
		}
		return nil
	}
	return checkName("operator", a.By)
}

// fill reads the act after decoding.
func (a Admin) fill() Admin {
	if said, err := decodeAct(a.Act, a.D); err == nil {
		a.Said = said
	}
	return a
}

func decodeAct(act string, d []byte) (Act, error) {
	switch act {
	case ActAppeal:
		return readAct[Appeal](act, d)
	case ActDecision:
		return readAct[Decision](act, d)
	case ActBuild:
		return readAct[Builds](act, d)
	}
	return nil, fmt.Errorf("act %q: %w", clip(act), ErrFormat)
}

func readAct[A Act](act string, d []byte) (Act, error) {
	var a A
	if err := decode(d, MaxLeaf, act, &a); err != nil {
		return nil, err
	}
	if err := a.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", act, err)
	}
	return a, nil
}

// DecodeAdmin reads the fields of an act as NewAdmin wrote them, and holds all of it to its form. It verifies no signature.
func DecodeAdmin(act, by, node string, d []byte) (Admin, error) {
	a := Admin{Act: act, By: by, Node: node, D: slices.Clone(d)}.fill()
	if err := a.check(); err != nil {
		return Admin{}, fmt.Errorf("decode admin: %w", err)
	}
	return a, nil
}

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

// Build is what a node says of the program it runs: the SHA-256 of the file that was started.
type Build struct {
	V       int      `cbor:"v"` // 1
	Cluster string   `cbor:"cluster"`
	Role    string   `cbor:"role"` // RoleControl or RoleEdge
	Name    string   `cbor:"name"`
	Program string   `cbor:"program"`
	Version string   `cbor:"version"` // as the program was built; for people
	Digest  [32]byte `cbor:"digest"`
	Time    int64    `cbor:"time"`
}

// SignedBuild is a build's canonical bytes and the node's Ed25519 signature over "cordon/build/v1\n" || Body. It is the node's own word: a node
// that was taken over can say what it likes.
type SignedBuild struct {
	Body []byte `cbor:"body"`
	Sig  []byte `cbor:"sig"`
}

// SignBuild signs with the node's key.
func SignBuild(b Build, key crypto.Signer) SignedBuild {
	b.V = signedVersion
	body := encode(b)
	return SignedBuild{Body: body, Sig: sign(key, append([]byte(buildTag), body...))}
}

// VerifyBuild checks form and signature. Errors: ErrSignature, ErrFormat, ErrTooLarge.
func VerifyBuild(s SignedBuild, key ed25519.PublicKey) (Build, error) {
	b, err := s.Build()
	if err != nil {
		return Build{}, err
	}
	if !verify(key, buildTag, s.Body, s.Sig) {
		return Build{}, fmt.Errorf("build of %s %s: %w", b.Role, b.Name, ErrSignature)
	}
	return b, nil
}

// Build reads the body without verifying the signature.
func (s SignedBuild) Build() (Build, error) {
	var b Build
	if err := decode(s.Body, maxSigned, "build", &b); err != nil {
		return Build{}, err
	}
	if b.V != signedVersion || b.Role != RoleControl && b.Role != RoleEdge || b.Time < 0 || b.Time > maxTime || b.Digest == ([32]byte{}) {
		return Build{}, fmt.Errorf("build: %w", ErrFormat)
	}
	if err := checkClusterID(b.Cluster); err != nil {
		return Build{}, err
	}
	if err := checkName("node", b.Name); err != nil {
		return Build{}, err
	}
	if err := checkName("program", b.Program); err != nil {
		return Build{}, err
	}
	return b, checkBuildVersion(b.Version)
}

// checkBuildVersion accepts what Go writes as a module's version, or nothing.
func checkBuildVersion(v string) error {
	ok := len(v) <= 64
	for i := 0; ok && i < len(v); i++ {
		c := v[i]
		ok = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(".-+_()", c) >= 0
	}
	if !ok {
		return fmt.Errorf("version %q of a program: %w", clip(v), ErrFormat)
	}
	return nil
}

// Encode returns the build as it travels.
func (s SignedBuild) Encode() []byte { return encode(s) }

// DecodeSignedBuild reads Encode's bytes strictly, body included; it verifies no signature.
func DecodeSignedBuild(b []byte) (SignedBuild, error) {
	var s SignedBuild
	if err := decode(b, maxSigned+256, "signed build", &s); err != nil {
		return SignedBuild{}, err
	}
	_, err := s.Build()
	return s, err
}

// Builds are what nodes said of their programs, each only when it was new.
type Builds struct {
	Items []SignedBuild `cbor:"items"`
}

func (Builds) act() string { return ActBuild }

func (b Builds) check() error {
	if len(b.Items) == 0 || len(b.Items) > MaxBuilds {
		return fmt.Errorf("%d builds in one leaf, 1 to %d: %w", len(b.Items), MaxBuilds, ErrTooLarge)
	}
	for _, s := range b.Items {
		if _, err := s.Build(); err != nil {
			return err
		}
	}
	return nil
}

// describe says in words what the act records.
func (a Admin) describe() string {
	switch said := a.Said.(type) {
	case Appeal:
		s := fmt.Sprintf("appeal %s received %s, due %s, registered by %s", said.Ref, stamp(said.Received), stamp(said.Due), a.By)
		if said.List != "" {
			s += ", about list " + string(said.List)
		}
		if len(said.Entry) > 0 {
			s += ", entry " + hex.EncodeToString(said.Entry)
		}
		return s
	case Decision:
		r, err := said.Ruling()
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("appeal %s %s at %s, decided by %s", r.Ref, r.Outcome, stamp(r.At), strings.Join(said.Officers(), " and "))
	case Builds:
		parts := make([]string, 0, len(said.Items))
		for _, item := range said.Items {
			if b, err := item.Build(); err == nil {
				parts = append(parts, b.String())
			}
		}
		return strings.Join(parts, "; ")
	}
	return ""
}

// String says who runs what.
func (b Build) String() string {
	role := "control node"
	if b.Role == RoleEdge {
		role = "edge"
	}
	return fmt.Sprintf("%s %s says that it runs %s %s, SHA-256 %x", role, b.Name, b.Program, cmp.Or(b.Version, "of no version"), b.Digest)
}
