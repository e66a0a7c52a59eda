package audit_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/list/listtest"
)

const someRef = audit.AppealRef("0123456789abcdef")

// register is a cluster's register after these acts, each in a leaf of its own, and why the last did not fit.
type register struct {
	l *audittest.Log
	r audit.Register
}

func (r *register) keys(role, name string) ed25519.PublicKey {
	from := r.l.Members
	if role == audit.RoleEdge {
		from = r.l.Edges
	}
	if k, ok := from[name]; ok {
		return k.Public().(ed25519.PublicKey)
	}
	return nil
}

func (r *register) act(t *testing.T, a audit.Act) error {
	t.Helper()
	by := "ops"
	if _, ok := a.(audit.Builds); ok {
		by = ""
	}
	leaf, err := audit.NewLeaf(uint64(len(r.l.Leaves)), r.l.Now.Unix(), audit.NewAdmin(by, audittest.C1, a))
	if err != nil {
		t.Fatalf("%+v: %v", a, err)
	}
	body, err := leaf.Body()
	if err != nil {
		t.Fatal(err)
	}
	c := r.l.Cluster()
	next, err := r.r.Apply(&c, c.ID(), r.keys, leaf, body)
	if err != nil && next.Count != r.r.Count {
		t.Errorf("refused (%v), and the register has changed", err)
	}
	r.r = next
	return err
}

func (r *register) appeal() audit.Appeal {
	now := r.l.Now.Unix()
	return audit.Appeal{Ref: someRef, List: listtest.List, Entry: bytes.Repeat([]byte{7}, 16), Received: now - 3600, Due: now + 14*24*3600}
}

func (r *register) ruling() audit.Ruling {
	return audit.Ruling{Cluster: r.l.Desc.ID(), Ref: someRef, Outcome: audit.OutcomeUpheld, At: r.l.Now.Unix()}
}

func (r *register) build(role, name string, digest byte, after int64) audit.SignedBuild {
	key := r.l.Members[name]
	if role == audit.RoleEdge {
		key = r.l.Edges[name]
	}
	return audit.SignBuild(audit.Build{
		Cluster: r.l.Desc.ID(), Role: role, Name: name, Program: "cordon", Version: "v1.2.3", Digest: [32]byte{digest}, Time: r.l.Now.Unix() + after,
	}, key)
}

func builds(items ...audit.SignedBuild) audit.Act { return audit.Builds{Items: items} }

func TestTheRegisterFollowsAppealsAndBuilds(t *testing.T) {
	r := &register{l: audittest.New("register")}
	o1 := r.l.Officers[audittest.O1]
	if err := r.act(t, audit.SignRuling(r.ruling(), audittest.O1, o1)); !errors.Is(err, audit.ErrAdmin) {
		t.Errorf("a decision on an appeal that nobody registered: %v, want ErrAdmin", err)
	}
	if err := r.act(t, r.appeal()); err != nil {
		t.Fatal(err)
	}
	if err := r.act(t, r.appeal()); !errors.Is(err, audit.ErrAdmin) {
		t.Errorf("a reference a second time: %v, want ErrAdmin", err)
	}
	if r.r.Open != 1 || len(r.r.Overdue(r.appeal().Due)) != 0 || len(r.r.Overdue(r.appeal().Due+1)) != 1 {
		t.Errorf("%d open appeals, want 1, overdue the second after its day", r.r.Open)
	}
	for _, c := range []struct {
		name string
		d    audit.Decision
		want error
	}{
		{"by nobody that is an officer", audit.SignRuling(r.ruling(), "mallory", o1), audit.ErrSignature},
		{"with another officer's key", audit.SignRuling(r.ruling(), audittest.O2, o1), audit.ErrSignature},
		{"of another cluster", audit.SignRuling(func() audit.Ruling { x := r.ruling(); x.Cluster = strings.Repeat("0", 32); return x }(), audittest.O1, o1), audit.ErrAdmin},
		{"before it was received", audit.SignRuling(func() audit.Ruling { x := r.ruling(); x.At -= 7200; return x }(), audittest.O1, o1), audit.ErrAdmin},
		{"in the future", audit.SignRuling(func() audit.Ruling { x := r.ruling(); x.At += 7200; return x }(), audittest.O1, o1), audit.ErrAdmin},
		{"a good signature and a bad one", audit.SignRuling(r.ruling(), audittest.O1, o1).Countersign(audittest.O2, o1), audit.ErrSignature},
	} {
		if err := r.act(t, c.d); !errors.Is(err, c.want) {
			t.Errorf("a decision %s: %v, want %v", c.name, err, c.want)
		}
	}
	if err := r.act(t, audit.SignRuling(r.ruling(), audittest.O1, o1).Countersign(audittest.O2, r.l.Officers[audittest.O2])); err != nil {
		t.Fatal(err)
	}
	a, _ := r.r.Find(someRef)
	if r.r.Open != 0 || a.Outcome != audit.OutcomeUpheld || !slices.Equal(a.By, []string{audittest.O1, audittest.O2}) {
		t.Errorf("after the decision: %+v, %d open", a, r.r.Open)
	}
	if err := r.act(t, audit.SignRuling(r.ruling(), audittest.O1, o1)); !errors.Is(err, audit.ErrAdmin) {
		t.Errorf("a second decision: %v, want ErrAdmin", err)
	}
	if err := r.act(t, r.appeal()); !errors.Is(err, audit.ErrAdmin) {
		t.Errorf("a reference that was decided: %v, want ErrAdmin", err)
	}

	if err := r.act(t, builds(r.build(audit.RoleControl, audittest.C1, 1, 0), r.build(audit.RoleEdge, audittest.E1, 1, 0))); err != nil {
		t.Fatal(err)
	}
	other := r.build(audit.RoleEdge, audittest.E1, 2, 1)
	other.Sig = r.build(audit.RoleEdge, audittest.E2, 2, 1).Sig
	for _, c := range []struct {
		name string
		s    audit.SignedBuild
		want error
	}{
		{"again", r.build(audit.RoleEdge, audittest.E1, 1, 5), audit.ErrAdmin},
		{"older than the last", r.build(audit.RoleEdge, audittest.E1, 2, -1), audit.ErrAdmin},
		{"of the same second", r.build(audit.RoleEdge, audittest.E1, 2, 0), audit.ErrAdmin},
		{"from the future", r.build(audit.RoleEdge, audittest.E1, 2, 7200), audit.ErrAdmin},
		{"signed by another", other, audit.ErrSignature},
		{"of an edge under a control node's name", audit.SignBuild(audit.Build{Cluster: r.l.Desc.ID(), Role: audit.RoleControl, Name: audittest.E1, Program: "cordon", Digest: [32]byte{1}}, r.l.Edges[audittest.E1]), audit.ErrAdmin},
	} {
		if err := r.act(t, builds(c.s)); !errors.Is(err, c.want) {
			t.Errorf("a build %s: %v, want %v", c.name, err, c.want)
		}
	}
	for i := range byte(audit.MaxBuildsADay - 1) {
		if err := r.act(t, builds(r.build(audit.RoleEdge, audittest.E1, 10+i, int64(i)+1))); err != nil {
			t.Fatalf("build %d of the day: %v", i+2, err)
		}
	}
	if err := r.act(t, builds(r.build(audit.RoleEdge, audittest.E1, 50, 60))); !errors.Is(err, audit.ErrAdmin) {
		t.Errorf("one more than a day's builds: %v, want ErrAdmin", err)
	}
	if b, ok := r.r.Build(audit.RoleEdge, audittest.E1); !ok || b.Digest != [32]byte{10 + audit.MaxBuildsADay - 2} {
		t.Errorf("the edge's last build is %x", b.Digest)
	}
}

func TestAnAppealHoldsNothingButItsFields(t *testing.T) {
	r := &register{l: audittest.New("form")}
	good := r.appeal()
	for _, c := range []struct {
		name string
		a    audit.Appeal
	}{
		{"a reference with a name in it", func() audit.Appeal { a := good; a.Ref = "adalovelace@test"; return a }()},
		{"a short reference", func() audit.Appeal { a := good; a.Ref = "0123"; return a }()},
		{"an entry of no list", func() audit.Appeal { a := good; a.List = ""; return a }()},
		{"an entry of 15 bytes", func() audit.Appeal { a := good; a.Entry = a.Entry[:15]; return a }()},
		{"due before it was received", func() audit.Appeal { a := good; a.Due = a.Received; return a }()},
		{"due in two years", func() audit.Appeal { a := good; a.Due += 2 * 366 * 24 * 3600; return a }()},
	} {
		if _, err := audit.NewLeaf(1, r.l.Now.Unix(), audit.NewAdmin("ops", audittest.C1, c.a)); err == nil {
			t.Errorf("%s: accepted", c.name)
		}
	}
	for _, c := range []struct {
		name string
		a    audit.Admin
	}{
		{"an appeal by nobody", audit.NewAdmin("", audittest.C1, good)},
		{"an appeal by a person with a space", audit.NewAdmin("Ada Lovelace", audittest.C1, good)},
		{"a build by a person", audit.NewAdmin("ops", audittest.C1, builds(r.build(audit.RoleEdge, audittest.E1, 1, 0)))},
		{"no builds", audit.NewAdmin("", audittest.C1, audit.Builds{})},
		{"an act that does not exist", audit.Admin{Act: "add", By: "ops", Node: audittest.C1, D: deterministic(t, good)}},
		{"fields of another act", audit.Admin{Act: audit.ActBuild, Node: audittest.C1, D: deterministic(t, good)}},
	} {
		if _, err := audit.NewLeaf(1, r.l.Now.Unix(), c.a); err == nil {
			t.Errorf("%s: accepted", c.name)
		}
	}
	leaf, err := audit.NewLeaf(1, r.l.Now.Unix(), audit.NewAdmin("ops", audittest.C1, good))
	if err != nil {
		t.Fatal(err)
	}
	b, err := audit.EncodeLeaf(leaf)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := audit.DecodeLeaf(b); err != nil || again.Describe() != leaf.Describe() {
		t.Errorf("decoded: %v, %q", err, again.Describe())
	}
	text, err := json.Marshal(leaf)
	if err != nil || !strings.Contains(string(text), `"entry":"`+hex.EncodeToString(good.Entry)) {
		t.Errorf("JSON %s (%v) lacks the entry", text, err)
	}
}

func TestAReferenceIsReadAsPeopleWriteIt(t *testing.T) {
	ref := audit.NewAppealRef()
	if again, err := audit.ParseAppealRef(strings.ToUpper(ref.String())); err != nil || again != ref {
		t.Errorf("%s comes back as %q (%v)", ref, again, err)
	}
	if got, err := audit.ParseAppealRef("Ol23-4567-89ab-cdef"); err != nil || got != someRef {
		t.Errorf("o for 0 and l for 1: %q (%v), want %q", got, err, someRef)
	}
	if _, err := audit.ParseAppealRef("0123-4567-89ab-cde"); err == nil {
		t.Error("a reference of 15 digits is taken")
	}
}

func TestAThousandAppealsAreFoundAgain(t *testing.T) {
	r := &register{l: audittest.New("many")}
	refs := make([]audit.AppealRef, 1000)
	for i := range refs {
		refs[i] = audit.NewAppealRef()
		a := r.appeal()
		a.Ref = refs[i]
		before := r.r
		if err := r.act(t, a); err != nil {
			t.Fatal(err)
		}
		if _, ok := before.Find(refs[i]); ok {
			t.Fatal("an appeal has changed the register that was there before it")
		}
	}
	for i, ref := range refs {
		if err := r.act(t, func() audit.Act { a := r.appeal(); a.Ref = ref; return a }()); !errors.Is(err, audit.ErrAdmin) {
			t.Fatalf("appeal %d again: %v", i, err)
		}
		if i%3 == 0 {
			ruling := r.ruling()
			ruling.Ref = ref
			if err := r.act(t, audit.SignRuling(ruling, audittest.O1, r.l.Officers[audittest.O1])); err != nil {
				t.Fatal(err)
			}
		}
	}
	n, last := 0, audit.AppealRef("")
	for a := range r.r.All() {
		if a.Ref <= last {
			t.Fatal("not in the order of references")
		}
		n, last = n+1, a.Ref
	}
	if n != 1000 || r.r.Count != 1000 || r.r.Open != 1000-334 {
		t.Errorf("%d appeals, %d counted, %d open", n, r.r.Count, r.r.Open)
	}
}
