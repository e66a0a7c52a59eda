package audit

import (
	"encoding/hex"
	"fmt"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/witness"
)

// Fork records that a hotline's public log has signed two trees of one size: it told two stories, and its own two signatures prove
// it. It changes nothing in force. From here on no version comes into force that is proved by this log; withdrawals do, and versions
// under a charter that names another log.
type Fork struct {
	Hotline trust.HotlineID `cbor:"hotline"`
	Log     string          `cbor:"log"`    // verifier key that has signed both, the one of the hotline's charter at that time
	First   []byte          `cbor:"first"`  // C2SP checkpoint notes, with that log's signature
	Second  []byte          `cbor:"second"` // of the same size, with another root
	Node    string          `cbor:"node"`   // control node that brought it
}

// MaxForkNote bounds each of a fork leaf's notes.
const MaxForkNote = 8 << 10

func (Fork) kind() Kind { return KindFork }

// Check verifies the evidence: it needs nothing else. Errors: ErrFormat, ErrTooLarge, ErrMismatch.
func (f Fork) Check() error { return f.check() }

func (f Fork) check() error {
	if err := checkHotline(f.Hotline); err != nil {
		return err
	}
	if len(f.First) > MaxForkNote || len(f.Second) > MaxForkNote || len(f.Log) > 2*MaxForkNote || len(f.Node) > maxWord {
		return fmt.Errorf("fork: %w", ErrTooLarge)
	}
	k, err := witness.ParseLogKey(f.Log)
	if err != nil {
		return fmt.Errorf("fork: %w: %w", ErrFormat, err)
	}
	if _, err := witness.CheckFork(k, f.First, f.Second); err != nil {
		return fmt.Errorf("fork: %w: %w", ErrMismatch, err)
	}
	return nil
}

func (f Fork) describe() string {
	a, aerr := witness.Peek(f.First)
	b, berr := witness.Peek(f.Second)
	if aerr != nil || berr != nil {
		return "a fork that cannot be read"
	}
	return fmt.Sprintf("public log %s of hotline %s has signed two histories: at size %d the roots %s and %s; no version is taken from it any more",
		a.Origin, f.Hotline, a.Size, hex.EncodeToString(a.Root[:8]), hex.EncodeToString(b.Root[:8]))
}
