// Package audit is the cluster's public memory and the tool that holds it to account.
//
// In go leaves: one for each thing the cluster decided (a list version, a refusal, a withdrawal, a
// member, an edge's receipts). Out come an append-only tree over them, checkpoints that a quorum of
// control nodes has cosigned, manifests that an edge can check without trusting the node that hands
// them over, and bundles that an auditor can check offline, with no key and without seeing a list.
//
// Every leaf carries the hash of what is in force after it, and InForce.Apply is the one pure
// function that says what that is: replicas use it to decide, auditors to check. Leaves hold ids,
// hashes, counts, versions and signatures; nothing in them can be tested against a guessed name.
//
// LEAF.md beside this file fixes every byte, with test vectors.
package audit

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cordon-project/cordon/cluster/audit/strict"
)

// Bounds on everything that comes from outside. Each is checked before memory is taken for it.
const (
	// MaxLeaf is the longest encoded leaf: an entry bundle gives a leaf 16 bits of length, a Raft command 64 KiB.
	MaxLeaf = 60 << 10
	// MaxLeaves bounds the log an auditor reads: a leaf every four seconds for two years.
	MaxLeaves = 1 << 24
	// maxSize bounds the size a checkpoint may state, far below where signed arithmetic on it overflows.
	maxSize = 1 << 40
	// MaxLists is how many lists may be in force at once; operators carry one to three.
	MaxLists = 16
	// MaxRemovals bounds the overlay of withdrawals and suppressions.
	MaxRemovals = 65536
	// MaxMembers bounds the control nodes of a cluster (Raft runs on three or five).
	MaxMembers = 16
	// MaxEdges bounds the edges enrolled at once.
	MaxEdges = 65536
	// MaxCheckpoint is the longest signed checkpoint: three lines and at most 100 signatures.
	MaxCheckpoint = 64 << 10
	// MaxInForce is the longest encoding of InForce: MaxRemovals of at most 190 bytes, MaxLists of at most 2 KiB.
	MaxInForce = 13 << 20
	// MaxManifest bounds an encoded manifest.
	MaxManifest = 16 << 20
	// MaxClusterFile bounds a cluster file or a trust file.
	MaxClusterFile = 8 << 20
)

// Errors a caller chooses by. All others of this package mean: these bytes are not what they claim to be.
var (
	// ErrFormat: the bytes are not in the one form the format allows.
	ErrFormat = errors.New("malformed")
	// ErrTooLarge: a size or count is beyond its bound.
	ErrTooLarge = errors.New("too large")
	// ErrUnknownKind: the leaf is of a kind this version cannot replay.
	ErrUnknownKind = errors.New("unknown kind of leaf")
	// ErrSignature: a signature is missing, wrong or by a key that is not trusted here.
	ErrSignature = errors.New("signature does not verify")
	// ErrQuorum: too few members have signed.
	ErrQuorum = errors.New("too few members signed")
	// ErrOtherLog: the checkpoint is of another log.
	ErrOtherLog = errors.New("checkpoint of another log")
	// ErrProof: a leaf is not in the tree, or a tree is not a continuation of an earlier one.
	ErrProof = errors.New("proof does not verify")
	// ErrRollback: a version or size lower than one already seen.
	ErrRollback = errors.New("goes back behind what was already seen")
	// ErrMismatch: two things that must be equal differ.
	ErrMismatch = errors.New("does not match")
	// ErrOrder: an order or a hold does not fit what is in force, or its number was used.
	ErrOrder = errors.New("does not fit what is in force")
	// ErrHeld: a version that is held back would come into force without an approval.
	ErrHeld = errors.New("held back by a brake and not approved")
	// ErrNotFound: the log has no such leaf, tile or proof.
	ErrNotFound = errors.New("not found")
)

var (
	encMode = strict.Encoding
	decMode = strict.Decoding(strict.Options(131072, 4096))
)

// encode is for values of this package's own types, which always have an encoding.
func encode(v any) []byte {
	b, err := encMode.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("audit: encode %T: %v", v, err))
	}
	return b
}

// decode reads b into v and refuses every spelling but the one encode writes.
func decode(b []byte, limit int, what string, v any) error {
	if len(b) > limit {
		return fmt.Errorf("decode %s of %d bytes, at most %d: %w", what, len(b), limit, ErrTooLarge)
	}
	if err := decMode.Unmarshal(b, v); err != nil {
		return fmt.Errorf("decode %s: %w: %v", what, ErrFormat, err)
	}
	again, err := encMode.Marshal(v)
	if err != nil {
		return fmt.Errorf("decode %s: %w: %v", what, ErrFormat, err)
	}
	if !bytes.Equal(b, again) {
		return fmt.Errorf("decode %s: not the canonical encoding: %w", what, ErrFormat)
	}
	return nil
}
