package trust_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

const (
	seed   = "verify"
	mainID = match.ListID("north/main")
	sideID = match.ListID("north/side")
)

var now = trusttest.Now

// north is a hotline with the list main published at seq 1.
func north(t testing.TB, broken ...trusttest.Fault) (*trusttest.Hotline, trust.Metadata) {
	t.Helper()
	h := trusttest.New(seed, "north", now, broken...)
	return h, h.Publish(now, trusttest.Files(mainID, 1))
}

func wantReason(t *testing.T, err error, want string) {
	t.Helper()
	if got := trust.Reason(err); got != want {
		t.Fatalf("reason: got %q, want %q (error: %v)", got, want, err)
	}
	if err == nil {
		return
	}
	n := 0
	for _, sentinel := range trust.Sentinels() {
		if errors.Is(err, sentinel) {
			n++
		}
	}
	if want != "other" && n != 1 {
		t.Fatalf("error wraps %d sentinels, want exactly 1: %v", n, err)
	}
}

func TestSignedMetadataIsTrusted(t *testing.T) {
	h := trusttest.New(seed, "north", now)
	wrapped := trusttest.Files(mainID, 7)
	wrapped.Keys = map[string][]byte{"0123456789abcdef0123456789abcdef": []byte("age one"), "b": []byte("age two")}
	m := h.Publish(now, wrapped, trusttest.Files(sideID, 3))
	v, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now)
	if err != nil {
		t.Fatal(err)
	}
	if v.Hotline != "north" || v.Charter.Name != h.Charter.Name || v.CharterHash != sha256.Sum256(m.Charter) {
		t.Errorf("charter: got %+v", v.Charter)
	}
	if len(v.Lists) != 2 || v.Lists[0].List != mainID || v.Lists[1].List != sideID {
		t.Fatalf("lists: got %+v, want main and side", v.Lists)
	}
	l := v.Lists[0]
	if l.Seq != 7 || l.Prev != 6 || l.Epoch != 1 || l.CanonID != canon.ID() || l.NeverBlock != "2026-05-01" || l.Added != 3 {
		t.Errorf("list main: got %+v", l)
	}
	if l.Edge.Path != "csam/north/main.7.edge" || l.Edge.SHA256 != sha256.Sum256(wrapped.Edge) || l.Edge.Length != int64(len(wrapped.Edge)) {
		t.Errorf("edge list: got %+v", l.Edge)
	}
	if l.Audit.Path != "csam/north/main.7.audit" || l.Audit.SHA256 != sha256.Sum256(wrapped.Audit) {
		t.Errorf("auditor list: got %+v", l.Audit)
	}
	if len(l.Keys) != 2 || l.Keys[1].Cluster != "b" || l.Keys[1].Path != "csam/north/keys.main.1.b.age" {
		t.Errorf("wrapped keys: got %+v", l.Keys)
	}
	if want := []trust.Count{{Kind: "domain", N: 2}, {Kind: "host", N: 1}}; !slices.Equal(l.Counts, want) {
		t.Errorf("counts: got %v, want %v", l.Counts, want)
	}
	if want := []trust.BasisCount{{Basis: "law", N: 1}, {Basis: "voluntary", N: 2}}; !slices.Equal(l.Bases, want) {
		t.Errorf("bases: got %v, want %v", l.Bases, want)
	}
	if want := []string{"canary.north.test"}; !slices.Equal(l.Canaries, want) {
		t.Errorf("canaries: got %v, want %v", l.Canaries, want)
	}
	want := trust.HighWater{Root: 1, Timestamp: 1, Snapshot: 1, Targets: 1, List: 1, Seqs: []trust.SeqMark{{List: mainID, Seq: 7}, {List: sideID, Seq: 3}}}
	if fmt.Sprint(v.High) != fmt.Sprint(want) {
		t.Errorf("high water: got %v, want %v", v.High, want)
	}
	if want := h.OfficerKeys(); fmt.Sprint(v.Officers) != fmt.Sprint(want) {
		t.Errorf("officers: got %v, want %v", v.Officers, want)
	}
	if want := now.Add(trusttest.TimestampLife); !v.Expires.Equal(want) {
		t.Errorf("expires: got %v, want the timestamp's %v", v.Expires, want)
	}
	if !bytes.Equal(v.Root, h.Pinned) || v.Development || v.Production() != nil {
		t.Errorf("root: got development %t", v.Development)
	}
}

func TestVerifyGivesTheSameResultEveryTime(t *testing.T) {
	h, m := north(t)
	first, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now.In(time.FixedZone("elsewhere", 3600)))
		if err != nil || fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", first) {
			t.Fatalf("got %+v, %v, want %+v", again, err, first)
		}
	}
}

// Each thing that can be wrong with a publication, signed as well as whoever is to blame could sign it.
func TestBrokenPublicationsAreRefused(t *testing.T) {
	stranger, other := trusttest.Key("stranger", "1"), trusttest.Key("stranger", "2")
	null := func(role, field string) trusttest.Fault {
		return trusttest.EditRole(role, func(signed map[string]any) { signed[field] = nil })
	}
	custom := func(field string, value any) trusttest.Fault {
		return trusttest.Custom(func(c map[string]any) { c[field] = value })
	}
	tests := []struct {
		name   string
		fault  trusttest.Fault
		reason string
	}{
		{"nothing", trusttest.ListSigners(0, 2), ""},
		{"all officers signed", trusttest.ListSigners(0, 1, 2), ""},

		{"one officer of two signed", trusttest.ListSigners(1), "threshold"},
		{"the same officer signed twice", trusttest.ListSigners(1, 1), "format"},
		{"nobody signed", trusttest.ListSigners(), "signature"},
		{"strangers signed", trusttest.ListSignedBy(stranger, other), "signature"},
		{"an officer and a stranger signed", trusttest.ListSignedBy(trusttest.Key(seed, "north", "officer", "0"), stranger), "threshold"},
		{"two officers and a stranger signed", trusttest.ListSignedBy(trusttest.Key(seed, "north", "officer", "0"), trusttest.Key(seed, "north", "officer", "1"), stranger), "signature"},
		{"the online keys signed the list", trusttest.ListSignedBy(trusttest.Key(seed, "north", "snapshot"), trusttest.Key(seed, "north", "timestamp")), "signature"},
		{"flipped bit in the timestamp", trusttest.FlippedByte("timestamp"), "signature"},
		{"flipped bit in the snapshot", trusttest.FlippedByte("snapshot"), "signature"},
		{"flipped bit in the targets", trusttest.FlippedByte("targets"), "signature"},
		{"flipped bit in the list role", trusttest.FlippedByte("list"), "signature"},
		{"flipped bit in a list signature", trusttest.FlippedSignature("list"), "threshold"},
		{"flipped bit in the timestamp's signature", trusttest.FlippedSignature("timestamp"), "signature"},

		{"other scope", trusttest.Scope("copyright"), "scope"},
		{"scope in capitals", trusttest.Scope("CSAM"), "scope"},
		{"no scope", trusttest.Custom(func(c map[string]any) { delete(c, "scope") }), "scope"},
		{"no custom data", trusttest.EditRole("list", func(s map[string]any) {
			delete(s["targets"].(map[string]any)["csam/north/main.1.edge"].(map[string]any), "custom")
		}), "scope"},
		{"charter of another scope", trusttest.CharterScope("terrorism"), "scope"},
		{"charter signed by the hotline itself", trusttest.CharterByOfficers(), "signature"},
		{"charter with an unknown field", trusttest.EditCharter(func(b []byte) []byte { return bytes.Replace(b, []byte("{"), []byte(`{"also":"copyright",`), 1) }), "charter"},
		{"charter with a second scope", trusttest.EditCharter(func(b []byte) []byte { return bytes.Replace(b, []byte("{"), []byte(`{"scope":"csam",`), 1) }), "charter"},
		{"charter of another hotline", trusttest.EditCharter(func(b []byte) []byte { return bytes.Replace(b, []byte(`"north"`), []byte(`"south"`), 1) }), "path"},
		{"list of another hotline", custom("list", "south/main"), "charter"},

		{"key in two roles of the root", trusttest.RootKeyInTwoRoles(), "key_roles"},
		{"officer is a root key", trusttest.OfficerIsRootKey(seed), "key_roles"},
		{"key that no officer has any more", trusttest.EditRole("targets", func(s map[string]any) {
			role := s["delegations"].(map[string]any)["roles"].([]any)[0].(map[string]any)
			role["keyids"] = append(role["keyids"].([]any)[:0:0], role["keyids"].([]any)[:2]...)
		}), "minimum"},
		{"key under another id", trusttest.EditRole("targets", func(s map[string]any) {
			keys := s["delegations"].(map[string]any)["keys"].(map[string]any)
			for id := range keys {
				keys[strings.Repeat("0", 64)] = keys[id]
				delete(keys, id)
				break
			}
		}), "key_roles"},
		{"key of another type", trusttest.EditRole("targets", func(s map[string]any) {
			for _, k := range s["delegations"].(map[string]any)["keys"].(map[string]any) {
				k.(map[string]any)["keytype"] = "rsa"
			}
		}), "key_roles"},
		{"short public key", trusttest.EditRole("targets", func(s map[string]any) {
			for _, k := range s["delegations"].(map[string]any)["keys"].(map[string]any) {
				k.(map[string]any)["keyval"].(map[string]any)["public"] = "00"
			}
		}), "format"},

		{"list threshold of one", trusttest.ListThreshold(1), "minimum"},
		{"list threshold of none", trusttest.ListThreshold(0), "format"},
		{"list threshold above the keys", trusttest.ListThreshold(4), "minimum"},
		{"two officers in all", trusttest.FewerOfficers(2), "minimum"},
		{"accreditation threshold of one", trusttest.RootThreshold("targets", 1), "minimum"},
		{"root threshold of two", trusttest.RootThreshold("root", 2), "minimum"},
		{"timestamp valid for a year", trusttest.TimestampLives(365 * 24 * time.Hour), "minimum"},

		{"second delegation", trusttest.ExtraDelegation(), "path"},
		{"delegation of everything", trusttest.DelegatedPaths("*"), "path"},
		{"delegation of two paths", trusttest.DelegatedPaths("csam/north/*", "csam/south/*"), "path"},
		{"delegation of no path", trusttest.DelegatedPaths(), "path"},
		{"delegation that is not the last word", trusttest.NotTerminating(), "path"},
		{"delegation by hash", trusttest.EditRole("targets", func(s map[string]any) {
			role := s["delegations"].(map[string]any)["roles"].([]any)[0].(map[string]any)
			delete(role, "paths")
			role["path_hash_prefixes"] = []any{"00"}
		}), "path"},
		{"succinct delegation", trusttest.EditRole("targets", func(s map[string]any) {
			s["delegations"] = map[string]any{"keys": map[string]any{}, "succinct_roles": map[string]any{"bit_length": 1, "name_prefix": "x", "keyids": []any{}, "threshold": 1}}
		}), "path"},
		{"officers delegate further", trusttest.ListDelegates(), "path"},
		{"second target beside the charter", trusttest.EditRole("targets", func(s map[string]any) {
			targets := s["targets"].(map[string]any)
			targets["zz.json"] = targets["charter.json"]
		}), "path"},
		{"list at the root of the tree", trusttest.MovedTarget("main.1.edge"), "path"},
		{"list under another hotline", trusttest.MovedTarget("csam/south/main.1.edge"), "path"},
		{"list in a folder below", trusttest.MovedTarget("csam/north/a/main.1.edge"), "path"},
		{"list with dots in its path", trusttest.MovedTarget("csam/north/../main.1.edge"), "path"},
		{"list under another seq", trusttest.MovedTarget("csam/north/main.9.edge"), "format"},
		{"list under a padded seq", trusttest.MovedTarget("csam/north/main.01.edge"), "path"},

		{"expired timestamp", trusttest.TimestampLives(-time.Second), "expired"},
		{"timestamp expires this second", trusttest.TimestampLives(0), ""},
		{"expired snapshot", trusttest.Expires("snapshot", now), "expired"},
		{"expired targets", trusttest.Expires("targets", now.Add(-time.Hour)), "expired"},
		{"expired list role", trusttest.Expires("list", now), "expired"},
		{"expired root", trusttest.Expires("root", now), "expired"},
		{"expiry with an offset", trusttest.EditRole("list", func(s map[string]any) { s["expires"] = "2026-07-01T12:00:00+02:00" }), "format"},
		{"expiry with a fraction", trusttest.EditRole("list", func(s map[string]any) { s["expires"] = "2026-07-01T12:00:00.5Z" }), "format"},

		{"duplicate key in the timestamp", trusttest.DuplicateKey("timestamp"), "format"},
		{"duplicate key in the list role", trusttest.DuplicateKey("list"), "format"},
		{"folded key in the targets", trusttest.FoldedKey("targets"), "format"},
		{"unknown field", trusttest.EditRole("list", func(s map[string]any) { s["also"] = "x" }), "format"},
		{"field of ours", trusttest.EditRole("list", func(s map[string]any) { s["x-cordon-note"] = "x" }), ""},
		{"field of ours with a number go-tuf rounds", trusttest.EditBytes("timestamp", func(b []byte) []byte {
			b = bytes.Replace(b, []byte(`"version":1}}`), []byte(`"version":1,"x-cordon-n":9007199254740993}}`), 1)
			return trusttest.Sign(b, trusttest.Key(seed, "north", "timestamp"))
		}), "format"},
		{"null targets", null("list", "targets"), "format"},
		{"null delegations", null("targets", "delegations"), "format"},
		{"null meta", null("timestamp", "meta"), "format"},
		{"null target", trusttest.EditRole("list", func(s map[string]any) { s["targets"].(map[string]any)["csam/north/main.1.edge"] = nil }), "format"},
		{"timestamp of nothing", trusttest.EditRole("timestamp", func(s map[string]any) { s["meta"] = map[string]any{} }), "format"},
		{"snapshot without the list role", trusttest.EditRole("snapshot", func(s map[string]any) { delete(s["meta"].(map[string]any), "csam-north.json") }), "format"},
		{"snapshot of a third file", trusttest.EditRole("snapshot", func(s map[string]any) {
			meta := s["meta"].(map[string]any)
			meta["zz.json"] = meta["targets.json"]
		}), "format"},
		{"snapshot without hashes", trusttest.EditRole("snapshot", func(s map[string]any) {
			delete(s["meta"].(map[string]any)["targets.json"].(map[string]any), "hashes")
		}), "format"},
		{"snapshot with another hash", trusttest.EditRole("snapshot", func(s map[string]any) {
			s["meta"].(map[string]any)["csam-north.json"].(map[string]any)["hashes"] = map[string]any{"sha256": strings.Repeat("0", 64)}
		}), "hash"},
		{"snapshot with another length", trusttest.EditRole("snapshot", func(s map[string]any) {
			s["meta"].(map[string]any)["csam-north.json"].(map[string]any)["length"] = 5
		}), "hash"},
		{"snapshot names another version", trusttest.EditRole("snapshot", func(s map[string]any) {
			s["meta"].(map[string]any)["csam-north.json"].(map[string]any)["version"] = 2
		}), "rollback"},
		{"trailing data", trusttest.EditBytes("timestamp", func(b []byte) []byte { return append(b, '\n') }), "format"},
		{"white space", trusttest.EditBytes("timestamp", func(b []byte) []byte { return bytes.Replace(b, []byte(":"), []byte(": "), 1) }), "format"},
		{"signed part of another role", trusttest.EditRole("snapshot", func(s map[string]any) { s["_type"] = "timestamp" }), "format"},
		{"other TUF specification", trusttest.EditRole("list", func(s map[string]any) { s["spec_version"] = "2.0.0" }), "format"},
		{"root without consistent snapshots", trusttest.EditRole("root", func(s map[string]any) { s["consistent_snapshot"] = false }), "format"},
		{"sha512 instead of sha256", trusttest.EditRole("list", func(s map[string]any) {
			s["targets"].(map[string]any)["csam/north/main.1.edge"].(map[string]any)["hashes"] = map[string]any{"sha512": strings.Repeat("0", 128)}
		}), "format"},

		{"canonicalisation rules without a name", custom("canon_id", strings.Repeat("0", 62)), "format"},
		{"seq zero", custom("seq", 0), "format"},
		{"prev at seq", custom("prev", 1), "rollback"},
		{"unknown count", custom("counts", map[string]any{"address": 1}), "format"},
		{"unknown legal basis", custom("bases", map[string]any{"copyright": 1}), "format"},
		{"legal basis of no entries", custom("bases", map[string]any{"law": 0}), "format"},
		{"legal basis of a fraction", custom("bases", map[string]any{"law": 1.5}), "format"},
		{"legal bases that are no object", custom("bases", []any{"law"}), "format"},
		{"more entries of a legal basis than a list may have", custom("bases", map[string]any{"law": 32<<20 + 1}), "format"},
		{"canary that is no host", custom("canaries", []any{"Canary.North.test"}), "format"},
		{"unknown field in custom data", custom("also", "x"), "format"},
		{"fraction", custom("added", 1.5), "format"},
		{"list of two gibibytes", trusttest.EditRole("list", func(s map[string]any) {
			s["targets"].(map[string]any)["csam/north/main.1.edge"].(map[string]any)["length"] = 2 << 30
		}), "too_large"},
		{"no auditor list", trusttest.EditRole("list", func(s map[string]any) { delete(s["targets"].(map[string]any), "csam/north/main.1.audit") }), "format"},
		{"auditor list of another seq", trusttest.EditRole("list", func(s map[string]any) {
			targets := s["targets"].(map[string]any)
			targets["csam/north/main.2.audit"] = targets["csam/north/main.1.audit"]
		}), "format"},
		{"keys of another epoch", trusttest.EditRole("list", func(s map[string]any) {
			targets := s["targets"].(map[string]any)
			targets["csam/north/keys.main.2.x.age"] = targets["csam/north/main.1.audit"]
		}), "format"},
		{"file of no list", trusttest.EditRole("list", func(s map[string]any) {
			targets := s["targets"].(map[string]any)
			targets["csam/north/side.1.audit"] = targets["csam/north/main.1.audit"]
		}), "format"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h, m := north(t, test.fault)
			at := now
			if test.name == "timestamp expires this second" {
				at = now.Add(-time.Second) // the control: one second before, it is still good
			}
			_, err := trust.Verify(h.Pinned, trust.HighWater{}, m, at)
			wantReason(t, err, test.reason)
		})
	}
}

// go-tuf itself lets metadata pass in the second it expires.
func TestMetadataIsExpiredInTheSecondItExpires(t *testing.T) {
	h, m := north(t)
	for _, at := range []struct {
		name   string
		now    time.Time
		reason string
	}{
		{"a second before", now.Add(trusttest.TimestampLife - time.Second), ""},
		{"that second", now.Add(trusttest.TimestampLife), "expired"},
		{"a second later", now.Add(trusttest.TimestampLife + time.Second), "expired"},
	} {
		t.Run(at.name, func(t *testing.T) {
			_, err := trust.Verify(h.Pinned, trust.HighWater{}, m, at.now)
			wantReason(t, err, at.reason)
		})
	}
}

func TestCharterOutsideOfItsTimeIsRefused(t *testing.T) {
	h := trusttest.New(seed, "north", now)
	h.Charter.ValidFrom, h.Charter.ValidTo = now.Add(time.Minute), now.Add(time.Hour)
	m := h.Publish(now, trusttest.Files(mainID, 1))
	for _, at := range []struct {
		name   string
		now    time.Time
		reason string
	}{
		{"before", now, "expired"}, {"from", now.Add(time.Minute), ""}, {"to", now.Add(time.Hour), "expired"},
	} {
		t.Run(at.name, func(t *testing.T) {
			_, err := trust.Verify(h.Pinned, trust.HighWater{}, m, at.now)
			wantReason(t, err, at.reason)
		})
	}
}

func TestCharterOtherThanTheSignedOneIsRefused(t *testing.T) {
	h, m := north(t)
	m.Charter = append(bytes.Clone(m.Charter), '\n')
	_, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now)
	wantReason(t, err, "hash")
}

func TestDevelopmentAuthorityIsToldApart(t *testing.T) {
	h, m := north(t, trusttest.Development())
	v, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now)
	if err != nil || !v.Development {
		t.Fatalf("got %+v, %v, want a verified development authority", v, err)
	}
	wantReason(t, v.Production(), "development")

	h.Mend()
	h.RotateRoot(now)
	m = h.Publish(now)
	_, err = trust.Verify(h.Pinned, trust.HighWater{}, m, now)
	wantReason(t, err, "development")
}

func TestReasonHasAWordForEveryError(t *testing.T) {
	for word, sentinel := range trust.Sentinels() {
		if got := trust.Reason(fmt.Errorf("verify: %w", sentinel)); got != word {
			t.Errorf("got %q, want %q", got, word)
		}
	}
	if got := trust.Reason(errors.New("disk full")); got != "other" {
		t.Errorf("got %q, want other", got)
	}
	if got := trust.Reason(nil); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
}

// benchmark: what a replica pays for one publication.
func BenchmarkVerify(b *testing.B) {
	h, m := north(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now); err != nil {
			b.Fatal(err)
		}
	}
}
