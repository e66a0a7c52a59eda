package publiclog

import (
	"bytes"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/witness"
)

// Proof is what a cluster agrees on beside a list version: that the version is in the hotline's public log, and that this log goes on
// from the one that the cluster accepted before.
type Proof struct {
	V           int        `cbor:"v"`           // 1
	Log         string     `cbor:"log"`         // the log's verifier key, which must be the charter's
	Proof       string     `cbor:"proof"`       // c2sp.org/tlog-proof of the version's leaf
	From        uint64     `cbor:"from"`        // size of the log at the last version that was accepted under this key, 0 for none
	Consistency [][32]byte `cbor:"consistency"` // RFC 6962 proof from that size to the proof's
}

// MaxProof bounds an encoded Proof: a command of 64 KiB has metadata and verdicts too. With proofs of 20 hashes each for inclusion and
// consistency (a million versions) about 10 KiB are left for cosignatures: 60 with Ed25519, or three with ML-DSA-44.
const MaxProof = 12 << 10

const (
	proofVersion   = 1
	maxConsistency = 64
)

var (
	encMode = must(cbor.CoreDetEncOptions().EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, IndefLength: cbor.IndefLengthForbidden,
		TagsMd: cbor.TagsForbidden, MaxArrayElements: maxConsistency, MaxMapPairs: 16, MaxNestedLevels: 4, UTF8: cbor.UTF8RejectInvalid,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic("publiclog: " + err.Error())
	}
	return v
}

// Encode is the proof's one encoding. Over MaxProof it is trust.ErrTooLarge.
func (p Proof) Encode() ([]byte, error) {
	p.V = proofVersion
	if p.Consistency == nil {
		p.Consistency = [][32]byte{}
	}
	b := must(encMode.Marshal(p))
	if len(b) > MaxProof {
		return nil, fmt.Errorf("encode proof of a public log: %w: %d bytes, at most %d", trust.ErrTooLarge, len(b), MaxProof)
	}
	return b, nil
}

// DecodeProof reads Encode's bytes strictly and verifies nothing. Errors: trust.ErrFormat, trust.ErrTooLarge.
func DecodeProof(b []byte) (Proof, error) {
	var p Proof
	if len(b) > MaxProof {
		return p, fmt.Errorf("decode proof of a public log: %w: %d bytes, at most %d", trust.ErrTooLarge, len(b), MaxProof)
	}
	if err := decMode.Unmarshal(b, &p); err != nil {
		return Proof{}, fmt.Errorf("decode proof of a public log: %w: not the CBOR that is wanted", trust.ErrFormat)
	}
	again, err := p.Encode()
	if err != nil || !bytes.Equal(again, b) {
		return Proof{}, fmt.Errorf("decode proof of a public log: %w: not in its one form", trust.ErrFormat)
	}
	return p, nil
}

// Expect is what a Proof is held to.
type Expect struct {
	Leaf   Leaf
	Log    string         // the charter's
	Before Head           // after the last version that was accepted of this hotline; under another key it does not count
	Policy witness.Policy // whose cosignatures the checkpoint needs
}

// Verified is what a proof has shown.
type Verified struct {
	Head
	Index      uint64 // of the version's leaf
	Checkpoint []byte // the signed note
	Cosigned   witness.Cosigned
}

// Verify checks all of it: the log is the charter's, its key signed the checkpoint, the witnesses of the policy cosigned it, the leaf
// is in it, and it continues the head before. The note carries the log's signature and what the policy needs of cosignatures, and
// nothing else: no word that a stranger chose gets into a log by this way. Every error is ErrProof.
func (p Proof) Verify(x Expect) (Verified, error) {
	v, err := p.open(x)
	if err != nil {
		return Verified{}, fmt.Errorf("%w: %s: %w", ErrProof, x.Leaf, err)
	}
	return v, nil
}

func (p Proof) open(x Expect) (Verified, error) {
	v, log, err := p.included(x.Leaf, x.Log)
	if err != nil {
		return v, err
	}
	trimmed, err := x.Policy.Trim(v.Checkpoint, log)
	if err != nil {
		return v, err
	}
	if !bytes.Equal(trimmed, v.Checkpoint) {
		return v, fmt.Errorf("the checkpoint carries signatures that the witness policy does not need: %w", witness.ErrFormat)
	}
	if _, v.Cosigned, err = x.Policy.Open(v.Checkpoint, log); err != nil {
		return v, err
	}
	before := x.Before
	if before.Log != x.Log {
		before = Head{Log: x.Log}
	}
	if p.From != before.Size {
		return v, fmt.Errorf("it goes on from size %d, accepted is size %d: %w", p.From, before.Size, ErrStale)
	}
	was := witness.Checkpoint{Origin: log.Origin, Size: before.Size, Root: before.Root}
	return v, witness.Checkpoint{Origin: log.Origin, Size: v.Size, Root: v.Root}.Continues(was, p.Consistency)
}

// Included checks what an edge checks: the log is the charter's and signed the checkpoint, and the version is in it. Every error is ErrProof.
func (p Proof) Included(leaf Leaf, log string) (Verified, error) {
	v, _, err := p.included(leaf, log)
	if err != nil {
		return Verified{}, fmt.Errorf("%w: %s: %w", ErrProof, leaf, err)
	}
	return v, nil
}

func (p Proof) included(leaf Leaf, vkey string) (Verified, witness.Log, error) {
	v := Verified{Head: Head{Log: vkey}}
	if p.Log != vkey {
		return v, witness.Log{}, fmt.Errorf("the proof is of another log than the charter's: %w", witness.ErrOtherLog)
	}
	log, err := witness.ParseLog(vkey)
	if err != nil {
		return v, log, err
	}
	tp, err := witness.ParseProof([]byte(p.Proof))
	if err != nil {
		return v, log, err
	}
	if tp.Extra != nil || string(tp.Encode()) != p.Proof {
		return v, log, fmt.Errorf("proof with extra data, or not in its one form: %w", witness.ErrFormat)
	}
	c, err := log.Open(tp.Checkpoint)
	if err != nil {
		return v, log, err
	}
	if extended(tp.Checkpoint) {
		return v, log, fmt.Errorf("checkpoint with extension lines: %w", witness.ErrFormat)
	}
	v.Size, v.Root, v.Index, v.Checkpoint = c.Size, c.Root, tp.Index, tp.Checkpoint
	return v, log, tp.Included(leaf.Encode(), c)
}

// extended reports extension lines: a hotline's log has none.
func extended(note []byte) bool {
	text, _, _ := bytes.Cut(note, []byte("\n\n"))
	return bytes.Count(text, []byte("\n")) != 2
}

// HeadOf is the head in a proof that was verified before.
func HeadOf(encoded []byte) (Verified, error) {
	p, err := DecodeProof(encoded)
	if err != nil {
		return Verified{}, err
	}
	log, err := witness.ParseLog(p.Log)
	if err != nil {
		return Verified{}, err
	}
	tp, err := witness.ParseProof([]byte(p.Proof))
	if err != nil {
		return Verified{}, err
	}
	c, err := log.Open(tp.Checkpoint)
	if err != nil {
		return Verified{}, err
	}
	return Verified{Head: Head{Log: p.Log, Size: c.Size, Root: c.Root}, Index: tp.Index, Checkpoint: tp.Checkpoint}, nil
}
