package list

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

const (
	commitmentTag = "cordon/commitment/v1\n"
	saltTag       = "cordon/salt/v1\n"
	decoyTag      = "cordon/decoy/v1\n"
)

// Salt is the opening secret of one record: HMAC-SHA-256(K_open, "cordon/salt/v1\n" || entry_id || u8 kind || u32 epoch).
// The kind is in it so that opening the steer record of a page (its host) does not open the page.
func Salt(open *[32]byte, id match.EntryID, k canon.Kind, epoch uint32) [32]byte {
	msg := append(make([]byte, 0, 64), saltTag...)
	msg = append(msg, id[:]...)
	msg = append(msg, byte(k))
	msg = binary.LittleEndian.AppendUint32(msg, epoch)
	return mac(open, msg)
}

// Commitment is SHA-256("cordon/commitment/v1\n" || salt || u8 len(list) || list || entry_id || u8 kind ||
// u16 len(expr) || expr || d). A reviewer who is shown salt, kind and expression of a record recomputes it, and d too.
func Commitment(salt [32]byte, l match.ListID, id match.EntryID, k canon.Kind, expr string, d match.Digest) [32]byte {
	msg := append(make([]byte, 0, 512), commitmentTag...)
	msg = append(msg, salt[:]...)
	msg = append(msg, byte(len(l)))
	msg = append(msg, l...)
	msg = append(msg, id[:]...)
	msg = append(msg, byte(k))
	msg = binary.LittleEndian.AppendUint16(msg, uint16(len(expr)))
	msg = append(msg, expr...)
	msg = append(msg, d[:]...)
	return sha256.Sum256(msg)
}

// decoyID is the entry id of a decoy: HMAC-SHA-256(K_open, "cordon/decoy/v1\n" || u8 len(list) || list || host)[:16].
// It is stable across versions like any entry id, and without K_open it looks like one.
func decoyID(open *[32]byte, l match.ListID, host string) match.EntryID {
	msg := append(make([]byte, 0, 512), decoyTag...)
	msg = append(msg, byte(len(l)))
	msg = append(msg, l...)
	msg = append(msg, host...)
	sum := mac(open, msg)
	return match.EntryID(sum[:16])
}

func mac(key *[32]byte, msg []byte) [32]byte {
	h := hmac.New(sha256.New, key[:])
	h.Write(msg)
	return [32]byte(h.Sum(nil))
}

// rootOf is the RFC 6962 tree hash over n leaves, each given once and in order. It keeps one hash a level.
func rootOf(n int, leaf func(i int) []byte) [32]byte {
	if n == 0 {
		return sha256.Sum256(nil) // RFC 6962, 2.1: the hash of an empty list
	}
	var stack []tlog.Hash // roots of perfect subtrees, largest first; their sizes are the set bits of the count
	for i := range n {
		stack = append(stack, tlog.RecordHash(leaf(i)))
		for full := i + 1; full&1 == 0; full >>= 1 {
			stack[len(stack)-2] = tlog.NodeHash(stack[len(stack)-2], stack[len(stack)-1])
			stack = stack[:len(stack)-1]
		}
	}
	root := stack[len(stack)-1]
	for i := len(stack) - 2; i >= 0; i-- {
		root = tlog.NodeHash(stack[i], root)
	}
	return root
}
