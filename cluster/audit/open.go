package audit

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Open records that a hotline showed entries of a list version to a reviewer. What was shown is in no leaf; who may open it is a hash. It
// changes nothing in force.
type Open struct {
	Hotline   trust.HotlineID `cbor:"hotline"`
	List      match.ListID    `cbor:"list"`
	Seq       uint64          `cbor:"seq"`
	Count     uint32          `cbor:"count"`     // entries shown
	Request   [32]byte        `cbor:"request"`   // SHA-256 of the request that says which
	File      [32]byte        `cbor:"file"`      // SHA-256 of the sealed file
	Recipient [32]byte        `cbor:"recipient"` // SHA-256 of the reviewer's age recipient
	Signers   []string        `cbor:"signers"`   // key ids of the officers, ascending
	Statement []byte          `cbor:"statement"` // trust.Opening as the officers signed it
}

// NewOpen fills an open body from a statement that trust.VerifyOpening accepted, with the signers it returned.
func NewOpen(statement []byte, o trust.Opening, signers []string) Open {
	return Open{
		Hotline: trust.HotlineID(o.List.Hotline()), List: o.List, Seq: o.Seq, Count: o.Count,
		Request: o.Request, File: o.File, Recipient: o.Recipient, Signers: signers, Statement: statement,
	}
}

func (Open) kind() Kind { return KindOpen }

func (o Open) check() error {
	if err := checkListOf(o.Hotline, o.List); err != nil {
		return err
	}
	if len(o.Signers) == 0 || len(o.Signers) > MaxMembers || !slices.IsSorted(o.Signers) {
		return fmt.Errorf("signers of an opening: %w", ErrFormat)
	}
	for _, s := range o.Signers {
		if len(s) > maxWord {
			return fmt.Errorf("signers of an opening: %w", ErrFormat)
		}
	}
	said, err := trust.DecodeOpening(o.Statement)
	if err != nil {
		return fmt.Errorf("opening statement: %w: %v", ErrFormat, err)
	}
	if said.List != o.List || said.Seq != o.Seq || said.Count != o.Count || said.Request != o.Request || said.File != o.File || said.Recipient != o.Recipient {
		return fmt.Errorf("opening statement says something else: %w", ErrMismatch)
	}
	return nil
}

// describe is the line of Leaf.Describe.
func (o Open) describe() string {
	return fmt.Sprintf("list %s: %d entries shown to a reviewer (recipient %x), request %x, file %x, signed by %d officers",
		listSeq(o.List, o.Seq), o.Count, o.Recipient[:8], o.Request[:8], o.File[:8], len(o.Signers))
}

// sameSigners reports whether a leaf names just those who signed.
func sameSigners(a, b []string) bool { return strings.Join(a, " ") == strings.Join(b, " ") }

// RecipientHash is what an opening says of the reviewer's age recipient.
func RecipientHash(recipient string) [32]byte { return sha256.Sum256([]byte(recipient)) }
