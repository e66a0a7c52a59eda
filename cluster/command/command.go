// Package command is the form of what control nodes agree on: small versioned
// messages in deterministic CBOR. In come bytes of the Raft log, out comes a
// typed command or a refusal; equal commands have equal bytes, and bytes that
// this version does not know stop a replica instead of being guessed at.
// COMMAND.md gives the format with test vectors.
package command

import (
	"errors"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/resolver/match"
)

// Version is the one command version this build reads and writes.
const Version = 1

// MaxSize bounds an encoded command; files never travel in Raft.
const MaxSize = 64 << 10

var (
	// ErrUnknown: the command is of a kind or version this build does not
	// know. A replica that meets one stops applying.
	ErrUnknown = errors.New("unknown command kind or version")
	// ErrFormat: not a command, or not in its one deterministic form.
	ErrFormat = errors.New("malformed command")
	// ErrTooLarge: over MaxSize.
	ErrTooLarge = errors.New("command too large")
)

// Kind names what a command does.
type Kind string

// The closed set of kinds.
const (
	KindPublish  Kind = "publish"
	KindWithdraw Kind = "withdraw"
	KindMember   Kind = "member"
	KindReject   Kind = "reject"
	KindReceipts Kind = "receipts"
	KindAssert   Kind = "checkpoint_assert"
	KindTick     Kind = "tick"
	KindHold     Kind = "hold"
	KindPolicy   Kind = "policy"
	KindApprove  Kind = "approve"
	KindSuppress Kind = "suppress"
	KindReturn   Kind = "return"
	KindBypass   Kind = "bypass"
	KindAdmin    Kind = "admin"

	KindCertificate Kind = "certificate"
	KindExempt      Kind = "exempt"
	KindOpen        Kind = "open"
	KindFork        Kind = "fork"

	KindPin Kind = "pin"

	// Reserved: named by the format, decoded as ErrUnknown by this version.
	KindFeature Kind = "feature"
)

// Body is one of the body types below.
type Body interface {
	kind() Kind
	check() error
}

// Command is one message of the Raft log. Time is unix seconds by the clock
// of the leader that proposed it.
type Command struct {
	Time int64
	Body Body
}

// Publish brings a list into force, or renews its hotline's metadata.
type Publish struct {
	Metadata    []byte                `cbor:"metadata"` // trust.Metadata, encoded
	List        match.ListID          `cbor:"list"`
	Verdicts    []audit.SignedVerdict `cbor:"verdicts"`
	PublicProof []byte                `cbor:"public_proof"` // publiclog.Proof, encoded; empty when the charter names no log
}

// Withdraw carries an officer's signed statement, trust.SignedStatement encoded.
type Withdraw struct {
	Statement []byte `cbor:"statement"`
}

// Fork carries the evidence that a hotline's public log has signed two histories.
type Fork struct {
	Hotline string `cbor:"hotline"`
	Log     string `cbor:"log"`   // verifier key that has signed both
	First   []byte `cbor:"first"` // checkpoint notes
	Second  []byte `cbor:"second"`
	Node    string `cbor:"node"` // that brings it
}

// Open carries a hotline's signed statement that it showed entries to a reviewer, trust.Opening.
type Open struct {
	Statement []byte `cbor:"statement"`
}

// Member adds or removes an edge.
type Member struct {
	Action    string `cbor:"action"` // add, remove
	Role      string `cbor:"role"`   // edge
	Name      string `cbor:"name"`
	Key       []byte `cbor:"key"`       // Ed25519 public key, 32 bytes; empty on remove
	Recipient string `cbor:"recipient"` // age recipient; empty on remove
	By        string `cbor:"by"`        // control node that vouches
}

// Reject records a refusal found before Apply.
type Reject struct {
	Hotline  string                `cbor:"hotline"`
	List     match.ListID          `cbor:"list"`
	Seq      uint64                `cbor:"seq"`
	Object   []byte                `cbor:"object"` // SHA-256 of the refused object
	Stage    string                `cbor:"stage"`  // fetch, stage
	Reason   string                `cbor:"reason"`
	Detail   string                `cbor:"detail"`
	Node     string                `cbor:"node"`
	Verdicts []audit.SignedVerdict `cbor:"verdicts"`
}

// Hold holds a list version back because of a brake that people may overrule.
type Hold struct {
	Hotline  string                `cbor:"hotline"`
	List     match.ListID          `cbor:"list"`
	Seq      uint64                `cbor:"seq"`
	Edge     []byte                `cbor:"edge"`     // SHA-256 of its edge list
	Metadata []byte                `cbor:"metadata"` // trust.Metadata.Hash of what it came with
	Brake    string                `cbor:"brake"`
	Node     string                `cbor:"node"`
	Verdicts []audit.SignedVerdict `cbor:"verdicts"`
}

// Order carries what the operator's officers have signed. Each kind of order is a kind of command of this one form.
type Order struct {
	As        Kind   `cbor:"-"` // policy, approve, suppress, bypass, exempt, certificate, pin
	Statement []byte `cbor:"statement"`
}

// Return carries an order to go back to an earlier version, with the word of members that hold both files.
type Return struct {
	Statement []byte                      `cbor:"statement"`
	Verdicts  []audit.SignedReturnVerdict `cbor:"verdicts"`
}

// Admin records what the operator's people and machines state about their own work.
type Admin struct {
	Act  string `cbor:"act"`  // appeal, decision, build
	By   string `cbor:"by"`   // operator; empty for what nodes say of themselves
	Node string `cbor:"node"` // that took it
	D    []byte `cbor:"d"`    // the act's fields, encoded as in the leaf
}

// Receipts records what edges have in force.
type Receipts struct {
	Items []audit.SignedReceipt `cbor:"items"`
}

// Assert states the root that a quorum of members has cosigned.
type Assert struct {
	Size       uint64 `cbor:"size"`
	Root       []byte `cbor:"root"`
	Checkpoint []byte `cbor:"checkpoint"` // the quorum-cosigned note that proves it
}

// Tick moves the cluster's time and nothing else.
type Tick struct{}

func (Publish) kind() Kind  { return KindPublish }
func (Withdraw) kind() Kind { return KindWithdraw }
func (Member) kind() Kind   { return KindMember }
func (Reject) kind() Kind   { return KindReject }
func (Receipts) kind() Kind { return KindReceipts }
func (Assert) kind() Kind   { return KindAssert }
func (Tick) kind() Kind     { return KindTick }
func (Hold) kind() Kind     { return KindHold }
func (o Order) kind() Kind  { return o.As }
func (Return) kind() Kind   { return KindReturn }
func (Admin) kind() Kind    { return KindAdmin }
func (Fork) kind() Kind     { return KindFork }
func (Open) kind() Kind     { return KindOpen }
