package api_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// httpTiles reads a live node's tiles for golang.org/x/mod/sumdb.
type httpTiles func(path string) (int, string)

func (httpTiles) Height() int                     { return 8 }
func (httpTiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (get httpTiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, x := range tiles {
		path := strings.Replace(x.Path(), "tile/8/", "/tile/", 1) // sumdb names the height, C2SP does not
		code, b := get(path)
		if code != http.StatusOK {
			return nil, fmt.Errorf("%s: %d", path, code)
		}
		out = append(out, []byte(b))
	}
	return out, nil
}

// vkey writes a verifier key as C2SP signed-note has it, from nothing but the key's bytes: kind 1 is Ed25519, 4 its cosignature, 6 ML-DSA-44.
func vkey(name string, kind byte, key []byte) string {
	h := sha256.Sum256(append([]byte(name+"\n"), append([]byte{kind}, key...)...))
	return fmt.Sprintf("%s+%x+%s", name, h[:4], base64.StdEncoding.EncodeToString(append([]byte{kind}, key...)))
}

// TestStandardToolsVerifyALiveNode: what the node says over HTTP is verified by transparency-dev/formats and golang.org/x/mod/sumdb, and nothing
// of this project's. The proof is the one that cordon prove writes.
func TestStandardToolsVerifyALiveNode(t *testing.T) {
	s := serve(t)
	client := s.as("", "")
	get := func(path string) (int, string) { return s.do(client, http.MethodGet, path, nil) }
	m, origin := s.c.Desc.Members[0], s.c.Desc.Origin
	plain, err := note.NewVerifier(vkey(origin, 1, m.Key))
	if err != nil {
		t.Fatal(err)
	}
	var cosigners []note.Verifier
	for _, k := range []string{vkey(origin+"/"+m.Name, 4, m.Key), vkey(origin+"/"+m.Name, 6, m.MLDSA)} {
		v, err := fnote.NewVerifierForCosignatureV1(k)
		if err != nil {
			t.Fatal(err)
		}
		cosigners = append(cosigners, v)
	}
	open := func(b []byte) (tlog.Tree, error) {
		c, _, n, err := log.ParseCheckpoint(b, origin, plain, cosigners...)
		if err != nil {
			return tlog.Tree{}, err
		}
		if len(n.Sigs) != 3 {
			return tlog.Tree{}, fmt.Errorf("%d signatures verify, want the log's, an Ed25519 and an ML-DSA-44 cosignature", len(n.Sigs))
		}
		for _, sig := range n.Sigs[1:] {
			if _, err := fnote.CoSigV1Timestamp(sig); err != nil {
				return tlog.Tree{}, err
			}
		}
		return tlog.Tree{N: int64(c.Size), Hash: tlog.Hash(c.Hash)}, nil
	}

	code, answer := get("/v1/proof/0")
	if code != http.StatusOK {
		t.Fatalf("proof: %d %s", code, answer)
	}
	var p proof.TLogProof
	if err := p.Unmarshal([]byte(answer)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(p.Marshal(), []byte(answer)) {
		t.Error("formats writes the proof in other bytes")
	}
	tree, err := open(p.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	var path tlog.RecordProof
	for _, h := range p.Hashes {
		path = append(path, h)
	}
	if err := tlog.CheckRecord(path, tree.N, tree.Hash, int64(p.Index), tlog.RecordHash(p.ExtraData)); err != nil {
		t.Errorf("the leaf in the proof: %v", err)
	}
	if err := tlog.CheckRecord(path, tree.N, tree.Hash, int64(p.Index), tlog.RecordHash(append(p.ExtraData, 0))); err == nil {
		t.Error("another leaf is proven")
	}

	// Every leaf, by tiles that sumdb itself holds to the root.
	reader := tlog.TileHashReader(tree, httpTiles(get))
	for n := range tree.N {
		hashes, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, n)})
		if err != nil {
			t.Fatalf("leaf %d: %v", n, err)
		}
		if n == int64(p.Index) && hashes[0] != tlog.RecordHash(p.ExtraData) {
			t.Error("the tile has another leaf than the proof")
		}
		r, err := tlog.ProveRecord(tree.N, n, reader)
		if err != nil {
			t.Fatalf("leaf %d: %v", n, err)
		}
		if err := tlog.CheckRecord(r, tree.N, tree.Hash, n, hashes[0]); err != nil {
			t.Errorf("leaf %d: %v", n, err)
		}
	}
	altered := httpTiles(func(path string) (int, string) {
		code, b := get(path)
		return code, string(b[0]^1) + b[1:]
	})
	if _, err := tlog.ProveRecord(tree.N, 0, tlog.TileHashReader(tree, altered)); err == nil {
		t.Error("a tile was altered and a leaf is proven by it all the same")
	}

	// One bit of the ML-DSA line, the longest, and it no longer counts.
	text := string(p.Checkpoint)
	for _, line := range strings.SplitAfter(text, "\n") {
		if len(line) > 3000 {
			flip := "A"
			if line[1500] == 'A' {
				flip = "B"
			}
			text = strings.Replace(text, line, line[:1500]+flip+line[1501:], 1)
		}
	}
	if text == string(p.Checkpoint) {
		t.Fatal("no ML-DSA line in the checkpoint")
	}
	if _, err := open([]byte(text)); err == nil {
		t.Error("an altered ML-DSA cosignature verifies")
	}
}
