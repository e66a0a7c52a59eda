package audit_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// drawn is a request by an honest cluster's log, and what an honest hotline shows for it.
type drawn struct {
	l       *audittest.Log
	tf      audit.TrustFile
	raw     []byte
	d       audit.Drawing
	edge    *list.Edge
	audit   *list.Audit
	shown   trust.Sample
	records []int
}

func draw(t testing.TB) drawn {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	x := drawn{l: audittest.Honest("sample")}
	var err error
	x.tf, err = audit.ParseTrustFile(x.l.TrustFile())
	must(err)
	_, recipient, err := trust.NewSampleIdentity()
	must(err)
	x.raw, err = audit.NewSampleRequest(x.tf, x.l.Checkpoint(), decodeAll(t, x.l), listtest.List, 12, recipient)
	must(err)
	x.d, err = audit.OpenSampleRequest(x.tf, x.raw)
	must(err)
	in, _ := x.l.InForce.List(listtest.List)
	x.edge, err = list.OpenEdge(x.l.Files[in.Edge])
	must(err)
	x.audit, err = list.OpenAudit(x.l.Files[in.Audit])
	must(err)
	x.records, err = x.d.Records(x.edge)
	must(err)
	x.shown = trust.Sample{V: 1, List: x.d.List, Seq: x.d.Seq, Epoch: 1, Edge: x.d.Edge, Request: x.d.Request, Match: listtest.Keys(1).Match}
	for _, i := range x.records {
		r := x.edge.Record(i)
		for _, e := range listtest.Entries(40, 1) {
			if e.ID == r.EntryID {
				x.shown.Shown = append(x.shown.Shown, trust.Shown{
					Record: uint32(i), Kind: e.Kind, Expression: e.Expression, Salt: list.Salt(listtest.OpenKey(1), e.ID, e.Kind, 1),
				})
			}
		}
	}
	return x
}

func decodeAll(t testing.TB, l *audittest.Log) []audit.Leaf {
	t.Helper()
	var out []audit.Leaf
	for _, b := range l.Leaves {
		leaf, err := audit.DecodeLeaf(b)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, leaf)
	}
	return out
}

func TestAnHonestOpeningIsWhatWasDrawn(t *testing.T) {
	x := draw(t)
	if len(x.records) != 12 || x.d.Leaf+1 >= x.d.Size {
		t.Fatalf("drew %v at size %d, the version is leaf %d", x.records, x.d.Size, x.d.Leaf)
	}
	if wrong, err := audit.JudgeSample(x.d, x.edge, x.audit, x.shown); err != nil || len(wrong) > 0 {
		t.Errorf("got %q, %v", wrong, err)
	}
}

func TestAnOpeningThatIsNotWhatWasDrawnFails(t *testing.T) {
	x := draw(t)
	first := x.shown.Shown[0]
	for _, c := range []struct {
		name   string
		change func(s *trust.Sample)
		says   string
	}{
		{"an entry is missing", func(s *trust.Sample) { s.Shown = s.Shown[1:] }, "was drawn and is not shown"},
		{"an entry too many", func(s *trust.Sample) {
			extra := first
			for extra.Record = 0; slices.Contains(x.records, int(extra.Record)); extra.Record++ {
			}
			s.Shown = append([]trust.Shown{extra}, s.Shown...)
		}, "was not drawn and is shown"},
		{"another name", func(s *trust.Sample) { s.Shown[0].Kind, s.Shown[0].Expression = canon.KindHost, "harmless.test" }, "record"},
		{"another salt", func(s *trust.Sample) { s.Shown[0].Salt[0] ^= 1 }, "is what edges block and does not fit the commitment"},
		{"another key", func(s *trust.Sample) { s.Match[0] ^= 1 }, "fits only the commitment"},
		{"another request", func(s *trust.Sample) { s.Request[0] ^= 1 }, "answers another request"},
		{"another version", func(s *trust.Sample) { s.Seq++ }, "of another version"},
		{"not the canonical form", func(s *trust.Sample) { s.Shown[0].Expression = strings.ToUpper(s.Shown[0].Expression) }, "no canonical expression"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := x.shown
			s.Shown = slices.Clone(s.Shown)
			c.change(&s)
			wrong, err := audit.JudgeSample(x.d, x.edge, x.audit, s)
			if err != nil || !strings.Contains(strings.Join(wrong, "\n"), c.says) {
				t.Errorf("got %q, %v; want it to say %q", wrong, err, c.says)
			}
			for _, w := range wrong {
				if strings.Contains(w, first.Expression) || strings.Contains(w, "harmless") {
					t.Errorf("it repeats what was shown: %q", w)
				}
			}
		})
	}
}

// A hotline that wants to hide what it blocks commits to a harmless name instead: the commitment opens, and the digest that edges block is
// of something else.
func TestAnOpeningThatFitsOnlyTheCommitmentFails(t *testing.T) {
	x := draw(t)
	in, _ := x.l.InForce.List(listtest.List)
	forged := bytes.Clone(x.l.Files[in.Audit])
	i := x.records[0]
	r := x.edge.Record(i)
	old := x.audit.Commitment(i)
	x.shown.Shown[0].Kind, x.shown.Shown[0].Expression = r.Kind, harmless(r)
	c := list.Commitment(x.shown.Shown[0].Salt, x.d.List, r.EntryID, r.Kind, x.shown.Shown[0].Expression, r.Digest)
	at := bytes.Index(forged, old[:])
	copy(forged[at:], c[:])
	a, err := list.OpenAuditHead(forged)
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := audit.JudgeSample(x.d, x.edge, a, x.shown)
	if err != nil || len(wrong) != 1 || !strings.Contains(wrong[0], "fits only the commitment") {
		t.Errorf("got %q, %v", wrong, err)
	}
}

func harmless(r match.Record) string {
	switch r.Kind {
	case canon.KindURL:
		return "harmless.test/page"
	case canon.KindPrefix:
		return "harmless.test/pages"
	}
	return "harmless.test"
}

func TestARequestThatCouldHaveBeenChosenIsRefused(t *testing.T) {
	x := draw(t)
	change := func(f func(m map[string]any)) []byte {
		var m map[string]any
		if err := json.Unmarshal(x.raw, &m); err != nil {
			t.Fatal(err)
		}
		f(m)
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	other := audittest.Honest("other")
	for _, c := range []struct {
		name string
		raw  []byte
		says string
	}{
		{"another checkpoint text", change(func(m map[string]any) {
			m["checkpoint"] = strings.Replace(m["checkpoint"].(string), "\n15\n", "\n16\n", 1)
		}), "checkpoint"},
		{"a checkpoint of too few", change(func(m map[string]any) { m["checkpoint"] = string(x.l.Sign(x.l.Desc.Origin, audittest.C1)) }), "2 are needed"},
		{"a checkpoint of another log", change(func(m map[string]any) { m["checkpoint"] = string(other.Checkpoint()) }), "request for a sample"},
		{"another version number", change(func(m map[string]any) { m["seq"] = 1 }), "is of another version"},
		{"another edge list", change(func(m map[string]any) { m["edge"] = strings.Repeat("00", 32) }), "is of another version"},
		{"a leaf without proof", change(func(m map[string]any) { m["proof"] = []string{} }), "not in the checkpoint's log"},
		{"too many", change(func(m map[string]any) { m["n"] = trust.MaxSample + 1 }), "1 to 1000"},
		{"nobody's key", change(func(m map[string]any) { m["reviewer"] = "age1nobody" }), "reviewer's key"},
		{"no nonce", change(func(m map[string]any) { m["nonce"] = "" }), "nonce"},
		{"another cluster", change(func(m map[string]any) { m["cluster"] = "00" }), "it is of cluster"},
		{"an unknown field", change(func(m map[string]any) { m["records"] = []int{1} }), "unknown"},
		{"nothing", nil, "parse"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := audit.OpenSampleRequest(x.tf, c.raw); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want it to say %q", err, c.says)
			}
		})
	}
}

// An operator who makes checkpoints could try them until the draw leaves out what is to be hidden: about 20 tries for 60 entries of a list with 5 %
// wrong. So the draw needs what only the asker knows.
func TestTheCheckpointAloneDoesNotDraw(t *testing.T) {
	x := draw(t)
	again, err := audit.NewSampleRequest(x.tf, x.l.Checkpoint(), decodeAll(t, x.l), listtest.List, 12, x.d.Reviewer)
	if err != nil {
		t.Fatal(err)
	}
	d, err := audit.OpenSampleRequest(x.tf, again)
	if err != nil {
		t.Fatal(err)
	}
	if d.Size != x.d.Size || d.Seed == x.d.Seed {
		t.Errorf("the same checkpoint draws the same for everybody: size %d, seed %x", d.Size, d.Seed[:8])
	}
	if same, err := audit.OpenSampleRequest(x.tf, x.raw); err != nil || same.Seed != x.d.Seed {
		t.Errorf("the request does not draw again what it drew: %v", err)
	}
}

// Whoever makes the leaf of a version chooses its bytes, and so a checkpoint that ends with it.
func TestAVersionsOwnCheckpointDrawsNothing(t *testing.T) {
	l := audittest.New("sample")
	l.Publish(30)
	tf, err := audit.ParseTrustFile(l.TrustFile())
	if err != nil {
		t.Fatal(err)
	}
	_, recipient, err := trust.NewSampleIdentity()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.NewSampleRequest(tf, l.Checkpoint(), decodeAll(t, l), listtest.List, 5, recipient); err == nil || !strings.Contains(err.Error(), "draw from a later one") {
		t.Errorf("got %v", err)
	}
}

func TestOnlyALoggedOpeningCounts(t *testing.T) {
	x := draw(t)
	file := [32]byte{1}
	in := func(change func(o *trust.Opening)) string {
		l := audittest.Honest("sample")
		l.Open(func(o *trust.Opening) {
			o.Request, o.File, o.Count, o.Recipient = x.d.Request, file, 12, audit.RecipientHash(x.d.Reviewer)
			if change != nil {
				change(o)
			}
		}, 0, 1)
		return audit.SampleInLog(decodeAll(t, l), x.d, file, 12)
	}
	if got := in(nil); got != "" {
		t.Errorf("honest: %q", got)
	}
	for name, change := range map[string]func(o *trust.Opening){
		"another file":  func(o *trust.Opening) { o.File[0] ^= 2 },
		"another key":   func(o *trust.Opening) { o.Recipient[0] ^= 2 },
		"another count": func(o *trust.Opening) { o.Count++ },
	} {
		if got := in(change); !strings.Contains(got, "of another file, key or number") {
			t.Errorf("%s: got %q", name, got)
		}
	}
	if got := in(func(o *trust.Opening) { o.Request[0] ^= 2 }); !strings.Contains(got, "no record") {
		t.Errorf("another request: got %q", got)
	}
	if got := audit.SampleInLog(decodeAll(t, audittest.Honest("other")), x.d, file, 12); !strings.Contains(got, "a fork") {
		t.Errorf("another log: got %q", got)
	}
}

func FuzzOpenSampleRequest(f *testing.F) {
	x := draw(f)
	f.Add(x.raw)
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := audit.OpenSampleRequest(x.tf, b); err == nil && (d.Size != x.d.Size || d.Leaf != x.d.Leaf || d.N < 1) {
			t.Fatalf("believed: %+v", d)
		}
	})
}
