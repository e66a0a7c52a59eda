package order

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/audit/strict"
	"github.com/cordon-project/cordon/listsync/trust"
)

// Officer is a person of the operator's who may sign orders, as the cluster file names them.
type Officer struct {
	Name string            `json:"name" cbor:"name"`
	Key  ed25519.PublicKey `json:"key" cbor:"key"`
}

// signed is an order as it travels.
type signed struct {
	Body       []byte      `cbor:"body"`       // the order, encoded
	Signatures []signature `cbor:"signatures"` // ascending by officer
}

type signature struct {
	Officer string `cbor:"officer"`
	Sig     []byte `cbor:"sig"` // Ed25519 over "cordon/order/v1\n" || body
}

// Sign makes the statement of o with one officer's signature. It refuses what Verify would refuse whatever the keys.
func Sign(o Order, officer string, key crypto.Signer) ([]byte, error) {
	b, err := o.encode()
	if err != nil {
		return nil, fmt.Errorf("sign order: %w", err)
	}
	return signed{Body: b}.sign(officer, key)
}

// Countersign adds another officer's signature to a statement; an older one of the same officer is replaced.
func Countersign(raw []byte, officer string, key crypto.Signer) ([]byte, error) {
	s, _, err := open(raw)
	if err != nil {
		return nil, fmt.Errorf("countersign order: %w", err)
	}
	return s.sign(officer, key)
}

func (s signed) sign(officer string, key crypto.Signer) ([]byte, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok || officer == "" || len(officer) > maxWord {
		return nil, fmt.Errorf("sign order: %w: a name and an Ed25519 key are needed", trust.ErrKeyRoles)
	}
	sig, err := key.Sign(rand.Reader, message(s.Body), crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("sign order: %w", err)
	}
	if !ed25519.Verify(public, message(s.Body), sig) {
		return nil, fmt.Errorf("sign order: %w: the signer's own signature does not verify", trust.ErrSignature)
	}
	all := slices.DeleteFunc(slices.Clone(s.Signatures), func(have signature) bool { return have.Officer == officer })
	all = append(all, signature{officer, sig})
	slices.SortFunc(all, func(a, b signature) int { return cmp.Compare(a.Officer, b.Officer) })
	raw, err := strict.Encoding.Marshal(signed{s.Body, all})
	if err != nil {
		return nil, fmt.Errorf("sign order: %w: %v", trust.ErrFormat, err)
	}
	if len(raw) > MaxSize || len(all) > MaxOfficers {
		return nil, fmt.Errorf("sign order: %w: %d bytes with %d signatures", trust.ErrTooLarge, len(raw), len(all))
	}
	return raw, nil
}

// Decode reads a statement and the names under it without asking whether they are true, for people who are about to countersign and for
// readers of a log that was verified before. Never act on it.
func Decode(raw []byte) (Order, []string, error) {
	s, o, err := open(raw)
	if err != nil {
		return Order{}, nil, fmt.Errorf("decode order: %w", err)
	}
	for _, sig := range s.Signatures {
		if !plain(sig.Officer) {
			return Order{}, nil, fmt.Errorf("decode order: %w", bad("has a signature under a name that no officer can have"))
		}
	}
	return o, s.names(), nil
}

// plain holds a name that people are shown to what the cluster file allows, so that no name moves a terminal's cursor or looks like a
// further line. Verify need not ask: it compares with the cluster file.
func plain(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func (s signed) names() []string {
	names := make([]string, len(s.Signatures))
	for i, sig := range s.Signatures {
		names[i] = sig.Officer
	}
	return names
}

// Verify reads a statement for this cluster that at least Threshold of its officers signed, and gives their names, ascending. Every
// signature there must be valid and of an officer. Errors: trust.ErrSignature, ErrThreshold, ErrExpired (outside of its time), ErrFormat,
// ErrTooLarge. Whether its number was used and whether it fits what is in force is the caller's to know.
func Verify(officers []Officer, cluster string, raw []byte, now time.Time) (Order, []string, error) {
	s, o, err := open(raw)
	if err != nil {
		return Order{}, nil, fmt.Errorf("verify order: %w", err)
	}
	if o.Cluster != cluster {
		return Order{}, nil, fmt.Errorf("verify order: %w: it is for another cluster", trust.ErrSignature)
	}
	for n, sig := range s.Signatures {
		i := slices.IndexFunc(officers, func(f Officer) bool { return f.Name == sig.Officer })
		if i < 0 || len(officers[i].Key) != ed25519.PublicKeySize || !ed25519.Verify(officers[i].Key, message(s.Body), sig.Sig) {
			return Order{}, nil, fmt.Errorf("verify order: %w: signature %d of %d is not a valid one of an officer of this cluster", trust.ErrSignature, n+1, len(s.Signatures))
		}
	}
	if len(s.Signatures) < Threshold {
		return Order{}, nil, fmt.Errorf("verify order: %w: signed by %d, %d are needed", trust.ErrThreshold, len(s.Signatures), Threshold)
	}
	if t := now.Unix(); t < o.Issued-int64(maxSkew/time.Second) || t >= o.Expires {
		return Order{}, nil, fmt.Errorf("verify order: %w: issued %s, expires %s, it is %s", trust.ErrExpired, stamp(o.Issued), stamp(o.Expires), stamp(t))
	}
	return o, s.names(), nil
}

// open reads the form of a statement.
func open(raw []byte) (signed, Order, error) {
	var s signed
	if len(raw) > MaxSize {
		return s, Order{}, fmt.Errorf("%w: %d bytes, at most %d", trust.ErrTooLarge, len(raw), MaxSize)
	}
	if err := decMode.Unmarshal(raw, &s); err != nil {
		return s, Order{}, fmt.Errorf("%w: %v", trust.ErrFormat, err)
	}
	if again, err := strict.Encoding.Marshal(s); err != nil || !bytes.Equal(again, raw) {
		return s, Order{}, bad("is not in its one encoding")
	}
	if len(s.Signatures) > MaxOfficers {
		return s, Order{}, fmt.Errorf("%w: %d signatures, at most %d", trust.ErrTooLarge, len(s.Signatures), MaxOfficers)
	}
	for i, sig := range s.Signatures {
		if len(sig.Sig) != ed25519.SignatureSize || sig.Officer == "" || len(sig.Officer) > maxWord || i > 0 && s.Signatures[i-1].Officer >= sig.Officer {
			return s, Order{}, bad("signatures are not ascending by officer")
		}
	}
	o, err := decodeOrder(s.Body)
	return s, o, err
}

func message(body []byte) []byte { return append([]byte(tag), body...) }

func stamp(t int64) string { return time.Unix(t, 0).UTC().Format(time.RFC3339) }
