//go:build !race

// Neither another program nor a search of bytes has anything for the race detector to see.

package audit_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/crc64"
	"hash/fnv"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/dchest/siphash"
	"golang.org/x/crypto/blake2b"

	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// published is everything that an auditor, a mirror or a thief of either can have of a cluster with a list of n entries.
func published(t *testing.T, n int) (*audittest.Log, []byte) {
	t.Helper()
	l := audittest.Honest("secrecy")
	l.Publish(n)
	l.Receipts(audittest.E1, audittest.E2)
	l.Withdraw(listtest.ID(5, 1))
	l.Order(order.Suppress{List: listtest.List, Epoch: 1, Entries: []match.EntryID{listtest.ID(7, 1)}})
	l.Publish(n + 10)
	l.Return(3, nil)
	all := slices.Concat(l.Bundle(), l.Manifest(0).Encode(), l.TrustFile())
	for _, f := range l.Files { // deltas too
		all = append(all, f...)
	}
	for _, b := range staticFiles(t, l) {
		all = append(all, b...)
	}
	return l, all
}

// spellings are the ways in which a name could lie in a file without being hidden.
func spellings(name string) map[string][]byte {
	var wire, wide, tight []byte
	for label := range strings.SplitSeq(name, ".") {
		wire = append(append(wire, byte(len(label))), label...)
	}
	for _, u := range utf16.Encode([]rune(name)) {
		wide = binary.LittleEndian.AppendUint16(wide, u)
		tight = binary.BigEndian.AppendUint16(tight, u)
	}
	labels := strings.Split(name, ".")
	slices.Reverse(labels)
	backwards := []byte(name)
	slices.Reverse(backwards)
	out := map[string][]byte{
		"text": []byte(name), "DNS wire": wire, "UTF-16LE": wide, "UTF-16BE": tight, "hex": []byte(hex.EncodeToString([]byte(name))),
		"base32":           []byte(strings.ToLower(strings.TrimRight(base32.StdEncoding.EncodeToString([]byte(name)), "="))[:len(name)]),
		"labels backwards": []byte(strings.Join(labels, ".")), "backwards": backwards, "escaped": []byte(strings.ReplaceAll(url.QueryEscape(name), ".", "%2e")),
	}
	for offset := range 3 { // base64 depends on where the name begins in what is encoded
		b := base64.StdEncoding.EncodeToString(append(make([]byte, offset), name...))
		out["base64 "+string(rune('0'+offset))] = []byte(strings.ToLower(b[4 : len(b)/4*4-4]))
	}
	return out
}

func TestNothingPublishedHoldsAListedName(t *testing.T) {
	_, all := published(t, 200)
	all = bytes.ToLower(all)
	for i := 1; i < 200; i++ {
		for how, b := range spellings(listtest.Name(i)) {
			if bytes.Contains(all, b) {
				t.Errorf("%s stands there as %s", listtest.Name(i), how)
			}
		}
	}
	// The search finds what is there: the canary, whose name is public, and every spelling of a planted name.
	if !bytes.Contains(all, []byte(listtest.Canary)) {
		t.Error("the search is blind: it does not find the canary")
	}
	name := "planted-name.test"
	for how, b := range spellings(name) {
		if bytes.Contains(all, b) || len(b) < 12 {
			t.Errorf("%s of a name that is nowhere: found, or too short to tell", how)
		}
	}
	for offset := range 3 {
		text := strings.ToLower(base64.StdEncoding.EncodeToString([]byte("xyz"[:offset] + name + "behind")))
		if !strings.Contains(text, string(spellings(name)["base64 "+string(rune('0'+offset))])) {
			t.Errorf("base64 at offset %d would not be found", offset)
		}
	}
}

// windows are all runs of eight bytes: what a dictionary attack looks its guesses up in.
func windows(b []byte) map[uint64]struct{} {
	all := make(map[uint64]struct{}, len(b))
	for i := 0; i+8 <= len(b); i++ {
		all[binary.BigEndian.Uint64(b[i:])] = struct{}{}
	}
	return all
}

// thief is a dictionary attack: the true list as the dictionary, and every hash that one would try.
type thief struct {
	seen map[uint64]struct{}
	keys [][]byte // public values that somebody could have taken for a key
}

// finds reports whether a guess's hash, or its beginning, is anywhere.
func (h thief) finds(sum []byte) bool {
	_, found := h.seen[binary.BigEndian.Uint64(sum)]
	return found
}

func (h thief) number(n uint64) bool {
	return h.finds(binary.BigEndian.AppendUint64(nil, n)) || h.finds(binary.LittleEndian.AppendUint64(nil, n))
}

// recovers tries one message under all hashes without a key, and under all public keys. It gives the hash that worked, or "".
func (h thief) recovers(m []byte) string {
	s256, s1, s5, s512, s3, b2, short := sha256.Sum256(m), sha1.Sum(m), md5.Sum(m), sha512.Sum512(m), sha3.Sum256(m), blake2b.Sum256(m), sha512.Sum512_256(m)
	twice := sha256.Sum256(s256[:])
	leaf := sha256.Sum256(append([]byte{0}, m...)) // as in a Merkle tree
	for name, sum := range map[string][]byte{
		"SHA-256": s256[:], "SHA-1": s1[:], "MD5": s5[:], "SHA-512": s512[:], "SHA3-256": s3[:], "BLAKE2b": b2[:], "SHA-512/256": short[:], "SHA-256 twice": twice[:], "leaf hash": leaf[:],
	} {
		if h.finds(sum) {
			return name
		}
	}
	f := fnv.New64a()
	f.Write(m)
	for name, n := range map[string]uint64{
		"CRC-64 ISO": crc64.Checksum(m, crc64.MakeTable(crc64.ISO)), "CRC-64 ECMA": crc64.Checksum(m, ecma), "FNV-1a": f.Sum64(), "SipHash without a key": siphash.Hash(0, 0, m),
	} {
		if h.number(n) {
			return name
		}
	}
	for _, key := range h.keys {
		mac := hmac.New(sha256.New, key)
		mac.Write(m)
		if h.finds(mac.Sum(nil)) {
			return "HMAC with a public value"
		}
		k := sha256.Sum256(key)
		if h.number(siphash.Hash(binary.LittleEndian.Uint64(k[:]), binary.LittleEndian.Uint64(k[8:]), m)) {
			return "SipHash with a public value"
		}
	}
	return ""
}

var ecma = crc64.MakeTable(crc64.ECMA)

// messages are the forms in which a name could have been hashed.
func messages(expr string, entry []byte) [][]byte {
	var out [][]byte
	for _, form := range []string{expr, strings.ToUpper(expr), expr + ".", expr + "/", "." + expr, "www." + expr, "http://" + expr + "/", "https://" + expr + "/", expr + "\n", expr + "\x00"} {
		f := []byte(form)
		out = append(out, f, append([]byte{1}, f...), append([]byte{2}, f...), append(bytes.Clone(f), 1), append(bytes.Clone(f), 2))
		for _, tag := range []string{"cordon/digest/v1\n", "cordon/commitment/v1\n"} {
			name := append([]byte(tag), byte(len(listtest.List)))
			name = append(append(name, listtest.List...), 1)
			out = append(out, append([]byte(tag), f...), append(name, f...))
		}
	}
	out = append(out, spellings(expr)["DNS wire"], append(spellings(expr)["DNS wire"], 0), append(bytes.Clone(entry), expr...), append([]byte(expr), entry...))
	return out
}

func TestATrueDictionaryRecoversNothingWithoutAKey(t *testing.T) {
	const n = 500
	l, all := published(t, n)
	cur, _ := l.InForce.List(listtest.List)
	id := l.Desc.ID()
	raw, err := hex.DecodeString(id)
	if err != nil {
		t.Fatal(err)
	}
	canonID := canon.ID()
	h := thief{seen: windows(all), keys: [][]byte{
		nil, make([]byte, 32), []byte(listtest.List), []byte(audittest.Hotline), []byte(id), raw, canonID[:], cur.Edge[:], cur.Audit[:], cur.Metadata[:], cur.FilterHash[:], []byte(l.Desc.Origin), []byte("cordon"),
	}}
	head := l.Tree().Root()
	h.keys = append(h.keys, head[:])
	entries := listtest.Entries(n, 1)
	base := len(h.keys)
	guesses := 0
	for _, e := range entries {
		h.keys = append(h.keys[:base], e.ID[:])
		for _, m := range messages(e.Expression, e.ID[:]) {
			guesses++
			if how := h.recovers(m); how != "" && e.Expression != listtest.Canary {
				t.Errorf("%s is recovered by %s of %q", e.Expression, how, m)
			}
		}
	}
	t.Logf("%d guesses for %d entries, each under 13 hashes without a key and two under each of %d public values, in %d bytes", guesses, n, base+1, len(all))

	// The same attack with the keys recovers every entry: the search is not blind.
	keys, byDigest, byGate, opened := listtest.Keys(1), 0, 0, 0
	for _, e := range entries {
		class := e.Kind.Class()
		d := keys.Digest(listtest.List, class, []byte(e.Expression))
		if h.finds(d[:]) {
			byDigest++
		}
		if h.number(keys.Gate64(class, []byte(e.Expression))) {
			byGate++
		}
		c := list.Commitment(list.Salt(listtest.OpenKey(1), e.ID, e.Kind, 1), listtest.List, e.ID, e.Kind, e.Expression, d)
		if h.finds(c[:]) {
			opened++
		}
	}
	if byDigest != n || byGate != n || opened != n {
		t.Errorf("with the keys %d are recovered by digest, %d by gate hash, %d by commitment: all %d should be", byDigest, byGate, opened, n)
	}
}
