package trust_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

// The attacks of the TUF specification (section 1.5.2) that a mirror, or a thief of some keys, can try against a client that has
// already trusted something.

// trusted is a hotline at its third publication, with what a client then knows.
func trusted(t *testing.T) (h *trusttest.Hotline, versions []trust.Metadata, v *trust.Verified) {
	t.Helper()
	h = trusttest.New(seed, "north", now)
	for seq := uint64(1); seq <= 3; seq++ {
		versions = append(versions, h.Publish(now.Add(time.Duration(seq)*time.Minute), trusttest.Files(mainID, seq), trusttest.Files(sideID, seq)))
	}
	v, err := trust.Verify(h.Pinned, trust.HighWater{}, versions[2], now)
	if err != nil {
		t.Fatal(err)
	}
	return h, versions, v
}

func TestRollbackIsRefused(t *testing.T) {
	h, versions, v := trusted(t)
	for i, m := range versions[:2] {
		if _, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now); err != nil {
			t.Fatalf("version %d alone: %v", i+1, err)
		}
		_, err := trust.Verify(h.Pinned, v.High, m, now)
		wantReason(t, err, "rollback")
	}
	if _, err := trust.Verify(h.Pinned, v.High, versions[2], now); err != nil {
		t.Errorf("the trusted version again: %v", err)
	}
}

func TestEveryVersionIsHeldAgainstItsMark(t *testing.T) {
	h, versions, v := trusted(t)
	marks := []struct {
		name  string
		raise func(*trust.HighWater)
	}{
		{"root", func(w *trust.HighWater) { w.Root++ }},
		{"timestamp", func(w *trust.HighWater) { w.Timestamp++ }},
		{"snapshot", func(w *trust.HighWater) { w.Snapshot++ }},
		{"targets", func(w *trust.HighWater) { w.Targets++ }},
		{"list role", func(w *trust.HighWater) { w.List++ }},
		{"seq", func(w *trust.HighWater) { w.Seqs[1].Seq++ }},
	}
	for _, test := range marks {
		t.Run(test.name, func(t *testing.T) {
			high := v.High
			high.Seqs = slices.Clone(high.Seqs)
			test.raise(&high)
			_, err := trust.Verify(h.Pinned, high, versions[2], now)
			wantReason(t, err, "rollback")
		})
	}
}

// The officers themselves sign an older list under newer versions of everything.
func TestOlderSequenceUnderNewerMetadataIsRefused(t *testing.T) {
	h, _, v := trusted(t)
	m := h.Publish(now, trusttest.Files(mainID, 2))
	_, err := trust.Verify(h.Pinned, v.High, m, now)
	wantReason(t, err, "rollback")
}

// A list that is published no more keeps its mark: it cannot come back older.
func TestListThatComesBackOlderIsRefused(t *testing.T) {
	h, _, v := trusted(t)
	alone := trusttest.New(seed, "north", now)
	for range 3 {
		alone.Publish(now, trusttest.Files(mainID, 4))
	}
	m := alone.Publish(now)
	v, err := trust.Verify(h.Pinned, v.High, m, now)
	if err != nil {
		t.Fatal(err)
	}
	if want := []trust.SeqMark{{List: mainID, Seq: 4}, {List: sideID, Seq: 3}}; !slices.Equal(v.High.Seqs, want) {
		t.Fatalf("marks: got %v, want %v", v.High.Seqs, want)
	}
	m = alone.Publish(now, trusttest.Files(sideID, 2))
	_, err = trust.Verify(h.Pinned, v.High, m, now)
	wantReason(t, err, "rollback")
}

// A mirror that withholds everything new can do so until the timestamp expires, and no longer.
func TestFreezeEndsWhenTheTimestampExpires(t *testing.T) {
	h, versions, v := trusted(t)
	expires := now.Add(3*time.Minute + trusttest.TimestampLife)
	if !v.Expires.Equal(expires) {
		t.Fatalf("expires: got %v, want %v", v.Expires, expires)
	}
	_, err := trust.Verify(h.Pinned, v.High, versions[2], expires)
	wantReason(t, err, "expired")
}

// A thief of the timestamp key cannot sign a freeze of a year.
func TestTimestampCannotFreezeForLong(t *testing.T) {
	for _, test := range []struct {
		life   time.Duration
		reason string
	}{{trust.MaxTimestampLife, ""}, {trust.MaxTimestampLife + time.Second, "minimum"}} {
		h, m := north(t, trusttest.TimestampLives(test.life))
		_, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now)
		wantReason(t, err, test.reason)
	}
}

func TestMixAndMatchIsRefused(t *testing.T) {
	h, versions, _ := trusted(t)
	old, current := versions[1], versions[2]
	mixes := []struct {
		name string
		mix  func(*trust.Metadata)
	}{
		{"old snapshot", func(m *trust.Metadata) { m.Snapshot = old.Snapshot }},
		{"old list role", func(m *trust.Metadata) { m.List = old.List }},
		{"old snapshot and list role", func(m *trust.Metadata) { m.Snapshot, m.List = old.Snapshot, old.List }},
		{"old timestamp", func(m *trust.Metadata) { m.Timestamp = old.Timestamp }},
	}
	for _, test := range mixes {
		t.Run(test.name, func(t *testing.T) {
			m := current
			test.mix(&m)
			_, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now)
			wantReason(t, err, "hash")
		})
	}
}

// Fast-forward: a thief of an online key signs a version so high that nothing can follow it. A step is bounded, so the hotline can
// always publish above what a thief has signed.
func TestFastForwardIsRefused(t *testing.T) {
	for _, test := range []struct {
		version int64
		reason  string
	}{{trust.MaxJump, ""}, {trust.MaxJump + 1, "too_large"}, {1<<53 - 1, "too_large"}, {1 << 53, "format"}} {
		t.Run(fmt.Sprint(test.version), func(t *testing.T) {
			h, m := north(t, trusttest.Version("timestamp", test.version))
			_, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now)
			wantReason(t, err, test.reason)
		})
	}
	h := trusttest.New(seed, "north", now)
	m := h.Publish(now, trusttest.Files(mainID, trust.MaxJump+1))
	_, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now)
	wantReason(t, err, "too_large")
}

// What a thief of the online keys signed far ahead binds nobody once those keys are replaced; the officers' versions go on counting.
func TestNewOnlineKeysUndoAFastForward(t *testing.T) {
	h, versions, v := trusted(t)
	far := versions[2]
	far.Timestamp = trusttest.Sign(trusttest.Edit(far.Timestamp, func(signed map[string]any) { signed["version"] = trust.MaxJump }), h.Timestamp)
	v, err := trust.Verify(h.Pinned, v.High, far, now)
	if err != nil || v.High.Timestamp != trust.MaxJump || v.Restarted {
		t.Fatalf("the thief's version: %v", err)
	}
	m := h.Publish(now, trusttest.Files(mainID, 4))
	_, err = trust.Verify(h.Pinned, v.High, m, now)
	wantReason(t, err, "rollback")
	h.RotateRoot(now) // both online keys are new
	m = h.Publish(now, trusttest.Files(mainID, 4))
	after, err := trust.Verify(h.Pinned, v.High, m, now)
	if err != nil || !after.Restarted || after.High.Timestamp != 5 {
		t.Fatalf("the hotline with new online keys: %v", err)
	}
	for _, back := range []trust.Metadata{far, versions[2]} {
		back.Roots = m.Roots
		_, err := trust.Verify(after.Root, after.High, back, now)
		wantReason(t, err, "signature")
	}
	older := h.Publish(now, trusttest.Files(mainID, 2))
	_, err = trust.Verify(h.Pinned, v.High, older, now)
	wantReason(t, err, "rollback")
}

// Endless data, many parts: bounded before anything is parsed.
func TestOversizedMetadataIsRefused(t *testing.T) {
	h, m := north(t)
	big := m
	big.List = bytes.Repeat([]byte("["), trust.MaxMetadata)
	_, err := trust.Verify(h.Pinned, trust.HighWater{}, big, now)
	wantReason(t, err, "too_large")

	long := m
	long.Roots = slices.Repeat([][]byte{h.Pinned}, trust.MaxRootSteps+1)
	_, err = trust.Verify(h.Pinned, trust.HighWater{}, long, now)
	wantReason(t, err, "too_large")

	_, err = trust.Verify(make([]byte, 1<<20), trust.HighWater{}, m, now)
	wantReason(t, err, "too_large")
}

func TestMissingPartIsRefused(t *testing.T) {
	h, m := north(t)
	for i, drop := range []func(*trust.Metadata){
		func(m *trust.Metadata) { m.Timestamp = nil }, func(m *trust.Metadata) { m.Snapshot = nil }, func(m *trust.Metadata) { m.Targets = nil },
		func(m *trust.Metadata) { m.List = nil }, func(m *trust.Metadata) { m.Charter = nil }, func(m *trust.Metadata) { m.Roots = [][]byte{nil} },
	} {
		part := m
		drop(&part)
		_, err := trust.Verify(h.Pinned, trust.HighWater{}, part, now)
		if got := trust.Reason(err); got != "format" {
			t.Errorf("part %d: got %q, want format", i, got)
		}
	}
}

// Another hotline of the same authority cannot stand in for this one's pinned root: the keys online are not shared.
func TestAnotherHotlineIsRefused(t *testing.T) {
	h, _ := north(t)
	south := trusttest.New(seed, "south", now)
	m := south.Publish(now, trusttest.Files("south/main", 1))
	_, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now)
	wantReason(t, err, "signature")
}

func TestRootRotationIsFollowed(t *testing.T) {
	h, before := north(t)
	v, err := trust.Verify(h.Pinned, trust.HighWater{}, before, now)
	if err != nil {
		t.Fatal(err)
	}
	h.RotateRoot(now)
	h.RotateRoot(now)
	m := h.Publish(now, trusttest.Files(mainID, 2))
	if len(m.Roots) != 2 {
		t.Fatalf("roots: got %d, want 2", len(m.Roots))
	}
	v, err = trust.Verify(h.Pinned, v.High, m, now)
	if err != nil {
		t.Fatal(err)
	}
	if v.High.Root != 3 || !bytes.Equal(v.Root, m.Roots[1]) {
		t.Fatalf("root: got version %d, want 3", v.High.Root)
	}
	t.Run("from the latest root, all roots given", func(t *testing.T) {
		if _, err := trust.Verify(v.Root, v.High, m, now); err != nil {
			t.Error(err)
		}
	})
	t.Run("from the root between", func(t *testing.T) {
		if _, err := trust.Verify(m.Roots[0], trust.HighWater{}, m, now); err != nil {
			t.Error(err)
		}
	})
	t.Run("the keys before are gone", func(t *testing.T) {
		_, err := trust.Verify(v.Root, trust.HighWater{}, before, now)
		wantReason(t, err, "signature")
	})
	t.Run("a root is left out", func(t *testing.T) {
		gap := m
		gap.Roots = m.Roots[1:]
		_, err := trust.Verify(h.Pinned, trust.HighWater{}, gap, now)
		if got := trust.Reason(err); got != "threshold" && got != "rollback" {
			t.Errorf("got %q (%v), want threshold or rollback", got, err)
		}
	})
	t.Run("a root comes twice", func(t *testing.T) {
		twice := m
		twice.Roots = [][]byte{m.Roots[0], m.Roots[0], m.Roots[1]}
		_, err := trust.Verify(h.Pinned, trust.HighWater{}, twice, now)
		wantReason(t, err, "rollback")
	})
	t.Run("without the new roots", func(t *testing.T) {
		bare := m
		bare.Roots = nil
		_, err := trust.Verify(h.Pinned, trust.HighWater{}, bare, now)
		wantReason(t, err, "signature")
	})
}

func TestRootSignedByTooFewOfEitherSideIsRefused(t *testing.T) {
	h, _ := north(t)
	old := slices.Clone(h.Root)
	h.RotateRoot(now)
	m := h.Publish(now, trusttest.Files(mainID, 2))
	fresh := h.Root
	next := trusttest.Edit(m.Roots[0], func(map[string]any) {})
	tests := []struct {
		name    string
		signers []ed25519.PrivateKey
		reason  string
	}{
		{"three of both", []ed25519.PrivateKey{old[0], old[2], old[3], fresh[1]}, ""},
		{"nobody", nil, "signature"},
		{"two of the old", []ed25519.PrivateKey{old[0], old[2], fresh[1]}, "threshold"},
		{"three of the old, two of the new", []ed25519.PrivateKey{old[1], old[2], old[3]}, "threshold"},
		{"only the one new key", []ed25519.PrivateKey{fresh[1]}, "signature"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			changed := m
			changed.Roots = [][]byte{trusttest.Sign(next, test.signers...)}
			_, err := trust.Verify(h.Pinned, trust.HighWater{}, changed, now)
			wantReason(t, err, test.reason)
		})
	}
}

func TestAnotherRootOfThePinnedVersionIsRefused(t *testing.T) {
	h, m := north(t)
	fork := trusttest.Edit(h.Pinned, func(signed map[string]any) { signed["expires"] = "2027-01-01T00:00:00Z" })
	m.Roots = [][]byte{trusttest.Sign(fork, h.Root...)}
	_, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now)
	wantReason(t, err, "signature")
}

// A byte changed anywhere must never give another result that is believed.
func TestNoFlippedBitIsBelieved(t *testing.T) {
	h := trusttest.New(seed, "north", now)
	h.RotateRoot(now)
	m := h.Publish(now, trusttest.Files(mainID, 1))
	parts := []*[]byte{&m.Roots[0], &m.Timestamp, &m.Snapshot, &m.Targets, &m.List, &m.Charter}
	for p, part := range parts {
		whole := *part
		for i := 0; i < len(whole); i += 1 + len(whole)/60 {
			changed := bytes.Clone(whole)
			changed[i] ^= 1 << (i % 8)
			*part = changed
			if _, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now); err == nil {
				t.Fatalf("part %d byte %d: believed", p, i)
			} else if trust.Reason(err) == "other" {
				t.Fatalf("part %d byte %d: no reason: %v", p, i, err)
			}
		}
		*part = whole
	}
}
