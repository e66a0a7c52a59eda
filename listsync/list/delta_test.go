package list_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/match"
)

// version is both files of one version, open.
type version struct {
	edgeBytes, auditBytes []byte
	edge                  *list.Edge
	audit                 *list.Audit
}

func versionOf(tb testing.TB, seq uint64, entries []list.Entry, decoys ...string) version {
	tb.Helper()
	edge, audit, _, err := list.Build(listtest.Version(seq), entries, decoys, listtest.Keys(1), listtest.OpenKey(1))
	if err != nil {
		tb.Fatal(err)
	}
	e, a := open(tb, edge, audit)
	return version{edge, audit, e, a}
}

// evolve is a history: n versions, each with change entries of the one before gone, as many changed, and others come.
func evolve(tb testing.TB, n, size, change int) []version {
	tb.Helper()
	rnd := rand.New(rand.NewPCG(uint64(size), uint64(change)))
	all := listtest.Entries(size+n*change, 1)
	set, next := slices.Clone(all[:size]), size
	versions := []version{versionOf(tb, 1, set, "decoy.example.test")}
	for seq := uint64(2); seq <= uint64(n); seq++ {
		for range min(change, len(set)) {
			i := rnd.IntN(len(set))
			set = slices.Delete(set, i, i+1)
		}
		for range min(change, len(set)) {
			i := rnd.IntN(len(set))
			set[i].ReviewBy = set[i].ReviewBy.Add(-time.Hour) // the same record with another date
		}
		set = append(set, all[next:next+rnd.IntN(change+1)]...)
		if next += change; seq%3 == 0 && len(set) > 0 && change > 0 { // one comes back
			set = append(set, all[:size]...)
			slices.SortFunc(set, func(a, b list.Entry) int { return bytes.Compare(a.ID[:], b.ID[:]) })
			set = slices.CompactFunc(set, func(a, b list.Entry) bool { return a.ID == b.ID })
		}
		versions = append(versions, versionOf(tb, seq, set, "decoy.example.test"))
	}
	return versions
}

func diff(tb testing.TB, from, to version) *list.Delta {
	tb.Helper()
	d, err := list.Diff(from.edge, to.edge, to.audit)
	if err != nil {
		tb.Fatal(err)
	}
	b, err := d.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	if int64(len(b)) != d.Size() {
		tb.Errorf("file of %d bytes, Size says %d", len(b), d.Size())
	}
	again, err := list.OpenDelta(b)
	if err != nil {
		tb.Fatal(err)
	}
	return again
}

// leads checks that d makes one version of the other: both files byte for byte, and the index.
func leads(t *testing.T, what string, d *list.Delta, from, to version) {
	t.Helper()
	e, err := d.Apply(from.edge, match.Memory{})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if !bytes.Equal(e.Bytes(), to.edgeBytes) {
		t.Errorf("%s: another edge list", what)
	}
	if a, err := d.ApplyAudit(from.audit, nil); err != nil || !bytes.Equal(a, to.auditBytes) {
		t.Errorf("%s: another auditor list (%v)", what, err)
	}
	old, err := listtest.Member(from.edge, 1)
	if err != nil {
		t.Fatal(err)
	}
	want, err := match.Compile(to.edge)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := d.Recompile(old.Index, from.edge, e); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: another index (%v)", what, err)
	}
}

// TestWhatIsTakenOverMayBeWrittenElsewhere: by a writer of the caller's, piece for piece, to the places that it is told; and its error is the caller's.
func TestWhatIsTakenOverMayBeWrittenElsewhere(t *testing.T) {
	versions := evolve(t, 2, 12000, 1) // what stays at a stretch is more than a piece
	d := diff(t, versions[0], versions[1])
	var file []byte
	longest := 0
	m := match.Memory{
		Room: func(size int) ([]byte, error) { file = make([]byte, size); return file, nil },
		Write: func(b []byte, at int64) error {
			longest = max(longest, len(b))
			copy(file[at:at+int64(len(b))], b)
			return nil
		},
	}
	e, err := d.Apply(versions[0].edge, m)
	if err != nil || !bytes.Equal(e.Bytes(), versions[1].edgeBytes) {
		t.Errorf("another edge list (%v)", err)
	}
	if longest == 0 || longest > 64<<10 {
		t.Errorf("longest piece %d bytes, want at most 64 KiB: one call holds up whoever waits for this thread", longest)
	}
	full := errors.New("no space left")
	writes := 0
	m.Write = func([]byte, int64) error {
		if writes++; writes == 3 {
			return full
		}
		return nil
	}
	if _, err := d.Apply(versions[0].edge, m); !errors.Is(err, full) || writes != 3 {
		t.Errorf("error %v after %d writes, want %v after 3", err, writes, full)
	}
}

// TestDeltasLeadFromVersionToVersion walks histories of several sizes, over borders of block counts too, in single steps
// and in all merged ones.
func TestDeltasLeadFromVersionToVersion(t *testing.T) {
	for _, tt := range []struct{ size, change int }{{0, 3}, {5, 2}, {100, 4}, {107, 12}, {800, 1}, {850, 60}, {1500, 200}} {
		versions := evolve(t, 6, tt.size, tt.change)
		for i := range versions {
			var merged *list.Delta
			for j := i + 1; j < len(versions); j++ {
				step := diff(t, versions[j-1], versions[j])
				leads(t, "a step", step, versions[j-1], versions[j])
				if merged == nil {
					merged = step
					continue
				}
				var err error
				if merged, err = list.Merge(merged, step); err != nil {
					t.Fatal(err)
				}
				leads(t, "merged", merged, versions[i], versions[j])
				leads(t, "in one", diff(t, versions[i], versions[j]), versions[i], versions[j])
				b, err := merged.Encode()
				if err != nil {
					t.Fatal(err)
				}
				if merged, err = list.OpenDelta(b); err != nil {
					t.Fatalf("a merged delta does not open: %v", err)
				}
			}
		}
	}
}

// TestMergeIsTheSameInWhateverOrderStepsAreTaken: (a, b), c and a, (b, c).
func TestMergeIsTheSameInWhateverOrderStepsAreTaken(t *testing.T) {
	v := evolve(t, 4, 300, 25)
	merge := func(a, b *list.Delta) *list.Delta {
		d, err := list.Merge(a, b)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	a, b, c := diff(t, v[0], v[1]), diff(t, v[1], v[2]), diff(t, v[2], v[3])
	left, right := merge(merge(a, b), c), merge(a, merge(b, c))
	x, _ := left.Encode()
	y, _ := right.Encode()
	if !bytes.Equal(x, y) {
		t.Error("two deltas")
	}
}

func TestADeltaGoesOnItsOwnListOnly(t *testing.T) {
	v := evolve(t, 4, 60, 5)
	d := diff(t, v[0], v[1])
	if _, err := d.Apply(v[1].edge, match.Memory{}); !errors.Is(err, list.ErrBase) {
		t.Errorf("on another version: %v, want %v", err, list.ErrBase)
	}
	if _, err := d.ApplyAudit(v[1].audit, nil); !errors.Is(err, list.ErrBase) {
		t.Errorf("on another auditor list: %v, want %v", err, list.ErrBase)
	}
	if _, err := list.Merge(d, diff(t, v[2], v[3])); !errors.Is(err, list.ErrBase) {
		t.Errorf("merged over a gap: %v, want %v", err, list.ErrBase)
	}
	if _, err := list.Diff(v[1].edge, v[0].edge, v[0].audit); !errors.Is(err, list.ErrBase) {
		t.Errorf("backwards: %v, want %v", err, list.ErrBase)
	}
	rekeyed := listtest.Version(9)
	rekeyed.Epoch = 2
	edge, audit, _, err := list.Build(rekeyed, listtest.Entries(5, 1), nil, listtest.Keys(2), listtest.OpenKey(1))
	if err != nil {
		t.Fatal(err)
	}
	e, a := open(t, edge, audit)
	if _, err := list.Diff(v[0].edge, e, a); !errors.Is(err, list.ErrBase) {
		t.Errorf("over a change of keys: %v, want %v", err, list.ErrBase)
	}
	if _, err := list.Diff(v[0].edge, v[2].edge, v[1].audit); err == nil {
		t.Error("with the auditor list of another version: no error")
	}
}

// TestALyingDeltaMakesNoList changes a delta in memory and promises what it likes: only the list whose hash was promised
// comes out, and no record lies where lookups and checks would not look for it.
func TestALyingDeltaMakesNoList(t *testing.T) {
	v := evolve(t, 2, 800, 10)
	for _, tt := range []struct {
		name   string
		change func(d *list.Delta)
		want   error
	}{
		{"another result", func(d *list.Delta) { d.To[0]++ }, list.ErrHash},
		{"another seq", func(d *list.Delta) { d.Version.Seq++ }, list.ErrHash},
		{"a date changed", func(d *list.Delta) { d.Patch.Added[0].ReviewBy-- }, list.ErrHash},
		{"a gate hash changed", func(d *list.Delta) { d.Patch.Added[0].Gate++ }, list.ErrHash},
		{"a record less", func(d *list.Delta) { d.Patch.Removed = d.Patch.Removed[1:] }, nil},
		{"a record outside of its block", func(d *list.Delta) { d.Patch.Added[0].Digest[0] ^= 0x80 }, list.ErrOrder},
		{"a record out of order in its block", func(d *list.Delta) {
			d.Patch.Added[0].Digest = [16]byte{}
			d.Patch.At[0] = 1
		}, list.ErrOrder},
		{"all places moved by one", func(d *list.Delta) {
			for i := range d.Patch.At {
				d.Patch.At[i]++
			}
		}, nil},
		{"no entry id", func(d *list.Delta) { d.Patch.Added[0].EntryID = match.EntryID{} }, list.ErrFormat},
		{"a place behind the end", func(d *list.Delta) { d.Patch.At[len(d.Patch.At)-1] = 1 << 30 }, list.ErrFormat},
		{"a place twice", func(d *list.Delta) { d.Patch.At[1] = d.Patch.At[0] }, list.ErrFormat},
		{"a removal twice", func(d *list.Delta) { d.Patch.Removed[1] = d.Patch.Removed[0] }, list.ErrFormat},
		{"a removal behind the end", func(d *list.Delta) { d.Patch.Removed[len(d.Patch.Removed)-1] = 1 << 30 }, list.ErrFormat},
		{"more places than records", func(d *list.Delta) { d.Patch.At = append(d.Patch.At, 1<<20) }, list.ErrFormat},
	} {
		d := diff(t, v[0], v[1])
		tt.change(d)
		if e, err := d.Apply(v[0].edge, match.Memory{}); err == nil || e != nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, %v, want %v", tt.name, e, err, tt.want)
		}
	}
	d := diff(t, v[0], v[1])
	d.Commitments[0][0]++
	if _, err := d.ApplyAudit(v[0].audit, nil); !errors.Is(err, list.ErrHash) {
		t.Errorf("another commitment: %v, want %v", err, list.ErrHash)
	}
}

// TestDamageUnderADeltaIsFoundByVerify: untouched blocks are taken over with their hashes, so a bit that flipped in the old
// list after it was verified flips in the new one, and only Verify sees it. Whoever serves the result verifies it.
func TestDamageUnderADeltaIsFoundByVerify(t *testing.T) {
	v := evolve(t, 2, 800, 1)
	d := diff(t, v[0], v[1])
	damaged := slices.Clone(v[0].edgeBytes)
	damaged[len(damaged)-100] ^= 1
	e, err := match.OpenEdgeHead(damaged)
	if err != nil {
		t.Fatal(err)
	}
	to, err := d.Apply(e, match.Memory{})
	if err != nil {
		return // the block at the end was touched: found at once
	}
	if err := to.Verify(); !errors.Is(err, list.ErrHash) {
		t.Errorf("Verify: %v, want %v", err, list.ErrHash)
	}
}

// TestDamagedBlockStartsUnderADeltaAreAnError: a control node opens only the head of the list it has. Whatever the disk gives for the
// table of blocks, it gets an error and goes on.
func TestDamagedBlockStartsUnderADeltaAreAnError(t *testing.T) {
	all := listtest.Entries(800, 1)
	from, to := versionOf(t, 1, all), versionOf(t, 2, all[:760])
	d := diff(t, from, to)
	table := 256 + 6*64 + 64 // the first section: block starts
	for at := table; at < table+4*8; at++ {
		damaged := slices.Clone(from.edgeBytes)
		damaged[at] ^= 0x80
		e, err := match.OpenEdgeHead(damaged)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Apply(e, match.Memory{}); err == nil {
			t.Errorf("byte %d of the table damaged: no error", at-table)
		}
	}
}

// resealDelta makes the hashes of a changed delta fit again, as an attacker would.
func resealDelta(b []byte) {
	const sections = 7
	head := 256 + 64*sections + 64
	if len(b) < head {
		return
	}
	for i := range sections {
		e := b[256+64*i:]
		at, size := binary.LittleEndian.Uint64(e[8:]), binary.LittleEndian.Uint64(e[16:])
		if at <= uint64(len(b)) && size <= uint64(len(b))-at {
			sum := sha256.Sum256(b[at : at+size])
			copy(e[24:56], sum[:])
		}
	}
	sum := sha256.Sum256(b[:head-64])
	copy(b[head-64:], sum[:])
}

func smallDelta(tb testing.TB) ([]byte, version) {
	tb.Helper()
	v := evolve(tb, 2, 20, 3)
	b, err := diff(tb, v[0], v[1]).Encode()
	if err != nil {
		tb.Fatal(err)
	}
	return b, v[0]
}

// TestEveryFlippedByteOfADeltaIsRefused flips each bit of each byte; none may open. With all hashes made to fit again, what
// opens is another delta: it makes no list, or it is an auditor's commitment or root that changed, which no edge list has.
func TestEveryFlippedByteOfADeltaIsRefused(t *testing.T) {
	good, from := smallDelta(t)
	for i := range good {
		for bit := range 8 {
			good[i] ^= 1 << bit
			if _, err := list.OpenDelta(good); err == nil {
				t.Fatalf("byte %d bit %d flipped: opened", i, bit)
			}
			b := slices.Clone(good)
			good[i] ^= 1 << bit
			resealDelta(b)
			d, err := list.OpenDelta(b)
			if err != nil || bytes.Equal(b, good) {
				continue
			}
			if _, err := d.Apply(from.edge, match.Memory{}); err == nil {
				if _, err := d.ApplyAudit(from.audit, nil); err == nil {
					t.Fatalf("byte %d bit %d flipped and resealed: makes both files", i, bit)
				}
			}
		}
	}
	for n := range good {
		if _, err := list.OpenDelta(slices.Clone(good[:n])); err == nil {
			t.Fatalf("cut to %d bytes: opened", n)
		}
	}
	if _, err := list.OpenDelta(append(slices.Clone(good), make([]byte, 64)...)); err == nil {
		t.Fatal("64 bytes added: opened")
	}
}

func TestCraftedDeltaHeadsAllocateNothing(t *testing.T) {
	good, _ := smallDelta(t)
	for _, at := range []int{8, 12, 16, 36, 40, 48, 56, 64, 256 + 8, 256 + 16, 256 + 64 + 16, 256 + 128 + 16} {
		for _, v := range []uint64{0, 1, 1 << 24, 1<<31 - 1, 1 << 32, 1 << 62, 1 << 63, 1<<64 - 1, 1<<64 - 64} {
			b := slices.Clone(good)
			binary.LittleEndian.PutUint64(b[at:], v)
			resealDelta(b)
			if bytes.Equal(b, good) {
				continue
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := list.OpenDelta(b)
			runtime.ReadMemStats(&after)
			if err == nil && at != 48 { // any seq below is a seq to come from; a merge or a signature says otherwise
				t.Errorf("field at %d set to %#x: opened", at, v)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10 {
				t.Errorf("field at %d set to %#x: %d bytes allocated for a file of %d", at, v, got, len(b))
			}
		}
	}
}

func FuzzOpenDelta(f *testing.F) {
	good, from := smallDelta(f)
	f.Add(good, false)
	f.Add(good, true)
	f.Fuzz(func(t *testing.T, b []byte, fit bool) {
		b = slices.Clone(b)
		if fit {
			resealDelta(b)
		}
		d, err := list.OpenDelta(b)
		if err != nil {
			return
		}
		if again, err := d.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("opened, and its content makes another file: %v", err)
		}
		d.From, d.FromRecords = from.edge.Hash(), from.edge.Len()
		if e, err := d.Apply(from.edge, match.Memory{}); err == nil && e.Verify() != nil {
			t.Error("applied, and the result does not verify")
		}
		if e, err := d.Patch.Apply(from.edge, d.Version, match.Memory{}); err == nil && e.Verify() != nil { // whatever it promised
			t.Errorf("applied, and the result does not verify: %v", e.Verify())
		}
	})
}
