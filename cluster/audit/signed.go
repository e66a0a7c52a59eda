package audit

import (
	"crypto"
	"crypto/ed25519"
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/resolver/match"
)

const (
	receiptTag = "cordon/receipt/v1\n"
	verdictTag = "cordon/verdict/v1\n"

	signedVersion = 1
	directVersion = 2
	maxSigned     = 2 << 10 // a receipt or verdict body; MaxDirect statements are 1.1 KiB
)

// Receipt is an edge's statement of what it serves: this state, compiled from the log of this size.
type Receipt struct {
	V       int           `cbor:"v"`       // 1, or 2 with Direct; SignReceipt sets it
	Cluster string        `cbor:"cluster"` // Cluster.ID
	Edge    string        `cbor:"edge"`
	Counter uint64        `cbor:"counter"` // higher in each receipt of an edge
	State   match.StateID `cbor:"state"`
	Size    uint64        `cbor:"size"` // of the checkpoint its manifest came with
	Root    [32]byte      `cbor:"root"`
	Time    int64         `cbor:"time"`

	// Direct names the withdrawals in State that the log of this size does not have (trust.StatementID), ascending: taken straight from the
	// hotline while there was no quorum.
	Direct [][32]byte `cbor:"direct,omitempty"`
}

func (r Receipt) version() int {
	if len(r.Direct) > 0 {
		return directVersion
	}
	return signedVersion
}

// SignedReceipt is a receipt's canonical bytes and the edge's Ed25519 signature over
// "cordon/receipt/v1\n" || Body.
type SignedReceipt struct {
	Body []byte `cbor:"body"`
	Sig  []byte `cbor:"sig"`
}

// SignReceipt signs with the edge's node key.
func SignReceipt(r Receipt, key crypto.Signer) SignedReceipt {
	r.V = r.version()
	body := encode(r)
	return SignedReceipt{Body: body, Sig: sign(key, append([]byte(receiptTag), body...))}
}

// VerifyReceipt checks form and signature. Whether the key is that edge's, and whether what it says is
// true, is the caller's question. Errors: ErrSignature, ErrFormat, ErrTooLarge.
func VerifyReceipt(s SignedReceipt, key ed25519.PublicKey) (Receipt, error) {
	r, err := s.Receipt()
	if err != nil {
		return Receipt{}, err
	}
	if err := verifyReceipt(s, r, key); err != nil {
		return Receipt{}, err
	}
	return r, nil
}

// verifyReceipt checks the signature of a receipt that was read.
func verifyReceipt(s SignedReceipt, r Receipt, key ed25519.PublicKey) error {
	if !verify(key, receiptTag, s.Body, s.Sig) {
		return fmt.Errorf("receipt of edge %q counter %d: %w", r.Edge, r.Counter, ErrSignature)
	}
	return nil
}

// Receipt reads the body without verifying the signature.
func (s SignedReceipt) Receipt() (Receipt, error) {
	var r Receipt
	if err := decode(s.Body, maxSigned, "receipt", &r); err != nil {
		return Receipt{}, err
	}
	if r.Time < 0 || r.Time > maxTime || r.Size > maxSize {
		return Receipt{}, fmt.Errorf("receipt: %w", ErrFormat)
	}
	if err := r.checkDirect(); err != nil {
		return Receipt{}, err
	}
	if err := checkClusterID(r.Cluster); err != nil {
		return Receipt{}, fmt.Errorf("receipt: %w", err)
	}
	if err := checkName("edge", r.Edge); err != nil {
		return Receipt{}, fmt.Errorf("receipt: %w", err)
	}
	return r, nil
}

// Encode returns the receipt as it travels.
func (s SignedReceipt) Encode() []byte { return encode(s) }

// DecodeSignedReceipt reads Encode's bytes strictly, body included; it verifies no signature.
func DecodeSignedReceipt(b []byte) (SignedReceipt, error) {
	var s SignedReceipt
	if err := decode(b, maxSigned+256, "signed receipt", &s); err != nil {
		return SignedReceipt{}, err
	}
	if _, err := s.Receipt(); err != nil {
		return SignedReceipt{}, err
	}
	return s, nil
}

// ResultOK is the result of a verdict without an objection.
const ResultOK = "ok"

// Verdict is what a control node says about a list's files after it fetched and checked them itself.
type Verdict struct {
	V           int          `cbor:"v"` // 1; SignVerdict sets it
	Cluster     string       `cbor:"cluster"`
	Node        string       `cbor:"node"`
	List        match.ListID `cbor:"list"`
	Seq         uint64       `cbor:"seq"`
	Edge        [32]byte     `cbor:"edge"`
	Audit       [32]byte     `cbor:"audit"`
	EntriesRoot [32]byte     `cbor:"entries_root"`
	Index       [32]byte     `cbor:"index"`       // hash of the index it compiled from the edge list; zero when it did not come as far
	NeverBlock  [32]byte     `cbor:"never_block"` // hash of the never-block list it was checked against
	Result      string       `cbor:"result"`      // ResultOK or a stable reason word
}

// SignedVerdict is a verdict's canonical bytes and the member's Ed25519 signature over
// "cordon/verdict/v1\n" || Body.
type SignedVerdict struct {
	Body []byte `cbor:"body"`
	Sig  []byte `cbor:"sig"`
}

// SignVerdict signs with the control node's key.
func SignVerdict(v Verdict, key crypto.Signer) SignedVerdict {
	v.V = signedVersion
	body := encode(v)
	return SignedVerdict{Body: body, Sig: sign(key, append([]byte(verdictTag), body...))}
}

// VerifyVerdict checks form and signature. Errors: ErrSignature, ErrFormat, ErrTooLarge.
func VerifyVerdict(s SignedVerdict, key ed25519.PublicKey) (Verdict, error) {
	v, err := s.Verdict()
	if err != nil {
		return Verdict{}, err
	}
	if !verify(key, verdictTag, s.Body, s.Sig) {
		return Verdict{}, fmt.Errorf("verdict of node %q on %q sequence %d: %w", v.Node, string(v.List), v.Seq, ErrSignature)
	}
	return v, nil
}

// Verdict reads the body without verifying the signature.
func (s SignedVerdict) Verdict() (Verdict, error) {
	var v Verdict
	if err := decode(s.Body, maxSigned, "verdict", &v); err != nil {
		return Verdict{}, err
	}
	if v.V != signedVersion || v.Result == "" || len(v.Result) > maxWord || len(v.List) > maxWord {
		return Verdict{}, fmt.Errorf("verdict: %w", ErrFormat)
	}
	if err := checkClusterID(v.Cluster); err != nil {
		return Verdict{}, fmt.Errorf("verdict: %w", err)
	}
	if err := checkName("node", v.Node); err != nil {
		return Verdict{}, fmt.Errorf("verdict: %w", err)
	}
	return v, nil
}

// Approvals counts the different members that signed an "ok" for exactly these files and this index. Verdicts of
// others, with wrong signatures or about other files are left out, so that one member's nonsense does
// not spoil the rest.
func Approvals(verdicts []SignedVerdict, cluster string, members []MemberKey, p Publish) []string {
	var by []string
	for _, m := range members {
		for _, s := range verdicts {
			v, err := s.Verdict()
			if err != nil || v.Node != m.Name || v.Cluster != cluster || v.Result != ResultOK || v.Index == ([32]byte{}) {
				continue
			}
			if v.List != p.List || v.Seq != p.Seq || v.Edge != p.Edge || v.Audit != p.Audit || v.EntriesRoot != p.EntriesRoot || v.Index != p.Index {
				continue
			}
			if _, err := VerifyVerdict(s, m.Key); err == nil {
				by = append(by, m.Name)
				break
			}
		}
	}
	return by
}

// Agreed is the index that need different members say they compiled, in verdicts that approve p's files; false when so many do not say
// the same. p.Index is not looked at. need is more than half of the members, so no two groups can agree on different ones.
func Agreed(verdicts []SignedVerdict, cluster string, members []MemberKey, p Publish, need int) ([32]byte, bool) {
	by := make(map[[32]byte]map[string]bool) // members, by index
	for _, s := range verdicts {
		v, err := s.Verdict()
		if err != nil {
			continue
		}
		i := slices.IndexFunc(members, func(m MemberKey) bool { return m.Name == v.Node })
		if p.Index = v.Index; i < 0 || len(Approvals([]SignedVerdict{s}, cluster, members[i:i+1], p)) == 0 {
			continue
		}
		if by[v.Index] == nil {
			by[v.Index] = make(map[string]bool)
		}
		if by[v.Index][v.Node] = true; len(by[v.Index]) >= need {
			return v.Index, true
		}
	}
	return [32]byte{}, false
}

// sign signs with a node's Ed25519 key, wherever it is kept. Such a key cannot fail; one that does would sign nothings.
func sign(key crypto.Signer, message []byte) []byte {
	sig, err := key.Sign(nil, message, crypto.Hash(0))
	if err != nil {
		panic("audit: signing key failed: " + err.Error())
	}
	return sig
}

func verify(key ed25519.PublicKey, tag string, body, sig []byte) bool {
	return len(key) == ed25519.PublicKeySize && len(sig) == ed25519.SignatureSize &&
		ed25519.Verify(key, append([]byte(tag), body...), sig)
}

// checkClusterID holds an id to 32 lower-case hex digits.
func checkClusterID(id string) error {
	if len(id) != 32 {
		return fmt.Errorf("cluster id %q: %w", clip(id), ErrFormat)
	}
	for i := 0; i < len(id); i++ {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return fmt.Errorf("cluster id %q: %w", clip(id), ErrFormat)
		}
	}
	return nil
}
