package state_test

import (
	"errors"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/state"
)

// TestNoHotlinesMetadataStandsForAnothersInASnapshot: officers of one would withdraw entries of the other.
func TestNoHotlinesMetadataStandsForAnothersInASnapshot(t *testing.T) {
	north, _ := twoHotlines(t)
	s := north.state()
	apply(t, s, north.good(listMain, 1))
	view := s.View()
	h, _ := view.Hotline("hotline-one")
	type high struct {
		Hotline string          `cbor:"hotline"`
		High    cbor.RawMessage `cbor:"high"`
	}
	var f struct {
		V       int               `cbor:"v"`
		Cluster string            `cbor:"cluster"`
		Time    int64             `cbor:"time"`
		Refused uint64            `cbor:"refused"`
		High    []high            `cbor:"high"`
		Metas   []cbor.RawMessage `cbor:"metas"`
		Files   [][][]byte        `cbor:"files"`
		Leaves  [][][]byte        `cbor:"leaves"`
	}
	if err := cbor.Unmarshal(bytesOf(t, s), &f); err != nil {
		t.Fatal(err)
	}
	last, err := audit.DecodeLeaf(f.Leaves[0][view.Size-1])
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := audit.NewLeaf(view.Size, last.T, audit.Trust{Hotline: "hotline-two", Versions: audit.VersionsOf(h.High), Metadata: h.Metadata})
	if err != nil {
		t.Fatal(err)
	}
	leaf.F = last.F
	b, err := audit.EncodeLeaf(leaf)
	if err != nil {
		t.Fatal(err)
	}
	f.Leaves[0] = append(f.Leaves[0], b)
	f.High = append(f.High, high{"hotline-two", f.High[0].High})
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := enc.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := state.Restore(north.desc, snapshot); !errors.Is(err, state.ErrSnapshot) {
		t.Errorf("restore: %v, want ErrSnapshot", err)
	}
}
