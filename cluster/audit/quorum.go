package audit

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/cordon-project/cordon/cluster/audit/order"
)

// MemberKey is a control node's name and public keys.
type MemberKey struct {
	Name  string            `json:"name" cbor:"name"`
	Key   ed25519.PublicKey `json:"key" cbor:"key"`
	MLDSA []byte            `json:"mldsa" cbor:"mldsa"` // ML-DSA-44, FIPS 204; empty: it cosigns with Ed25519 alone
}

// Quorum is whom a reader trusts about one log: Need of Members must have cosigned. It is a value and
// its methods may be called concurrently.
type Quorum struct {
	Origin      string
	Cluster     string // the cluster's id, for messages and for those who sign receipts
	Members     []MemberKey
	Need        int
	Development bool // metadata of throw-away authorities is accepted

	Officers []order.Officer // two of whom can pin a further hotline
}

// Majority is the smallest number of n members that no other such group can avoid overlapping.
func Majority(n int) int { return n/2 + 1 }

// Member finds a member's key.
func (q Quorum) Member(name string) (ed25519.PublicKey, bool) {
	for _, m := range q.Members {
		if m.Name == name {
			return m.Key, true
		}
	}
	return nil, false
}

// Open verifies a checkpoint note: three canonical lines of this log, the plain signature of at least
// one member under the origin's name, cosignatures of at least Need different members. A member that has an ML-DSA key counts when it has
// cosigned with both keys at one time. Signatures of
// others (witnesses) are left alone; a wrong one under a member's name refuses the note. It returns who
// cosigned, in Members' order, and the freshness: the time of the Need-th newest cosignature, so that
// at least Need members say the log was like this at that time or later. Errors: ErrOtherLog,
// ErrQuorum, ErrSignature, ErrFormat, ErrTooLarge.
func (q Quorum) Open(b []byte) (Checkpoint, []string, time.Time, error) {
	c, by, fresh, err := q.open(b)
	if err != nil {
		return Checkpoint{}, nil, time.Time{}, fmt.Errorf("open checkpoint: %w", err)
	}
	return c, by, fresh, nil
}

func (q Quorum) open(b []byte) (Checkpoint, []string, time.Time, error) {
	none := time.Time{}
	if len(b) > MaxCheckpoint {
		return Checkpoint{}, nil, none, fmt.Errorf("%d bytes: %w", len(b), ErrTooLarge)
	}
	if q.Need < 1 || q.Need > len(q.Members) {
		return Checkpoint{}, nil, none, fmt.Errorf("needs %d of %d members: %w", q.Need, len(q.Members), ErrFormat)
	}
	text, _, ok := strings.Cut(string(b), "\n\n")
	if !ok {
		return Checkpoint{}, nil, none, fmt.Errorf("not a signed note: %w", ErrFormat)
	}
	c, err := parseCheckpoint(text + "\n")
	if err != nil {
		return Checkpoint{}, nil, none, err
	}
	if c.Origin != q.Origin {
		return Checkpoint{}, nil, none, fmt.Errorf("it is of %q, expected %q: %w", clip(c.Origin), q.Origin, ErrOtherLog)
	}
	verifiers, err := q.verifiers()
	if err != nil {
		return Checkpoint{}, nil, none, err
	}
	n, err := note.Open(b, note.VerifierList(verifiers...))
	if err != nil {
		if _, unsigned := err.(*note.UnverifiedNoteError); unsigned {
			return Checkpoint{}, nil, none, fmt.Errorf("signed by none of the trusted members, it is another log's: %w", ErrQuorum)
		}
		if wrong, ok := err.(*note.InvalidSignatureError); ok {
			return Checkpoint{}, nil, none, fmt.Errorf("signature under the name %q is wrong: %w", wrong.Name, ErrSignature)
		}
		return Checkpoint{}, nil, none, fmt.Errorf("%w: %v", ErrFormat, err)
	}
	if n.Text != c.Text() {
		return Checkpoint{}, nil, none, fmt.Errorf("signed text differs: %w", ErrFormat)
	}
	return q.count(c, n)
}

// count takes the verified signatures of n apart.
func (q Quorum) count(c Checkpoint, n *note.Note) (Checkpoint, []string, time.Time, error) {
	plain := false
	var times [2]map[string]int64 // by member: Ed25519, ML-DSA
	for kind := range times {
		times[kind] = make(map[string]int64)
	}
	post := q.mldsaHashes()
	for _, s := range n.Sigs {
		if s.Name == q.Origin {
			plain = true
			continue
		}
		at, err := fnote.CoSigV1Timestamp(s)
		if err != nil || at.Unix() < 0 || at.Unix() > maxTime {
			return Checkpoint{}, nil, time.Time{}, fmt.Errorf("cosignature of %q: time out of range: %w", s.Name, ErrFormat)
		}
		member, kind := strings.TrimPrefix(s.Name, q.Origin+"/"), 0
		if h, ok := post[member]; ok && h == s.Hash {
			kind = 1
		}
		times[kind][member] = at.Unix()
	}
	if !plain {
		return Checkpoint{}, nil, time.Time{}, fmt.Errorf("no member's signature under the log's own name: %w", ErrSignature)
	}
	var by []string
	var newest []int64
	for _, m := range q.Members {
		t, ok := times[0][m.Name]
		if len(m.MLDSA) > 0 {
			second, both := times[1][m.Name]
			ok = ok && both && second == t
		}
		if ok {
			by = append(by, m.Name)
			newest = append(newest, t)
		}
	}
	if len(by) < q.Need {
		return Checkpoint{}, nil, time.Time{}, fmt.Errorf("cosigned by %d of %d trusted members (%s), %d are needed: %w",
			len(by), len(q.Members), strings.Join(by, ", "), q.Need, ErrQuorum)
	}
	sort.Slice(newest, func(i, j int) bool { return newest[i] > newest[j] })
	return c, by, time.Unix(newest[q.Need-1], 0).UTC(), nil
}

// mldsaHashes are the key hashes of the members that have an ML-DSA key.
func (q Quorum) mldsaHashes() map[string]uint32 {
	out := make(map[string]uint32)
	for _, m := range q.Members {
		if len(m.MLDSA) > 0 {
			out[m.Name] = mldsaKeyHash(q.Origin+"/"+m.Name, m.MLDSA)
		}
	}
	return out
}

// maxCosignature is the longest line of a member: an ML-DSA cosignature is 3244 characters, its name at most 193.
const maxCosignature = 4 << 10

// Assemble adds members' cosignature lines (Signer.Cosign) to a note that Signer.Sign began. Lines that
// do not verify, are not of a member, or are there already are left out: one member's nonsense does not
// spoil the checkpoint. The result may still lack its quorum; Open says so.
func (q Quorum) Assemble(signed []byte, lines ...[]byte) ([]byte, error) {
	verifiers, err := q.verifiers()
	if err != nil {
		return nil, fmt.Errorf("assemble checkpoint: %w", err)
	}
	text, _, ok := bytes.Cut(signed, []byte("\n\n"))
	if !ok || len(signed) > MaxCheckpoint {
		return nil, fmt.Errorf("assemble checkpoint: %w", ErrFormat)
	}
	known := note.VerifierList(verifiers...)
	out := slices.Clone(signed)
	lines = slices.DeleteFunc(slices.Clone(lines), func(b []byte) bool { return len(b) > 2*maxCosignature })
	for _, line := range bytes.SplitAfter(bytes.Join(lines, nil), []byte("\n")) {
		if len(line) > maxCosignature || !bytes.HasSuffix(line, []byte("\n")) || bytes.Contains(out, line) {
			continue
		}
		alone := slices.Concat(text, []byte("\n\n"), line)
		if n, err := note.Open(alone, known); err == nil && len(n.Sigs) == 1 && n.Sigs[0].Name != q.Origin {
			out = append(out, line...)
		}
	}
	if len(out) > MaxCheckpoint {
		return nil, fmt.Errorf("assemble checkpoint: %w", ErrTooLarge)
	}
	return out, nil
}

func (q Quorum) verifiers() ([]note.Verifier, error) {
	out := make([]note.Verifier, 0, 3*len(q.Members))
	for _, m := range q.Members {
		plain, err := plainVerifier(q.Origin, m.Key)
		if err != nil {
			return nil, fmt.Errorf("member %s: %w: %v", m.Name, ErrFormat, err)
		}
		co, err := cosignVerifier(q.Origin, m.Name, m.Key)
		if err != nil {
			return nil, fmt.Errorf("member %s: %w: %v", m.Name, ErrFormat, err)
		}
		out = append(out, plain, co)
		if len(m.MLDSA) == 0 {
			continue
		}
		second, err := mldsaVerifier(q.Origin, m.Name, m.MLDSA)
		if err != nil {
			return nil, fmt.Errorf("member %s: %w: %v", m.Name, ErrFormat, err)
		}
		out = append(out, second)
	}
	return out, nil
}
