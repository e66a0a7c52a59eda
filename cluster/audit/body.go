package audit

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Body is what a leaf records; the set of types is closed.
type Body interface {
	kind() Kind
	check() error
}

// Publish brings a list version into force. Everything in it is signed by the hotline (the metadata
// whose hash it names says the same) or by members (the verdicts).
type Publish struct {
	Hotline     trust.HotlineID `cbor:"hotline"`
	List        match.ListID    `cbor:"list"`
	Seq         uint64          `cbor:"seq"`
	Prev        uint64          `cbor:"prev"` // the version before it at the hotline
	Epoch       uint32          `cbor:"epoch"`
	Canon       [32]byte        `cbor:"canon"`
	Edge        [32]byte        `cbor:"edge"` // SHA-256 of the edge list
	EdgeSize    int64           `cbor:"edge_size"`
	Audit       [32]byte        `cbor:"audit"` // SHA-256 of the auditor list
	AuditSize   int64           `cbor:"audit_size"`
	EntriesRoot [32]byte        `cbor:"entries_root"`
	Charter     [32]byte        `cbor:"charter"` // SHA-256 of the charter
	Filter      Filter          `cbor:"filter"`  // what the charter allows
	FilterHash  [32]byte        `cbor:"filter_hash"`
	Metadata    [32]byte        `cbor:"metadata"` // trust.Metadata.Hash
	Index       [32]byte        `cbor:"index"`    // hash of the index of the edge list, as the verdicts say it
	Counts      []KindCount     `cbor:"counts"`   // sorted by kind
	Bases       []BasisCount    `cbor:"bases"`    // sorted by basis
	Added       uint64          `cbor:"added"`
	Removed     uint64          `cbor:"removed"`
	Verdicts    []SignedVerdict `cbor:"verdicts"`
	PublicProof []byte          `cbor:"public_proof"` // publiclog.Proof, encoded; empty when the charter names no log
}

// NewPublish fills a publish body from what a hotline's verified metadata says about one of its lists.
// metadata is the hash of the trust.Metadata that v was verified from. Index is the caller's to fill in: Agreed gives it.
func NewPublish(v *trust.Verified, t trust.ListTarget, metadata [32]byte, verdicts []SignedVerdict) Publish {
	f := v.Charter.Filter()
	return Publish{
		Hotline: v.Hotline, List: t.List, Seq: t.Seq, Prev: t.Prev, Epoch: t.Epoch, Canon: t.CanonID,
		Edge: t.Edge.SHA256, EdgeSize: t.Edge.Length, Audit: t.Audit.SHA256, AuditSize: t.Audit.Length,
		EntriesRoot: t.EntriesRoot, Charter: v.CharterHash, Filter: FilterOf(f), FilterHash: f.Hash(),
		Metadata: metadata, Counts: CountsOf(t), Bases: BasesOf(t), Added: uint64(t.Added), Removed: uint64(t.Removed), Verdicts: verdicts,
	}
}

// CountsOf is what a list target counts, as a publish leaf carries it.
func CountsOf(t trust.ListTarget) []KindCount {
	out := make([]KindCount, 0, len(t.Counts))
	for _, c := range t.Counts {
		out = append(out, KindCount{Kind: c.Kind, N: uint64(c.N)})
	}
	slices.SortFunc(out, func(a, b KindCount) int { return cmp.Compare(a.Kind, b.Kind) })
	return out
}

// KindCount is how many entries of a kind a list has.
type KindCount struct {
	Kind string `cbor:"kind" json:"kind"`
	N    uint64 `cbor:"n" json:"n"`
}

// BasesOf is what a list target counts by legal basis, as a publish leaf carries it.
func BasesOf(t trust.ListTarget) []BasisCount {
	out := make([]BasisCount, 0, len(t.Bases))
	for _, b := range t.Bases {
		out = append(out, BasisCount{Basis: b.Basis, N: uint64(b.N)})
	}
	return out
}

// BasisCount is how many entries of a list have a legal basis.
type BasisCount struct {
	Basis string `cbor:"basis" json:"basis"`
	N     uint64 `cbor:"n" json:"n"`
}

// Reject records that something offered was refused, and why.
type Reject struct {
	Hotline  trust.HotlineID `cbor:"hotline"`
	List     match.ListID    `cbor:"list"`
	Seq      uint64          `cbor:"seq"`
	Object   [32]byte        `cbor:"object"` // hash of what was refused
	Stage    string          `cbor:"stage"`  // fetch, stage or apply
	Reason   string          `cbor:"reason"` // a stable word, see trust.Reason
	Detail   string          `cbor:"detail"` // for people; at most 512 bytes, never a name of a list's entry
	Node     string          `cbor:"node"`   // who refused first
	Verdicts []SignedVerdict `cbor:"verdicts"`
}

// ReasonSuperseded is the reason of the Reject leaf that comes right before a Publish leaf when versions between the
// one in force and the new one never came into force here; its Seq is the last of them.
const ReasonSuperseded = "superseded"

// Withdraw takes entries out of force, on a hotline's signed statement. The entries are in the statement
// and not written twice: a statement of the size trust allows must fit into a leaf.
type Withdraw struct {
	Hotline   trust.HotlineID `cbor:"hotline"`
	List      match.ListID    `cbor:"list"`
	Entries   []match.EntryID `cbor:"-"` // sorted; those of Statement
	Number    uint64          `cbor:"number"`
	SeqFrom   uint64          `cbor:"seq_from"`
	SeqTo     uint64          `cbor:"seq_to"`    // inclusive
	Hash      [32]byte        `cbor:"hash"`      // SHA-256 of Statement
	Signers   []string        `cbor:"signers"`   // key ids of the officers, sorted
	Owed      bool            `cbor:"owed"`      // one officer alone: the second signature is due within 24 h
	Statement []byte          `cbor:"statement"` // trust.SignedStatement as the hotline sent it
}

// NewWithdraw fills a withdraw body from a statement that trust.VerifyWithdrawal accepted for the
// officers o, with the signers it returned.
func NewWithdraw(statement []byte, w trust.Withdrawal, signers []string, o trust.Officers) Withdraw {
	hotline, _, _ := strings.Cut(string(w.List), "/")
	return Withdraw{
		Hotline: trust.HotlineID(hotline), List: w.List, Entries: w.Entries, Number: w.Number, SeqFrom: w.SeqFrom, SeqTo: w.SeqTo,
		Hash: sha256.Sum256(statement), Signers: signers, Owed: len(signers) < o.Threshold, Statement: statement,
	}
}

// Roles and actions of a Member leaf.
const (
	RoleControl = "control"
	RoleEdge    = "edge"
	ActionAdd   = "add"
	ActionDrop  = "remove"
)

// Member records that a control node or an edge was enrolled or removed.
type Member struct {
	Action    string   `cbor:"action"` // ActionAdd or ActionDrop
	Role      string   `cbor:"role"`   // RoleControl or RoleEdge
	Name      string   `cbor:"name"`
	Key       [32]byte `cbor:"key"`       // Ed25519 public key
	Recipient string   `cbor:"recipient"` // age recipient of an edge, for epoch keys
	By        string   `cbor:"by"`        // the operator who asked; empty at genesis
}

// Receipts holds what edges signed about the index they serve.
type Receipts struct {
	Items []SignedReceipt `cbor:"items"`
}

// Trust names a hotline's anchor (at genesis, Metadata zero) or a renewal of its metadata that
// brought no new list version. It changes nothing in force.
type Trust struct {
	Hotline  trust.HotlineID `cbor:"hotline"`
	Root     [32]byte        `cbor:"root"` // SHA-256 of the root.json that is trusted from here on
	Versions Versions        `cbor:"versions"`
	Metadata [32]byte        `cbor:"metadata"`
}

// Versions are the version numbers of a hotline's TUF roles.
type Versions struct {
	Root      int64 `cbor:"root"`
	Timestamp int64 `cbor:"timestamp"`
	Snapshot  int64 `cbor:"snapshot"`
	Targets   int64 `cbor:"targets"`
	List      int64 `cbor:"list"`
}

// VersionsOf takes the role versions out of a high-water mark.
func VersionsOf(h trust.HighWater) Versions {
	return Versions{Root: h.Root, Timestamp: h.Timestamp, Snapshot: h.Snapshot, Targets: h.Targets, List: h.List}
}

// Alarm records that a node saw something wrong.
type Alarm struct {
	Node  string `cbor:"node"`
	What  string `cbor:"what"` // a stable word, at most 128 bytes
	Since int64  `cbor:"since"`
}

// Unknown is the body of a kind whose name is reserved.
type Unknown struct {
	Kind Kind
	Raw  []byte // canonical CBOR
}

func (Publish) kind() Kind   { return KindPublish }
func (Reject) kind() Kind    { return KindReject }
func (Withdraw) kind() Kind  { return KindWithdraw }
func (Member) kind() Kind    { return KindMember }
func (Receipts) kind() Kind  { return KindReceipts }
func (Trust) kind() Kind     { return KindTrust }
func (Alarm) kind() Kind     { return KindAlarm }
func (u Unknown) kind() Kind { return u.Kind }

const (
	maxDetail   = 512
	maxWord     = 128
	maxVerdicts = 2 * MaxMembers
	maxKinds    = 16
	maxReceipts = 256 // a receipt is about 250 bytes, so a leaf of MaxLeaf holds fewer than this
)

func (p Publish) check() error {
	if err := checkListOf(p.Hotline, p.List); err != nil {
		return err
	}
	if p.Seq == 0 {
		return fmt.Errorf("sequence 0: %w", ErrFormat)
	}
	if p.Prev >= p.Seq {
		return fmt.Errorf("sequence %d does not follow %d: %w", p.Seq, p.Prev, ErrFormat)
	}
	if p.EdgeSize < 0 || p.AuditSize < 0 || p.EdgeSize > maxListFile || p.AuditSize > maxListFile {
		return fmt.Errorf("file size out of range: %w", ErrTooLarge)
	}
	if len(p.Counts) > maxKinds || len(p.Verdicts) > maxVerdicts {
		return fmt.Errorf("%d counts, %d verdicts: %w", len(p.Counts), len(p.Verdicts), ErrTooLarge)
	}
	if err := checkPublicProof(p.PublicProof); err != nil {
		return err
	}
	for i, c := range p.Counts {
		if i > 0 && p.Counts[i-1].Kind >= c.Kind {
			return fmt.Errorf("counts are not sorted: %w", ErrFormat)
		}
	}
	for i, c := range p.Bases {
		if _, err := match.ParseBasis(c.Basis); err != nil || c.N == 0 || i > 0 && p.Bases[i-1].Basis >= c.Basis {
			return fmt.Errorf("counts by legal basis: %w", ErrFormat)
		}
	}
	f, err := p.Filter.Match()
	if err != nil {
		return err
	}
	if f.Hash() != p.FilterHash {
		return fmt.Errorf("filter hash: %w", ErrMismatch)
	}
	return nil
}

func (r Reject) check() error {
	switch r.Stage {
	case "fetch", "stage", "apply":
	default:
		return fmt.Errorf("stage %q: %w", clip(r.Stage), ErrFormat)
	}
	if len(r.Detail) > maxDetail || len(r.Reason) > maxWord || len(r.Node) > maxWord || len(r.Verdicts) > maxVerdicts {
		return fmt.Errorf("refusal: %w", ErrTooLarge)
	}
	if len(r.Hotline) > maxWord || len(r.List) > maxWord {
		return fmt.Errorf("refusal: %w", ErrTooLarge)
	}
	if r.Reason == "" {
		return fmt.Errorf("refusal without a reason: %w", ErrFormat)
	}
	return nil
}

func (w Withdraw) check() error {
	if err := checkListOf(w.Hotline, w.List); err != nil {
		return err
	}
	if len(w.Signers) == 0 || len(w.Signers) > MaxMembers || !slices.IsSorted(w.Signers) {
		return fmt.Errorf("signers of a withdrawal: %w", ErrFormat)
	}
	for _, s := range w.Signers {
		if len(s) > maxWord {
			return fmt.Errorf("signers of a withdrawal: %w", ErrFormat)
		}
	}
	if sha256.Sum256(w.Statement) != w.Hash {
		return fmt.Errorf("hash of the withdrawal statement: %w", ErrMismatch)
	}
	said, err := trust.DecodeWithdrawal(w.Statement)
	if err != nil {
		return fmt.Errorf("withdrawal statement: %w: %v", ErrFormat, err)
	}
	if said.List != w.List || said.Number != w.Number || said.SeqFrom != w.SeqFrom || said.SeqTo != w.SeqTo || !slices.Equal(said.Entries, w.Entries) {
		return fmt.Errorf("withdrawal statement says something else: %w", ErrMismatch)
	}
	return nil
}

// fill takes the entries out of the statement after decoding.
func (w Withdraw) fill() Withdraw {
	if said, err := trust.DecodeWithdrawal(w.Statement); err == nil {
		w.Entries = said.Entries
	}
	return w
}

func (m Member) check() error {
	if m.Action != ActionAdd && m.Action != ActionDrop {
		return fmt.Errorf("action %q: %w", clip(m.Action), ErrFormat)
	}
	if m.Role != RoleControl && m.Role != RoleEdge {
		return fmt.Errorf("role %q: %w", clip(m.Role), ErrFormat)
	}
	if len(m.By) > maxWord {
		return fmt.Errorf("operator's name: %w", ErrTooLarge)
	}
	if err := checkRecipient(m.Recipient); err != nil {
		return err
	}
	return checkName("member", m.Name)
}

func (r Receipts) check() error {
	if len(r.Items) == 0 || len(r.Items) > maxReceipts {
		return fmt.Errorf("%d receipts in one leaf, 1 to %d: %w", len(r.Items), maxReceipts, ErrTooLarge)
	}
	for _, s := range r.Items {
		if _, err := s.Receipt(); err != nil {
			return err
		}
	}
	return nil
}

func (t Trust) check() error { return checkHotline(t.Hotline) }

func (a Alarm) check() error {
	if a.What == "" || len(a.What) > maxWord || len(a.Node) > maxWord {
		return fmt.Errorf("alarm: %w", ErrFormat)
	}
	return nil
}

func (u Unknown) check() error {
	if !u.Kind.Reserved() {
		return fmt.Errorf("kind %q: %w", clip(string(u.Kind)), ErrUnknownKind)
	}
	var opaque any
	return decode(u.Raw, MaxLeaf, "body", &opaque)
}

// MarshalCBOR writes the opaque body as it came.
func (u Unknown) MarshalCBOR() ([]byte, error) { return u.Raw, nil }
