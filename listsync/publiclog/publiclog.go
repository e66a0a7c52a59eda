// Package publiclog is a hotline's public log as its readers see it: which leaf stands for a list version, how it is proved that a
// version is in the log and that the log only ever grew, and how the log's files are read from a repository.
//
// In come a charter (which names the log's key), verified metadata, and bytes of strangers; out come the log's head after a version, or
// an error. What is checked here with given bytes is the same on every machine: no clock, no disk, no network. Reading a repository
// (Tiles) takes a function that gives files, and believes none of them. PUBLICLOG.md has the formats, with test vectors.
//
// All functions may be called concurrently.
package publiclog

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Sentinels of this package; package trust has their words.
var (
	// ErrStale is also ErrProof: what it says of the log before is not what was accepted meanwhile. A new one can be made.
	ErrStale = errors.New("the log has been accepted further")

	ErrProof     = trust.ErrPublicLog // no valid proof that the version is in the log, or that the log goes on from what was accepted
	ErrSplitView = trust.ErrSplitView // the log has signed two checkpoints that cannot be one history
)

// Leaf is one version of a list, as the log has it. Two versions under one seq are two leaves, so nobody can be shown one in secret.
type Leaf struct {
	List        match.ListID
	Seq, Prev   uint64
	Epoch       uint32
	Edge        [32]byte // SHA-256 of the edge list
	Audit       [32]byte // SHA-256 of the auditor list
	EntriesRoot [32]byte
	Role        [32]byte // SHA-256 of what the officers signed, trust.ListSigned
}

// MaxLeaf bounds an encoded leaf.
const MaxLeaf = 512

const leafHeader = "cordon/list-version/v1"

// LeafOf is the leaf of one list of a hotline's metadata, whose list role has the bytes list. It verifies nothing.
func LeafOf(list []byte, t trust.ListTarget) (Leaf, error) {
	signed, err := trust.ListSigned(list)
	if err != nil {
		return Leaf{}, fmt.Errorf("leaf of list %s seq %d: %w", t.List, t.Seq, err)
	}
	return Leaf{
		List: t.List, Seq: t.Seq, Prev: t.Prev, Epoch: t.Epoch, Edge: t.Edge.SHA256, Audit: t.Audit.SHA256, EntriesRoot: t.EntriesRoot,
		Role: sha256.Sum256(signed),
	}, nil
}

// Encode is the leaf's one encoding: nine lines of text, which anybody can read.
func (l Leaf) Encode() []byte {
	return fmt.Appendf(nil, "%s\n%s\n%d\n%d\n%d\n%x\n%x\n%x\n%x\n", leafHeader, l.List, l.Seq, l.Prev, l.Epoch, l.Edge, l.Audit, l.EntriesRoot, l.Role)
}

// ParseLeaf reads what Encode writes and nothing else. Errors: trust.ErrFormat, trust.ErrTooLarge.
func ParseLeaf(b []byte) (Leaf, error) {
	if len(b) > MaxLeaf {
		return Leaf{}, fmt.Errorf("leaf of a public log: %w: %d bytes, at most %d", trust.ErrTooLarge, len(b), MaxLeaf)
	}
	bad := func(what string) (Leaf, error) {
		return Leaf{}, fmt.Errorf("leaf of a public log: %w: %s", trust.ErrFormat, what)
	}
	lines := strings.Split(string(b), "\n")
	if len(lines) != 10 || lines[0] != leafHeader {
		return bad("not nine lines that begin with " + leafHeader)
	}
	var l Leaf
	var err error
	if l.List, err = match.ParseListID(strings.Clone(lines[1])); err != nil { // a leaf does not hold on to its bytes
		return bad("list id")
	}
	var epoch uint64
	for _, n := range []struct {
		to   *uint64
		bits int
		text string
	}{{&l.Seq, 64, lines[2]}, {&l.Prev, 64, lines[3]}, {&epoch, 32, lines[4]}} {
		if *n.to, err = strconv.ParseUint(n.text, 10, n.bits); err != nil {
			return bad("a number")
		}
	}
	l.Epoch = uint32(epoch)
	for i, h := range []*[32]byte{&l.Edge, &l.Audit, &l.EntriesRoot, &l.Role} {
		if n, err := hex.Decode(h[:], []byte(lines[5+i])[:min(64, len(lines[5+i]))]); err != nil || n != len(h) {
			return bad("a hash")
		}
	}
	if l.Seq == 0 || l.Prev >= l.Seq || string(l.Encode()) != string(b) {
		return bad("not in its one form")
	}
	return l, nil
}

// Same reports whether two leaves speak of one version: they may differ in what else the officers signed with it.
func (l Leaf) Same(o Leaf) bool {
	l.Role, o.Role = [32]byte{}, [32]byte{}
	return l == o
}

// String names the version for people.
func (l Leaf) String() string {
	return fmt.Sprintf("list %s sequence %d (edge list %x)", l.List, l.Seq, l.Edge[:6])
}

// Head is how far a log is: its key, its size and its root.
type Head struct {
	Log  string // verifier key, as the charter names it
	Size uint64
	Root [32]byte
}

// Files of a repository.
const (
	CheckpointName = "log/checkpoint"
	tilePrefix     = "log/tile/"
	entriesPrefix  = "log/tile/entries/"
)

// ProofName is the file with the proof of a list version.
func ProofName(l match.ListID, seq uint64) string {
	return fmt.Sprintf("log/proof/%s/%d.tlog-proof", l, seq)
}
