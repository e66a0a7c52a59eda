package witness

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const proofHeader = "c2sp.org/tlog-proof@v1"

// Proof says that a leaf is in a log whose checkpoint witnesses have seen (c2sp.org/tlog-proof). It needs nothing
// else to be checked than the leaf, the log's key and a policy.
type Proof struct {
	Extra      []byte // nobody signs it; nil when the proof has none
	Index      uint64
	Hashes     [][32]byte // from the leaf's sibling up (RFC 6962, 2.1.1)
	Checkpoint []byte     // the signed note
}

// ParseProof reads a proof strictly and verifies nothing yet. Errors: ErrFormat, ErrTooLarge.
func ParseProof(b []byte) (Proof, error) {
	p, err := parseProof(b)
	if err != nil {
		return Proof{}, fmt.Errorf("tlog-proof: %w", err)
	}
	return p, nil
}

func parseProof(b []byte) (Proof, error) {
	if len(b) > MaxProof {
		return Proof{}, fmt.Errorf("%d bytes, at most %d: %w", len(b), MaxProof, ErrTooLarge)
	}
	head, checkpoint, ok := bytes.Cut(b, []byte("\n\n"))
	if !ok {
		return Proof{}, fmt.Errorf("no empty line before the checkpoint: %w", ErrFormat)
	}
	lines := strings.Split(string(head), "\n")
	if lines[0] != proofHeader {
		return Proof{}, fmt.Errorf("first line %q, want %s: %w", clip(lines[0]), proofHeader, ErrFormat)
	}
	p := Proof{Checkpoint: bytes.Clone(checkpoint)}
	lines = lines[1:]
	if len(lines) > 0 {
		if extra, ok := strings.CutPrefix(lines[0], "extra "); ok {
			d, err := base64.StdEncoding.DecodeString(extra)
			if err != nil || encode64(d) != extra {
				return Proof{}, fmt.Errorf("extra data is no base64: %w", ErrFormat)
			}
			p.Extra, lines = d, lines[1:]
		}
	}
	if len(lines) == 0 {
		return Proof{}, fmt.Errorf("no index line: %w", ErrFormat)
	}
	index, ok := strings.CutPrefix(lines[0], "index ")
	if !ok {
		return Proof{}, fmt.Errorf("line %q where the index belongs: %w", clip(lines[0]), ErrFormat)
	}
	var err error
	if p.Index, err = parseSize(index); err != nil {
		return Proof{}, fmt.Errorf("index: %w", err)
	}
	if p.Hashes, err = parseHashes(lines[1:]); err != nil {
		return Proof{}, err
	}
	if len(checkpoint) > MaxNote {
		return Proof{}, fmt.Errorf("checkpoint of %d bytes, at most %d: %w", len(checkpoint), MaxNote, ErrTooLarge)
	}
	if _, err := Origin(checkpoint); err != nil {
		return Proof{}, err
	}
	return p, nil
}

// parseHashes reads a proof's lines.
func parseHashes(lines []string) ([][32]byte, error) {
	if len(lines) > maxProof {
		return nil, fmt.Errorf("%d hashes, at most %d: %w", len(lines), maxProof, ErrTooLarge)
	}
	out := make([][32]byte, len(lines))
	for i, line := range lines {
		h, err := parseHash(line)
		if err != nil {
			return nil, fmt.Errorf("proof's line %d: %w", i+1, err)
		}
		out[i] = h
	}
	return out, nil
}

// Encode writes the proof in the form ParseProof reads.
func (p Proof) Encode() []byte {
	var b bytes.Buffer
	b.WriteString(proofHeader + "\n")
	if p.Extra != nil {
		b.WriteString("extra " + encode64(p.Extra) + "\n")
	}
	fmt.Fprintf(&b, "index %d\n", p.Index)
	for _, h := range p.Hashes {
		b.WriteString(encode64(h[:]) + "\n")
	}
	b.WriteString("\n")
	b.Write(p.Checkpoint)
	return b.Bytes()
}

// Check verifies all of it: the checkpoint is the log's and meets the policy, and the leaf with these bytes has
// number Index in its tree. Errors: those of Policy.Open, ErrProof.
func (p Proof) Check(leaf []byte, log Log, policy Policy) (Checkpoint, Cosigned, error) {
	c, co, err := policy.Open(p.Checkpoint, log)
	if err != nil {
		return Checkpoint{}, Cosigned{}, fmt.Errorf("tlog-proof: %w", err)
	}
	if err := p.Included(leaf, c); err != nil {
		return Checkpoint{}, Cosigned{}, fmt.Errorf("tlog-proof: %w", err)
	}
	return c, co, nil
}

// Included verifies the leaf's place alone, in the tree of a checkpoint that the caller has opened. Anything else is
// ErrProof.
func (p Proof) Included(leaf []byte, c Checkpoint) error {
	if c.Size > MaxSize || p.Index >= c.Size || len(p.Hashes) > maxProof {
		return fmt.Errorf("leaf %d in a tree of size %d: %w", p.Index, c.Size, ErrProof)
	}
	if err := tlog.CheckRecord(hashes(p.Hashes), int64(c.Size), c.Root, int64(p.Index), tlog.RecordHash(leaf)); err != nil {
		return fmt.Errorf("leaf %d in a tree of size %d: %w", p.Index, c.Size, ErrProof)
	}
	return nil
}

// Continues verifies that the log of the checkpoint old is a prefix of the log of the checkpoint c (RFC 6962, 2.1.2).
// Size 0 is a prefix of everything and takes an empty proof. Anything that is not is ErrProof.
func (c Checkpoint) Continues(old Checkpoint, proof [][32]byte) error {
	bad := fmt.Errorf("%s: size %d does not continue size %d: %w", clip(c.Origin), c.Size, old.Size, ErrProof)
	switch {
	case c.Origin != old.Origin || c.Size > MaxSize || old.Size > c.Size || len(proof) > maxProof:
		return bad
	case old.Size == 0 || old.Size == c.Size:
		if len(proof) > 0 || old.Size == c.Size && c.Root != old.Root {
			return bad
		}
		return nil
	}
	if err := tlog.CheckTree(hashes(proof), int64(c.Size), c.Root, int64(old.Size), old.Root); err != nil {
		return bad
	}
	return nil
}

func hashes(p [][32]byte) []tlog.Hash {
	out := make([]tlog.Hash, len(p))
	for i, h := range p {
		out[i] = h
	}
	return out
}
