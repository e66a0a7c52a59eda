package audit

import (
	"crypto"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/resolver/match"
)

// Returned records that a list went back to an earlier version, by order of the operator's officers. A quorum of members that hold both
// files has said that the order names everything that later versions left out.
type Returned struct {
	Order     order.Order           `cbor:"-"` // that of Statement
	Number    uint64                `cbor:"number"`
	Signers   []string              `cbor:"signers"` // officers, ascending
	Statement []byte                `cbor:"statement"`
	Version   InForceList           `cbor:"version"` // as it was in force, without versions
	Verdicts  []SignedReturnVerdict `cbor:"verdicts"`
}

// NewReturned fills the body for a statement that order.Verify accepted.
func NewReturned(statement []byte, o order.Order, signers []string, version InForceList, verdicts []SignedReturnVerdict) Returned {
	version.Versions = nil
	return Returned{Order: o, Number: o.Number, Signers: signers, Statement: statement, Version: version, Verdicts: verdicts}
}

func (Returned) kind() Kind { return KindReturn }

func (r Returned) check() error {
	said, signers, err := order.Decode(r.Statement)
	if err != nil {
		return fmt.Errorf("order: %w: %v", ErrFormat, err)
	}
	b, ok := said.Body.(order.Return)
	if !ok || said.Number != r.Number || !slices.Equal(signers, r.Signers) || r.Version.List != b.List || r.Version.Seq != b.Seq || r.Version.Edge != b.Edge {
		return fmt.Errorf("order says something else than its leaf: %w", ErrMismatch)
	}
	if len(r.Verdicts) > maxVerdicts {
		return fmt.Errorf("%d verdicts: %w", len(r.Verdicts), ErrTooLarge)
	}
	if _, err := r.Version.Filter.Match(); err != nil {
		return err
	}
	return checkListOf(r.Version.Hotline, r.Version.List)
}

// fill takes the order out of the statement after decoding.
func (r Returned) fill() Returned {
	if said, _, err := order.Decode(r.Statement); err == nil {
		r.Order = said
	}
	return r
}

const returnTag = "cordon/return-verdict/v1\n"

// ReturnVerdict is what a control node says of a return after it compared both files itself: these are all the entries that are in the
// version gone back to and not in the newest one.
type ReturnVerdict struct {
	V        int          `cbor:"v"` // 1; SignReturnVerdict sets it
	Cluster  string       `cbor:"cluster"`
	Node     string       `cbor:"node"`
	List     match.ListID `cbor:"list"`
	Edge     [32]byte     `cbor:"edge"`      // SHA-256 of the edge list gone back to
	HighEdge [32]byte     `cbor:"high_edge"` // of the newest one
	Entries  [32]byte     `cbor:"entries"`   // EntriesHash
}

// SignedReturnVerdict is its canonical bytes and the member's Ed25519 signature over "cordon/return-verdict/v1\n" || Body.
type SignedReturnVerdict struct {
	Body []byte `cbor:"body"`
	Sig  []byte `cbor:"sig"`
}

// EntriesHash names entry ids in their order: SHA-256 of all of them.
func EntriesHash(entries []match.EntryID) [32]byte {
	h := sha256.New()
	for _, e := range entries {
		h.Write(e[:])
	}
	return [32]byte(h.Sum(nil))
}

// SignReturnVerdict signs with the control node's key.
func SignReturnVerdict(v ReturnVerdict, key crypto.Signer) SignedReturnVerdict {
	v.V = signedVersion
	body := encode(v)
	return SignedReturnVerdict{Body: body, Sig: sign(key, append([]byte(returnTag), body...))}
}

// verdict reads the body without verifying the signature.
func (s SignedReturnVerdict) verdict() (ReturnVerdict, error) {
	var v ReturnVerdict
	if err := decode(s.Body, maxSigned, "return verdict", &v); err != nil {
		return v, err
	}
	if v.V != signedVersion {
		return v, fmt.Errorf("return verdict: %w", ErrFormat)
	}
	return v, nil
}

// ReturnApprovals are the different members that say of just this return that it names all that was left out.
func ReturnApprovals(verdicts []SignedReturnVerdict, cluster string, members []MemberKey, r order.Return) []string {
	entries := EntriesHash(r.Entries)
	var by []string
	for _, m := range members {
		for _, s := range verdicts {
			v, err := s.verdict()
			if err != nil || v.Node != m.Name || v.Cluster != cluster || v.List != r.List || v.Edge != r.Edge || v.HighEdge != r.HighEdge || v.Entries != entries {
				continue
			}
			if verify(m.Key, returnTag, s.Body, s.Sig) {
				by = append(by, m.Name)
				break
			}
		}
	}
	return by
}
