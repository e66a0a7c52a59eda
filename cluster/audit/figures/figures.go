// Package figures is how often edges stopped a listed name, as numbers that may be published: counts per list, legal basis and hour, to which
// the edge itself has added noise before anything left its memory.
//
// In go an edge's own counts of one hour; out comes a statement signed with its key. FIGURES.md gives the bytes, and says what the noise
// promises: it hides one answer, not one person (who asks often enough is in the number often enough).
package figures

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ed25519"
	"fmt"
	"io"
	"slices"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/strict"
	"github.com/cordon-project/cordon/resolver/match"
)

const (
	tag     = "cordon/figures/v1\n"
	version = 1

	// Hour is the span of one statement, in seconds.
	Hour = 3600
	// Threshold: a number below it, after the noise, is not said.
	Threshold = 20
	// MaxRows is the lists of a set by the three legal bases.
	MaxRows = 3 * audit.MaxLists
	// MaxSize bounds a signed statement.
	MaxSize = 8 << 10
	// Error95 is how far the noise of one number is from 0 with a probability of 5 %, at most.
	Error95 = 12
	// Variance of the noise of one number, rounded up: 2p/(1-p)^2 with p = exp(-1/4).
	Variance = 32
)

// Count is what an edge counted, before the noise. It never leaves the edge's memory.
type Count struct {
	List  match.ListID
	Basis match.Basis
	N     uint64
}

// Figures is what an edge says of one hour.
type Figures struct {
	V         int       `cbor:"v"` // 1
	Cluster   string    `cbor:"cluster"`
	Edge      string    `cbor:"edge"`
	Hour      int64     `cbor:"hour"`      // when it began, unix seconds, a multiple of Hour
	Seconds   int64     `cbor:"seconds"`   // of it in which the edge counted: fewer when it started in it
	Epsilon   [2]uint64 `cbor:"epsilon"`   // EpsilonNum, EpsilonDen
	Threshold uint64    `cbor:"threshold"` // Threshold
	Rows      []Row     `cbor:"rows"`      // every list in force by every basis, ascending
}

// Row is one number. Hidden: it is below the threshold, and N is 0.
type Row struct {
	List   match.ListID `cbor:"list" json:"list"`
	Basis  string       `cbor:"basis" json:"basis"`
	N      uint64       `cbor:"n" json:"n"`
	Hidden bool         `cbor:"hidden" json:"hidden"`
}

// Signed is a statement's canonical bytes and the edge's Ed25519 signature over "cordon/figures/v1\n" || Body.
type Signed struct {
	Body []byte `cbor:"body"`
	Sig  []byte `cbor:"sig"`
}

var (
	encMode = strict.Encoding
	decMode = strict.Decoding(strict.Options(256, 64))
)

// New adds noise to an edge's counts of an hour, hides what is small, and signs the rest. There is a row for each count, also for those of 0:
// which rows there are says nothing of what was asked. Call it once for an hour: noise drawn twice can be averaged. random is crypto/rand's
// Reader but in tests.
func New(cluster, edge string, hour, seconds int64, counts []Count, key crypto.Signer, random io.Reader) (Signed, error) {
	f := Figures{
		V: version, Cluster: cluster, Edge: edge, Hour: hour, Seconds: seconds, Epsilon: [2]uint64{EpsilonNum, EpsilonDen}, Threshold: Threshold, Rows: []Row{},
	}
	for _, c := range counts {
		z, err := noise(random)
		if err != nil {
			return Signed{}, err
		}
		r := Row{List: c.List, Basis: c.Basis.String(), Hidden: true}
		if n := int64(min(c.N, 1<<62)) + z; n >= Threshold {
			r.N, r.Hidden = uint64(n), false
		}
		f.Rows = append(f.Rows, r)
	}
	slices.SortFunc(f.Rows, Row.compare)
	body, err := encMode.Marshal(f)
	if err != nil {
		return Signed{}, fmt.Errorf("figures: %w: %v", audit.ErrFormat, err)
	}
	sig, err := key.Sign(nil, append([]byte(tag), body...), crypto.Hash(0))
	if err != nil {
		return Signed{}, fmt.Errorf("sign figures: %w", err)
	}
	s := Signed{Body: body, Sig: sig}
	_, err = s.Figures()
	return s, err
}

func (r Row) compare(o Row) int {
	return cmp.Or(cmp.Compare(r.List, o.List), cmp.Compare(r.Basis, o.Basis))
}

// Figures reads the body without verifying the signature.
func (s Signed) Figures() (Figures, error) {
	var f Figures
	bad := func(what string) (Figures, error) {
		return Figures{}, fmt.Errorf("figures %s: %w", what, audit.ErrFormat)
	}
	if len(s.Body) > MaxSize {
		return Figures{}, fmt.Errorf("figures of %d bytes: %w", len(s.Body), audit.ErrTooLarge)
	}
	if err := decMode.Unmarshal(s.Body, &f); err != nil {
		return bad("that are no CBOR of ours")
	}
	if again, err := encMode.Marshal(f); err != nil || !bytes.Equal(again, s.Body) {
		return bad("not in their one encoding")
	}
	switch {
	case f.V != version || len(f.Cluster) != 32 || f.Edge == "" || len(f.Edge) > 64 || len(f.Rows) > MaxRows:
		return bad("of another version, of nobody, or with too many rows")
	case f.Hour < 0 || f.Hour%Hour != 0 || f.Hour > 1<<36 || f.Seconds < 1 || f.Seconds > Hour:
		return bad("of no hour")
	case f.Epsilon != [2]uint64{EpsilonNum, EpsilonDen} || f.Threshold != Threshold:
		return bad("with another noise")
	}
	for i, r := range f.Rows {
		if _, err := match.ParseListID(string(r.List)); err != nil {
			return bad("of a list that is none")
		}
		if _, err := match.ParseBasis(r.Basis); err != nil {
			return bad("of a legal basis that is none")
		}
		if i > 0 && f.Rows[i-1].compare(r) >= 0 || r.Hidden == (r.N >= Threshold) || r.Hidden && r.N != 0 || r.N > 1<<63 {
			return bad("whose rows are not ascending, or say what is to be hidden")
		}
	}
	return f, nil
}

// Verify checks form and signature. Whether the key is that edge's is the caller's question. Errors: audit.ErrSignature, ErrFormat, ErrTooLarge.
func (s Signed) Verify(key ed25519.PublicKey) (Figures, error) {
	f, err := s.Figures()
	if err != nil {
		return Figures{}, err
	}
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, append([]byte(tag), s.Body...), s.Sig) {
		return Figures{}, fmt.Errorf("figures of edge %s: %w", f.Edge, audit.ErrSignature)
	}
	return f, nil
}
