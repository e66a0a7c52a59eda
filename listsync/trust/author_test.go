package trust_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/match"
)

func publicKeys(keys []ed25519.PrivateKey) []ed25519.PublicKey {
	var out []ed25519.PublicKey
	for _, k := range keys {
		out = append(out, k.Public().(ed25519.PublicKey))
	}
	return out
}

func rootSpec(h *trusttest.Hotline) trust.RootSpec {
	return trust.RootSpec{
		Version: 1, Expires: now.Add(trusttest.RootLife),
		Root: trust.Role{Threshold: 3, Keys: publicKeys(h.Root)}, Targets: trust.Role{Threshold: 2, Keys: publicKeys(h.Accreditation)},
		Snapshot:  trust.Role{Threshold: 1, Keys: []ed25519.PublicKey{h.Snapshot.Public().(ed25519.PublicKey)}},
		Timestamp: trust.Role{Threshold: 1, Keys: []ed25519.PublicKey{h.Timestamp.Public().(ed25519.PublicKey)}},
	}
}

// token stands for a PKCS#11 key: it can sign and show its public key, nothing else.
type token struct{ key ed25519.PrivateKey }

func (t token) Public() crypto.PublicKey { return t.key.Public() }
func (t token) Sign(r io.Reader, message []byte, o crypto.SignerOpts) ([]byte, error) {
	return t.key.Sign(r, message, o)
}

func TestSameSpecGivesTheSameBytes(t *testing.T) {
	h, _ := north(t)
	spec := rootSpec(h)
	first, err := trust.NewRoot(spec)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(spec.Root.Keys)
	spec.Expires = spec.Expires.Add(300 * time.Millisecond).In(time.FixedZone("elsewhere", -7200))
	second, err := trust.NewRoot(spec)
	if err != nil || !bytes.Equal(first, second) {
		t.Fatalf("got %s, %v\nwant %s", second, err, first)
	}
}

func TestSigningOrderDoesNotChangeTheFile(t *testing.T) {
	h, _ := north(t)
	unsigned, err := trust.NewRoot(rootSpec(h))
	if err != nil {
		t.Fatal(err)
	}
	sign := func(order ...int) []byte {
		b := unsigned
		for _, i := range order {
			if b, err = trust.Sign(b, token{h.Root[i]}); err != nil {
				t.Fatal(err)
			}
		}
		return b
	}
	want := sign(0, 1, 2)
	if got := sign(2, 0, 1, 2); !bytes.Equal(got, want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
	// The oracle signs by itself.
	if oracle := trusttest.Sign(unsigned, h.Root[:3]...); !bytes.Equal(want, oracle) {
		t.Errorf("got %s\nwant %s", want, oracle)
	}
	d, err := trust.Describe(want)
	if err != nil || d.Type != "root" || d.Version != 1 || len(d.Signers) != 3 || !d.Expires.Equal(now.Add(trusttest.RootLife)) {
		t.Errorf("describe: got %+v, %v", d, err)
	}
}

func TestRepositoryBuiltByTheAuthorIsTrusted(t *testing.T) {
	h, _ := north(t)
	signed := func(b []byte, err error, keys ...ed25519.PrivateKey) []byte {
		t.Helper()
		for _, k := range keys {
			if err == nil {
				b, err = trust.Sign(b, k)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b, err := trust.NewRoot(rootSpec(h))
	root := signed(b, err, h.Root[1:4]...)
	var m trust.Metadata
	m.Charter, err = trust.EncodeCharter(h.Charter)
	if err != nil {
		t.Fatal(err)
	}
	b, err = trust.NewTargets(trust.TargetsSpec{Version: 4, Expires: now.Add(time.Hour), Charter: m.Charter, Officers: trust.Role{Threshold: 2, Keys: publicKeys(h.Officers)}})
	m.Targets = signed(b, err, h.Accreditation[1:]...)
	files := trusttest.Files(mainID, 9)
	_, published := north(t)
	spec, err := trust.ReadList(published.List, "north")
	if err != nil {
		t.Fatal(err)
	}
	spec.Version, spec.Expires = 5, now.Add(time.Hour)
	spec.Lists[0].Seq, spec.Lists[0].Prev = 9, 8
	spec.Lists[0].Edge = trust.File{Path: trust.EdgePath(mainID, 9), Length: int64(len(files.Edge))}
	spec.Lists[0].Audit = trust.File{Path: trust.AuditPath(mainID, 9), Length: int64(len(files.Audit))}
	b, err = trust.NewList(spec)
	m.List = signed(b, err, h.Officers[1:]...)
	b, err = trust.NewSnapshot(6, now.Add(time.Hour), "north", m.Targets, m.List)
	m.Snapshot = signed(b, err, h.Snapshot)
	b, err = trust.NewTimestamp(7, now.Add(time.Hour), m.Snapshot)
	m.Timestamp = signed(b, err, h.Timestamp)

	v, err := trust.Verify(root, trust.HighWater{}, m, now)
	if err != nil {
		t.Fatal(err)
	}
	if v.High.Targets != 4 || v.High.List != 5 || v.High.Snapshot != 6 || v.High.Timestamp != 7 || v.Lists[0].Seq != 9 {
		t.Errorf("got %+v", v)
	}
}

func TestAuthorRefusesWhatNoVerifierTakes(t *testing.T) {
	h, m := north(t)
	root := func(change func(*trust.RootSpec)) error {
		s := rootSpec(h)
		change(&s)
		_, err := trust.NewRoot(s)
		return err
	}
	targets := func(change func(*trust.TargetsSpec)) error {
		s := trust.TargetsSpec{Version: 1, Expires: now, Charter: m.Charter, Officers: trust.Role{Threshold: 2, Keys: publicKeys(h.Officers)}}
		change(&s)
		_, err := trust.NewTargets(s)
		return err
	}
	list := func(change func(*trust.ListSpec)) error {
		s, err := trust.ReadList(m.List, "north")
		if err != nil {
			t.Fatal(err)
		}
		change(&s)
		_, err = trust.NewList(s)
		return err
	}
	tests := []struct {
		name string
		err  error
		want error
	}{
		{"root threshold of two", root(func(s *trust.RootSpec) { s.Root.Threshold = 2 }), trust.ErrMinimum},
		{"root with two keys", root(func(s *trust.RootSpec) { s.Root.Keys = s.Root.Keys[:2] }), trust.ErrMinimum},
		{"accreditation threshold of one", root(func(s *trust.RootSpec) { s.Targets.Threshold = 1 }), trust.ErrMinimum},
		{"snapshot key is a root key", root(func(s *trust.RootSpec) { s.Snapshot.Keys = s.Root.Keys[:1] }), trust.ErrKeyRoles},
		{"root version 0", root(func(s *trust.RootSpec) { s.Version = 0 }), trust.ErrFormat},
		{"no officers", targets(func(s *trust.TargetsSpec) { s.Officers.Keys = nil }), trust.ErrFormat},
		{"two officers", targets(func(s *trust.TargetsSpec) { s.Officers.Keys = s.Officers.Keys[:2] }), trust.ErrMinimum},
		{"officers' threshold of one", targets(func(s *trust.TargetsSpec) { s.Officers.Threshold = 1 }), trust.ErrMinimum},
		{"no charter", targets(func(s *trust.TargetsSpec) { s.Charter = nil }), trust.ErrCharter},
		{"list of another hotline", list(func(s *trust.ListSpec) { s.Lists[0].List = "south/main" }), trust.ErrCharter},
		{"edge list under another name", list(func(s *trust.ListSpec) { s.Lists[0].Edge.Path = "csam/north/x.1.edge" }), trust.ErrFormat},
		{"edge list elsewhere", list(func(s *trust.ListSpec) { s.Lists[0].Edge.Path = "x.1.edge" }), trust.ErrPath},
		{"more lists than there may be", list(func(s *trust.ListSpec) {
			for i := range trust.MaxLists {
				l := trusttest.Files(match.ListID("north/l"+letters(i)), 1).Target
				l.CanonID = s.Lists[0].CanonID
				l.Edge, l.Audit = trust.File{Path: trust.EdgePath(l.List, 1)}, trust.File{Path: trust.AuditPath(l.List, 1)}
				s.Lists = append(s.Lists, l)
			}
		}), trust.ErrTooLarge},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if !errors.Is(test.err, test.want) {
				t.Errorf("got %v, want %v", test.err, test.want)
			}
		})
	}
}

func letters(i int) string { return string(rune('a'+i/26)) + string(rune('a'+i%26)) }

func TestOnlyEd25519KeysSign(t *testing.T) {
	_, m := north(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trust.Sign(m.List, key); !errors.Is(err, trust.ErrKeyRoles) {
		t.Errorf("metadata: got %v, want %v", err, trust.ErrKeyRoles)
	}
	if _, err := trust.SignWithdrawal(statement(1), key); !errors.Is(err, trust.ErrKeyRoles) {
		t.Errorf("withdrawal: got %v, want %v", err, trust.ErrKeyRoles)
	}
}

// A token that signs with another key than it shows is found out before its signature is sent round.
func TestTokenThatLiesIsFoundOut(t *testing.T) {
	h, m := north(t)
	liar := lyingToken{h.Officers[0], h.Officers[1]}
	if _, err := trust.Sign(m.List, liar); !errors.Is(err, trust.ErrSignature) {
		t.Errorf("metadata: got %v, want %v", err, trust.ErrSignature)
	}
	if _, err := trust.SignWithdrawal(statement(1), liar); !errors.Is(err, trust.ErrSignature) {
		t.Errorf("withdrawal: got %v, want %v", err, trust.ErrSignature)
	}
}

type lyingToken struct{ shows, signs ed25519.PrivateKey }

func (t lyingToken) Public() crypto.PublicKey { return t.shows.Public() }
func (t lyingToken) Sign(r io.Reader, message []byte, o crypto.SignerOpts) ([]byte, error) {
	return t.signs.Sign(r, message, o)
}

func TestUnverifiedReadersAgreeWithTheFiles(t *testing.T) {
	h, m := north(t)
	if got, err := trust.ReadTimestamp(m.Timestamp); got != 1 || err != nil {
		t.Errorf("timestamp: got %d, %v", got, err)
	}
	if targets, list, err := trust.ReadSnapshot(m.Snapshot, "north"); targets != 1 || list != 1 || err != nil {
		t.Errorf("snapshot: got %d, %d, %v", targets, list, err)
	}
	if _, _, err := trust.ReadSnapshot(m.Snapshot, "south"); !errors.Is(err, trust.ErrFormat) {
		t.Errorf("snapshot of another hotline: got %v, want %v", err, trust.ErrFormat)
	}
	spec, charter, err := trust.ReadTargets(m.Targets)
	if err != nil || spec.Officers.Threshold != 2 || len(spec.Officers.Keys) != 3 || charter.Length != int64(len(m.Charter)) {
		t.Errorf("targets: got %+v, %+v, %v", spec, charter, err)
	}
	root, err := trust.ReadRoot(h.Pinned)
	if err != nil || root.Root.Threshold != 3 || len(root.Root.Keys) != 5 || root.Version != 1 {
		t.Fatalf("root: got %+v, %v", root, err)
	}
	again, err := trust.NewRoot(root)
	if err != nil || !bytes.Equal(trusttest.Sign(again, h.Root...), h.Pinned) {
		t.Errorf("root built from what was read: got %s, %v\nwant %s", again, err, h.Pinned)
	}
}
