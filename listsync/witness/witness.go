// Package witness reads what logs and their witnesses sign, the C2SP way, and speaks the protocol between them.
//
// In come checkpoints, policies and proofs that strangers wrote; out come either facts or an error:
//   - Key and Log: verifier keys, and a checkpoint of a log opened with the keys that may sign it
//   - Policy: which witnesses must have seen a checkpoint before it counts (c2sp.org/tlog-policy)
//   - Proof: one leaf's place in a witnessed log, checked offline (c2sp.org/tlog-proof)
//   - Keeper: a witness, which cosigns only what continues what it cosigned before (c2sp.org/tlog-witness)
//   - Asker: the other side of it, which has witnesses cosign a checkpoint
//   - Seen: which checkpoints logs have signed, whoever showed them, and which logs told two stories
//
// Nothing here decides whom to trust: keys and policies come from the caller. Everything that comes from
// outside is bounded before memory is taken for it. All values are safe for concurrent use.
package witness

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Bounds on everything that comes from outside.
const (
	// MaxNote is the longest signed checkpoint: an ML-DSA-44 cosignature line takes 3.3 KB, an Ed25519 one 0.2 KB.
	MaxNote = 64 << 10
	// MaxPolicy is the longest policy text; 32 witnesses with Ed25519 keys take 4 KiB, one ML-DSA-44 key 1.8 KB.
	MaxPolicy = 64 << 10
	// MaxProof is the longest tlog-proof: a checkpoint, 63 hashes, a leaf of 60 KiB as extra data.
	MaxProof = 160 << 10
	// MaxSize bounds the size a checkpoint may state, far below where signed arithmetic on it overflows.
	MaxSize = 1 << 40

	maxName  = 255     // a name is length-prefixed by one byte in what ML-DSA-44 cosignatures sign
	maxTime  = 1 << 36 // the year 4147; as in cluster/audit
	maxItems = 256     // logs, witnesses or groups of a policy, each
	maxProof = 63      // hashes of an inclusion or consistency proof
)

// Errors a caller chooses by. All others of this package mean: these bytes are not what they claim to be.
var (
	// ErrFormat: the bytes are not in the form the specification allows.
	ErrFormat = errors.New("malformed")
	// ErrTooLarge: a size or count is beyond its bound.
	ErrTooLarge = errors.New("too large")
	// ErrSignature: no trusted key signed, or a signature under a trusted key's name is wrong.
	ErrSignature = errors.New("signature does not verify")
	// ErrOtherLog: the checkpoint is of another log.
	ErrOtherLog = errors.New("checkpoint of another log")
	// ErrPolicy: the witnesses that cosigned do not make the policy's quorum.
	ErrPolicy = errors.New("witness policy not met")
	// ErrProof: a leaf is not in the tree, or a tree is not a continuation of an earlier one.
	ErrProof = errors.New("proof does not verify")
	// ErrNotYet: a hand that signs only what somebody has verified cannot sign this checkpoint yet. Ask again.
	ErrNotYet = errors.New("not verified here yet")
)

// Checkpoint is what a log was at one moment (c2sp.org/tlog-checkpoint). Extension lines are left aside.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   [32]byte
}

// parseText reads the signed text: three lines, each in its one spelling, and extension lines that are not empty.
func parseText(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[len(lines)-1] != "" || lines[0] == "" {
		return Checkpoint{}, fmt.Errorf("checkpoint of %d lines: %w", len(lines)-1, ErrFormat)
	}
	for _, ext := range lines[3 : len(lines)-1] {
		if ext == "" {
			return Checkpoint{}, fmt.Errorf("checkpoint with an empty extension line: %w", ErrFormat)
		}
	}
	size, err := parseSize(lines[1])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint's size: %w", err)
	}
	root, err := parseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint's root: %w", err)
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: root}, nil
}

// parseSize reads a decimal without leading zeroes, at most MaxSize.
func parseSize(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("number %q: %w", clip(s), ErrFormat)
	}
	if n > MaxSize {
		return 0, fmt.Errorf("number %d, at most %d: %w", n, uint64(MaxSize), ErrTooLarge)
	}
	return n, nil
}

// parseHash reads 32 bytes in the one base64 spelling they have.
func parseHash(s string) ([32]byte, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != 32 || encode64(b) != s {
		return [32]byte{}, fmt.Errorf("hash %q: %w", clip(s), ErrFormat)
	}
	return [32]byte(b), nil
}

// clip shortens what strangers wrote for a message.
func clip(s string) string {
	if len(s) > 64 {
		return s[:61] + "..."
	}
	return s
}

func encode64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
