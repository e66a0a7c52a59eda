// Package publiclogtest is a public log in memory, for tests: it signs what it is told, honest or not. Its files are written by
// golang.org/x/mod/sumdb/tlog alone. The same calls make the same bytes.
package publiclogtest

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/witness"
)

// Log is a log. It may be used concurrently; Leaves and Cosigners may be changed before.
type Log struct {
	Origin    string
	Key       ed25519.PrivateKey
	Leaves    [][]byte
	Cosigners []Cosigner // of every checkpoint

	mu sync.Mutex
}

// Cosigner is a witness that believes everything.
type Cosigner struct {
	Name string
	Key  ed25519.PrivateKey
	At   time.Time
}

// VKey is the witness's key for a policy.
func (c Cosigner) VKey() string {
	k, err := witness.WitnessKey(c.Name, c.Key.Public().(ed25519.PublicKey))
	check(err)
	return k.String()
}

// Policy asks for all of them.
func Policy(cosigners ...Cosigner) witness.Policy {
	var text strings.Builder
	names := ""
	for i, c := range cosigners {
		fmt.Fprintf(&text, "witness w%d %s\n", i, c.VKey())
		names += fmt.Sprintf(" w%d", i)
	}
	fmt.Fprintf(&text, "group all all%s\nquorum all\n", names)
	p, err := witness.ParsePolicy(text.String())
	check(err)
	return p
}

// New is an empty log.
func New(origin string, key ed25519.PrivateKey) *Log { return &Log{Origin: origin, Key: key} }

// Fork is another log under the same key, with the first n leaves of this one.
func (l *Log) Fork(n int) *Log {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &Log{Origin: l.Origin, Key: l.Key, Leaves: slices.Clone(l.Leaves[:n]), Cosigners: l.Cosigners}
}

// VKey is the log's key for a charter.
func (l *Log) VKey() string {
	s, err := trust.LogKey(l.Origin, l.Key.Public().(ed25519.PublicKey))
	check(err)
	return s
}

// Append adds a leaf, also one that is there already, and gives its number.
func (l *Log) Append(leaf []byte) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Leaves = append(l.Leaves, slices.Clone(leaf))
	return uint64(len(l.Leaves) - 1)
}

// Size is how many leaves there are.
func (l *Log) Size() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.Leaves))
}

// stored gives the hashes of the first n leaves, in tlog's order of storage.
func (l *Log) stored(n uint64) tlog.HashReaderFunc {
	var all []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i, k := range at {
			out[i] = all[k]
		}
		return out, nil
	})
	for i := range n {
		more, err := tlog.StoredHashes(int64(i), l.Leaves[i], read)
		check(err)
		all = append(all, more...)
	}
	return read
}

// Head is the log at a size.
func (l *Log) Head(size uint64) publiclog.Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head(size)
}

func (l *Log) head(size uint64) publiclog.Head {
	root, err := tlog.TreeHash(int64(size), l.stored(size))
	check(err)
	return publiclog.Head{Log: l.VKey(), Size: size, Root: root}
}

// Checkpoint is the signed and cosigned note of a size.
func (l *Log) Checkpoint(size uint64) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.checkpoint(size)
}

func (l *Log) checkpoint(size uint64) []byte {
	root := l.head(size).Root
	return l.Sign(fmt.Sprintf("%s\n%d\n%s\n", l.Origin, size, base64.StdEncoding.EncodeToString(root[:])))
}

// Sign signs any text as the log, and its cosigners do.
func (l *Log) Sign(text string) []byte {
	pub := l.Key.Public().(ed25519.PublicKey)
	out := text + "\n" + line(l.Origin, pub, 0x01, nil, ed25519.Sign(l.Key, []byte(text)))
	for _, c := range l.Cosigners {
		pub := c.Key.Public().(ed25519.PublicKey)
		at := binary.BigEndian.AppendUint64(nil, uint64(c.At.Unix()))
		sig := ed25519.Sign(c.Key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", c.At.Unix(), text))
		out += line(c.Name, pub, 0x04, at, sig)
	}
	return []byte(out)
}

// line is a signature line of c2sp.org/signed-note.
func line(name string, pub ed25519.PublicKey, typ byte, at, sig []byte) string {
	key, err := witness.LogKey(name, pub)
	if typ != 0x01 {
		key, err = witness.WitnessKey(name, pub)
	}
	check(err)
	var hash uint32
	_, err = fmt.Sscanf(key.ID(), "%08x", &hash)
	check(err)
	b := binary.BigEndian.AppendUint32(nil, hash)
	return "— " + name + " " + base64.StdEncoding.EncodeToString(append(append(b, at...), sig...)) + "\n"
}

// TLogProof proves leaf n at a size.
func (l *Log) TLogProof(n, size uint64) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tlogProof(n, size)
}

func (l *Log) tlogProof(n, size uint64) []byte {
	p, err := tlog.ProveRecord(int64(size), int64(n), l.stored(size))
	check(err)
	return witness.Proof{Index: n, Hashes: hashes(p), Checkpoint: l.checkpoint(size)}.Encode()
}

// Proof is what a cluster agrees on about leaf n at a size, when it had accepted from.
func (l *Log) Proof(n, size uint64, from publiclog.Head) publiclog.Proof {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := publiclog.Proof{V: 1, Log: l.VKey(), Proof: string(l.tlogProof(n, size)), Consistency: [][32]byte{}}
	if from.Log == p.Log && from.Size > 0 {
		p.From = from.Size
		if from.Size < size {
			c, err := tlog.ProveTree(int64(size), int64(from.Size), l.stored(size))
			check(err)
			p.Consistency = hashes(c)
		}
	}
	return p
}

// Files are the log's files at its present size, and every partial tile that a reader of an earlier size may ask for.
func (l *Log) Files() map[string][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	size := uint64(len(l.Leaves))
	read := l.stored(size)
	out := map[string][]byte{publiclog.CheckpointName: l.checkpoint(size)}
	for n := range int64(size) {
		for _, t := range tlog.NewTiles(8, n, n+1) {
			b, err := tlog.ReadTileData(t, read)
			check(err)
			out["log/tile/"+strings.TrimPrefix(t.Path(), "tile/8/")] = b
		}
	}
	for from := uint64(0); from < size; from += 256 {
		var b []byte
		for n := from; n < min(size, from+256); n++ {
			b = binary.BigEndian.AppendUint16(b, uint16(len(l.Leaves[n])))
			b = append(b, l.Leaves[n]...)
			t := tlog.Tile{H: 8, L: -1, N: int64(from / 256), W: int(n - from + 1)}
			out["log/tile/entries/"+strings.TrimPrefix(t.Path(), "tile/8/data/")] = slices.Clone(b)
		}
	}
	return maps.Clone(out)
}

func hashes(in []tlog.Hash) [][32]byte {
	out := make([][32]byte, len(in))
	for i, h := range in {
		out[i] = h
	}
	return out
}

func check(err error) {
	if err != nil {
		panic("publiclogtest: " + err.Error())
	}
}
