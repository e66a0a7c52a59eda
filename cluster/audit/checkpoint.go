package audit

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// Checkpoint is a C2SP tlog-checkpoint without extension lines: what the log was at one moment.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   [32]byte
}

// Text is the three lines that are signed.
func (c Checkpoint) Text() string {
	return string(log.Checkpoint{Origin: c.Origin, Size: c.Size, Hash: c.Root[:]}.Marshal())
}

// parseCheckpoint takes exactly what Text writes: no extension lines, one spelling of each number.
func parseCheckpoint(text string) (Checkpoint, error) {
	var l log.Checkpoint
	rest, err := l.Unmarshal([]byte(text))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("parse checkpoint: %w", ErrFormat)
	}
	if len(rest) > 0 || len(l.Hash) != 32 || l.Size > maxSize {
		return Checkpoint{}, fmt.Errorf("parse checkpoint: %w", ErrFormat)
	}
	c := Checkpoint{Origin: l.Origin, Size: l.Size, Root: [32]byte(l.Hash)}
	if c.Text() != text {
		return Checkpoint{}, fmt.Errorf("parse checkpoint: not the canonical form: %w", ErrFormat)
	}
	return c, nil
}

// Signer is one control node's hand under checkpoints. It may be used concurrently.
type Signer struct {
	plain note.Signer // Ed25519 under the origin's name
	name  string      // "<origin>/<node>"
	hash  uint32
	key   crypto.Signer

	mldsa     crypto.Signer // nil: Ed25519 alone
	mldsaHash uint32
}

// NewSigner makes the signer of the named node of the log with this origin, with an Ed25519 key. WithMLDSA adds the other half.
func NewSigner(origin, node string, key crypto.Signer) (*Signer, error) {
	if err := checkOrigin(origin); err != nil {
		return nil, err
	}
	if err := checkName("node", node); err != nil {
		return nil, err
	}
	pub, ok := key.Public().(ed25519.PublicKey)
	if !ok || len(pub) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("signer %s: its key is not Ed25519: %w", node, ErrFormat)
	}
	co, err := cosignVerifier(origin, node, pub)
	if err != nil {
		return nil, fmt.Errorf("signer %s: %w", node, err)
	}
	plain, err := plainVerifier(origin, pub)
	if err != nil {
		return nil, fmt.Errorf("signer %s: %w", node, err)
	}
	return &Signer{plain: plainSigner{plain, key}, name: co.Name(), hash: co.KeyHash(), key: key}, nil
}

// Sign writes the note that the assembling node starts with: the checkpoint, its plain signature
// under the origin's name and its own cosignatures of this moment.
func (s *Signer) Sign(c Checkpoint, at time.Time) ([]byte, error) {
	b, err := note.Sign(&note.Note{Text: c.Text()}, append([]note.Signer{s.plain}, s.cosigners(at)...)...)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint of size %d: %w", c.Size, err)
	}
	return b, nil
}

// Cosign returns one signature line (with its newline) for each kind of key: cosignatures of this moment. The caller
// has computed the checkpoint itself; a node never cosigns one it was merely told.
func (s *Signer) Cosign(c Checkpoint, at time.Time) ([]byte, error) {
	var lines []byte
	for _, by := range s.cosigners(at) {
		sig, err := by.Sign([]byte(c.Text()))
		if err != nil {
			return nil, fmt.Errorf("cosign checkpoint of size %d: %w", c.Size, err)
		}
		b := append(binary.BigEndian.AppendUint32(nil, by.KeyHash()), sig...)
		lines = append(lines, "— "+s.name+" "+base64.StdEncoding.EncodeToString(b)+"\n"...)
	}
	return lines, nil
}

func (s *Signer) cosigners(at time.Time) []note.Signer {
	if s.mldsa == nil {
		return []note.Signer{cosigner{s, at}}
	}
	return []note.Signer{cosigner{s, at}, mldsaCosigner{s, at}}
}

// VerifierKey is the plain verifier key ("name+hash+base64") of a member, as golang.org/x/mod/sumdb/note
// and other standard tools take it.
func VerifierKey(origin string, key ed25519.PublicKey) (string, error) {
	return note.NewEd25519VerifierKey(origin, key)
}

// CosignatureKey is the cosignature/v1 verifier key of a member, as C2SP tools take it.
func CosignatureKey(origin, node string, key ed25519.PublicKey) (string, error) {
	k, err := note.NewEd25519VerifierKey(origin+"/"+node, key)
	if err != nil {
		return "", err
	}
	return fnote.VKeyToCosignatureV1(k)
}

func plainVerifier(origin string, key ed25519.PublicKey) (note.Verifier, error) {
	k, err := VerifierKey(origin, key)
	if err != nil {
		return nil, err
	}
	return note.NewVerifier(k)
}

func cosignVerifier(origin, node string, key ed25519.PublicKey) (note.Verifier, error) {
	k, err := CosignatureKey(origin, node, key)
	if err != nil {
		return nil, err
	}
	return fnote.NewVerifierForCosignatureV1(k)
}

type plainSigner struct {
	note.Verifier
	key crypto.Signer
}

func (s plainSigner) Sign(msg []byte) ([]byte, error) { return sign(s.key, msg), nil }

// cosigner is a note.Signer at a given time (the one of transparency-dev/formats asks the machine's clock).
type cosigner struct {
	s  *Signer
	at time.Time
}

func (c cosigner) Name() string    { return c.s.name }
func (c cosigner) KeyHash() uint32 { return c.s.hash }

func (c cosigner) Sign(msg []byte) ([]byte, error) {
	t := c.at.Unix()
	if t < 0 || t > maxTime {
		return nil, fmt.Errorf("cosignature time %d out of range: %w", t, ErrFormat)
	}
	sig := binary.BigEndian.AppendUint64(nil, uint64(t))
	return append(sig, sign(c.s.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", t, msg))...), nil
}

// checkOrigin holds an origin to "host.name/path": no spaces and no '+' (the note format), and a dot in
// its first part, so that a checkpoint's text can never be read as another message a node key signs
// ("cosignature/v1", "cordon/receipt/v1", "cordon/verdict/v1").
func checkOrigin(origin string) error {
	bad := fmt.Errorf("origin %q: want a name like isp.example/cordon: %w", clip(origin), ErrFormat)
	host, path, ok := strings.Cut(origin, "/")
	if !ok || len(origin) > 128 || !strings.Contains(host, ".") || checkName("host", host) != nil {
		return bad
	}
	for _, part := range strings.Split(path, "/") {
		if checkName("path", part) != nil {
			return bad
		}
	}
	return nil
}
