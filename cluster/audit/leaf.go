package audit

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Kind says what a leaf records. The set is closed; an unknown word is refused when decoding.
type Kind string

// The kinds of leaf. Those after KindRekey have their names reserved: they decode, their body stays
// opaque, and replaying one is ErrUnknownKind until the version that defines it.
const (
	KindPublish  Kind = "publish"  // a list version came into force
	KindReject   Kind = "reject"   // something offered was refused
	KindWithdraw Kind = "withdraw" // a hotline took entries out of force
	KindMember   Kind = "member"   // a control node or an edge came or went
	KindReceipts Kind = "receipts" // edges say what they serve
	KindTrust    Kind = "trust"    // an anchor at genesis; metadata renewed without a new list
	KindAlarm    Kind = "alarm"    // a node says that something is wrong
	KindHold     Kind = "hold"     // a brake holds a list version back, until people approve it
	KindPolicy   Kind = "policy"   // officers said which never-block list counts
	KindApprove  Kind = "approve"  // officers let a held version through
	KindSuppress Kind = "suppress" // officers took entries out of force for a time
	KindReturn   Kind = "return"   // officers went back to an earlier version
	KindBypass   Kind = "bypass"   // officers let everything pass for a time
	KindAdmin    Kind = "admin"    // what people and machines state about their own work: appeals, builds

	KindCertificate Kind = "certificate" // officers certify what the log says of a period
	KindExempt      Kind = "exempt"      // officers exempt analysts' prefixes for a time

	KindOpen Kind = "open" // a hotline showed entries to a reviewer

	KindPin   Kind = "pin"   // officers added a hotline
	KindRekey Kind = "rekey" // a list goes over to new keys

	KindFork Kind = "fork" // a hotline's public log told two stories

	KindFeature Kind = "feature" // reserved
)

// Known reports whether this version defines the body of the kind.
func (k Kind) Known() bool {
	switch k {
	case KindPublish, KindReject, KindWithdraw, KindMember, KindReceipts, KindTrust, KindAlarm, KindHold, KindPolicy, KindApprove,
		KindSuppress, KindReturn, KindBypass, KindExempt, KindAdmin, KindCertificate, KindOpen, KindPin, KindRekey, KindFork:
		return true
	}
	return false
}

// Reserved reports whether the name is one of the closed set but its body is not defined here yet.
func (k Kind) Reserved() bool {
	switch k {
	case KindFeature:
		return true
	}
	return false
}

// leafVersion is the only version of leaf there is.
const leafVersion = 1

// Leaf is one record of the log: deterministic CBOR, at most MaxLeaf bytes.
type Leaf struct {
	V int             `cbor:"v"` // 1
	N uint64          `cbor:"n"` // its own number, from 0 without a gap
	T int64           `cbor:"t"` // unix seconds of the command; never lower than the leaf's before it
	K Kind            `cbor:"k"`
	F [32]byte        `cbor:"f"` // InForce.Hash after this leaf
	B cbor.RawMessage `cbor:"b"` // the body of its kind
}

// NewLeaf builds a leaf around a body (Publish, Reject, Withdraw, Member, Receipts, Trust, Alarm, Hold, Ordered,
// Returned, Admin, Open or Rekey, by value); F is still zero: set it to the hash of InForce.Apply(leaf). A body that breaks its own
// rules (too long, unknown word) is an error.
func NewLeaf(n uint64, t int64, body Body) (Leaf, error) {
	if err := body.check(); err != nil {
		return Leaf{}, fmt.Errorf("leaf %d: %w", n, err)
	}
	return Leaf{V: leafVersion, N: n, T: t, K: body.kind(), B: encode(body)}, nil
}

// EncodeLeaf returns the leaf's one encoding, the bytes that the tree hashes. Errors: ErrTooLarge,
// ErrFormat for a leaf that DecodeLeaf would not take back.
func EncodeLeaf(l Leaf) ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, fmt.Errorf("encode leaf %d: %w", l.N, err)
	}
	b := encode(l)
	if len(b) > MaxLeaf {
		return nil, fmt.Errorf("encode leaf %d of %d bytes, at most %d: %w", l.N, len(b), MaxLeaf, ErrTooLarge)
	}
	return b, nil
}

// DecodeLeaf reads one leaf and its body strictly: every other spelling of the same leaf is ErrFormat.
// The leaf keeps no reference to b.
func DecodeLeaf(b []byte) (Leaf, error) {
	var l Leaf
	if err := decode(b, MaxLeaf, "leaf", &l); err != nil {
		return Leaf{}, err
	}
	if err := l.check(); err != nil {
		return Leaf{}, fmt.Errorf("decode leaf %d: %w", l.N, err)
	}
	return l, nil
}

// Body decodes the leaf's body: a Publish, Reject, Withdraw, Member, Receipts, Trust, Alarm, Hold, Ordered,
// Returned, Admin, Open or Rekey by value, or Unknown for a kind whose name is reserved.
func (l Leaf) Body() (Body, error) {
	switch l.K {
	case KindPublish:
		return decodeBody[Publish](l)
	case KindReject:
		return decodeBody[Reject](l)
	case KindWithdraw:
		return decodeBody[Withdraw](l)
	case KindMember:
		return decodeBody[Member](l)
	case KindReceipts:
		return decodeBody[Receipts](l)
	case KindTrust:
		return decodeBody[Trust](l)
	case KindAlarm:
		return decodeBody[Alarm](l)
	case KindHold:
		return decodeBody[Hold](l)
	case KindPolicy, KindApprove, KindSuppress, KindBypass, KindExempt, KindCertificate, KindPin:
		return decodeBody[Ordered](l)
	case KindReturn:
		return decodeBody[Returned](l)
	case KindAdmin:
		return decodeBody[Admin](l)
	case KindFork:
		return decodeBody[Fork](l)
	case KindOpen:
		return decodeBody[Open](l)
	case KindRekey:
		return decodeBody[Rekey](l)
	}
	if l.K.Reserved() {
		var opaque any
		if err := decode(l.B, MaxLeaf, "body", &opaque); err != nil {
			return nil, fmt.Errorf("leaf %d %s: %w", l.N, l.K, err)
		}
		return Unknown{Kind: l.K, Raw: append([]byte(nil), l.B...)}, nil
	}
	return nil, fmt.Errorf("leaf %d of kind %q: %w", l.N, clip(string(l.K)), ErrUnknownKind)
}

func (l Leaf) check() error {
	if l.V != leafVersion {
		return fmt.Errorf("version %d, only %d is known: %w", l.V, leafVersion, ErrFormat)
	}
	if l.T < 0 || l.T > maxTime {
		return fmt.Errorf("time %d out of range: %w", l.T, ErrFormat)
	}
	_, err := l.Body()
	return err
}

// maxTime is the year 4147: a time beyond it is a mistake or an attempt to overflow.
const maxTime = 1 << 36

func decodeBody[B interface {
	Publish | Reject | Withdraw | Member | Receipts | Trust | Alarm | Hold | Ordered | Returned | Admin | Open | Rekey | Fork
	Body
}](l Leaf) (Body, error) {
	var b B
	if err := decode(l.B, MaxLeaf, "body", &b); err != nil {
		return nil, fmt.Errorf("leaf %d %s: %w", l.N, l.K, err)
	}
	body := Body(b)
	switch b := body.(type) {
	case Withdraw:
		body = b.fill()
	case Ordered:
		body = b.fill(l.K)
	case Returned:
		body = b.fill()
	case Admin:
		body = b.fill()
	}
	if err := body.check(); err != nil {
		return nil, fmt.Errorf("leaf %d %s: %w", l.N, l.K, err)
	}
	return body, nil
}
