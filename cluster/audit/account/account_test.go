package account_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/account"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/figures"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/audit/period"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/match"
)

var update = flag.Bool("update", false, "write the golden files anew")

// example is an account made by hand, so that no change of another format changes the golden files.
func example(pass bool) *account.Document {
	at := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	when := func(hours int) period.Time { return period.Time(at.Add(time.Duration(hours) * time.Hour).Unix()) }
	kinds, bases := []period.Count{{Word: "host", N: 900}, {Word: "url", N: 90}}, []period.Count{{Word: "law", N: 600}, {Word: "voluntary", N: 390}}
	v := period.Version{Seq: 8, Leaf: 70, At: when(30), Edge: period.Hash{1}, Audit: period.Hash{2}, Index: period.Hash{3}, Kinds: kinds, Bases: bases, Added: 12, Removed: 5, Verdicts: 3}
	before := v
	before.Seq, before.Leaf, before.At = 7, 40, when(-99)
	f := &period.Facts{
		V: 1, From: when(0), To: when(24 * 92), Begin: 50, End: 120, Last: when(24 * 91),
		Leaves:      []period.Count{{Word: "publish", N: 1}, {Word: "receipts", N: 60}},
		Charters:    []period.Charter{{Hotline: "hotline-one", Charter: period.Hash{4}, Kinds: []string{"host", "url"}, Bases: []string{"law", "voluntary"}, Jurisdictions: []string{"ZZ"}, Leaf: 40, Since: when(-99)}},
		Lists:       []period.List{{List: "hotline-one/main", Before: &before, After: &v, Versions: []period.Version{v}, Added: 12, Removed: 5}},
		Refusals:    []period.Refusal{{Hotline: "hotline-one", List: "hotline-one/main", Stage: "apply", Reason: "scope", N: 2, Last: when(50)}},
		Holds:       period.Holds{Brakes: []period.Count{{Word: "growth", N: 1}}, Approved: 1},
		Withdrawals: period.Withdrawals{N: 2, Entries: 3, Reasons: []period.Count{{Word: "court", N: 1}, {Word: "error", N: 2}}, InForce: 3},
		Suppress:    period.Suppress{Orders: 1, Entries: 1, Reasons: []period.Count{{Word: "appeal", N: 1}}},
		Bypass:      period.Bypass{Orders: 1, Lifted: 1, Seconds: 620},
		Appeals:     period.Appeals{Received: 4, Decided: []period.Count{{Word: "rejected", N: 2}, {Word: "upheld", N: 1}}, Open: 1},
		Nodes:       period.Nodes{Control: []string{"c1", "c2", "c3"}, Edges: []string{"e1", "e2"}},
		Receipts:    period.Receipts{N: 60, Edges: 2, Right: 60, Last: when(24 * 91)}, Alarms: []period.Count{{Word: "disk slow", N: 1}},
		Silence: period.Silence{Seconds: 3600, From: when(100)},
		ToBlock: period.Delay{N: 2, Median: 4, P95: 9, Worst: 9}, ToLog: period.Delay{N: 2, Median: 1, P95: 2, Worst: 2},
		ToUnblock: period.Delay{N: 4, Median: 3, P95: 8, Worst: 8}, ToDecide: period.Delay{N: 3, Waiting: 1, Median: 86400, P95: 172800, Worst: 172800},
	}
	r := &audit.Report{Pass: pass, Cluster: "isp.example", Checks: []audit.Check{{Name: audit.CheckLog, Pass: true, Detail: "120 leaves hash to the checkpoint's root"}, {Name: audit.CheckReceipts, Pass: pass, Detail: "60 receipts"}},
		Notes:      []string{"edge e2 last reported at size 118"},
		Checkpoint: &audit.ReportCheckpoint{Origin: "isp.example/cordon", Size: 120, Root: "aabb", SignedBy: []string{"c1", "c3"}, Fresh: at.AddDate(0, 3, 0), Age: "1m0s"}}
	if !pass {
		r.Checks[1].Causes = []string{"edge e1 counter 7: it lets everything pass, and the log does not say so", "edge e2 counter 9: replayed, counter 9 came before it"}
		r.Checks[1].Detail = r.Checks[1].Causes[0]
	}
	return account.New(audit.Cluster{Name: "isp.example"}, r, f, []account.Review{{List: "hotline-one/main", Seq: 8, Entries: 990, Past: 3, Soon: 41, Oldest: when(-5000)}})
}

func TestThePageIsAsItWasReadLast(t *testing.T) {
	for name, d := range map[string]*account.Document{"pass": example(true), "fail": example(false)} {
		var page, data bytes.Buffer
		if err := d.WriteHTML(&page); err != nil {
			t.Fatal(err)
		}
		if err := d.WriteJSON(&data); err != nil {
			t.Fatal(err)
		}
		for ext, got := range map[string][]byte{".html": page.Bytes(), ".json": data.Bytes()} {
			path := filepath.Join("testdata", name+ext)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s changed; read it and run the test with -update", path)
			}
		}
	}
}

func TestWhatFailedStandsFirst(t *testing.T) {
	var page bytes.Buffer
	if err := example(false).WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	s := page.String()
	at := strings.Index(s, "VERIFICATION FAILED")
	if at < 0 || at > strings.Index(s, "<h2>") || !strings.Contains(s[at:strings.Index(s, "<h2>")], "it lets everything pass") {
		t.Error("the failure is not in front of the account")
	}
	if strings.Contains(s, "<strong>Verified.") {
		t.Error("it says that it was verified")
	}
}

func TestFiguresThatDoNotStandFailTheAccount(t *testing.T) {
	for _, bad := range [][]string{nil, {"edge e1, hour from 2026-07-01T00:00:00Z: signature"}} {
		d := example(true)
		n := len(d.Checks)
		sum := figures.NewSum(time.Unix(0, 0), time.Unix(1<<32, 0))
		sum.Add(figures.Figures{Edge: "e1", Hour: 3600, Seconds: 3600, Rows: []figures.Row{{List: "hotline-one/main", Basis: "law", N: 120}}})
		d.AddFigures(sum, bad)
		var page bytes.Buffer
		if err := d.WriteHTML(&page); err != nil {
			t.Fatal(err)
		}
		if d.Pass != (bad == nil) || len(d.Checks) != n+1 || !strings.Contains(page.String(), "120, give or take") || strings.Contains(page.String(), "VERIFICATION FAILED") != (bad != nil) {
			t.Errorf("%q: pass %t, %+v", bad, d.Pass, d.Checks[n])
		}
	}
}

const hostile = `"><script>alert(1)</script><img src=x onerror=y>{{.D}}</style>` + "\u202e\x00'`"

// poison puts a hostile string into every string, map key aside, that a value reaches.
func poison(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			poison(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				poison(f)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i))
		}
	case reflect.String:
		v.SetString(hostile)
	}
}

// inspect finds what a page must not have, and counts its styles.
func inspect(t *testing.T, page []byte) (styles int) {
	t.Helper()
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	elements := strings.Fields("html head meta title style body h1 p div strong dl dt dd section h2 h3 ul li table caption thead tbody tr th td")
	attributes := strings.Fields("lang charset name content http-equiv class scope")
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if !slices.Contains(elements, n.Data) {
			t.Errorf("the page has an element %s", n.Data)
		}
		if n.Data == "style" {
			styles++
		}
		for _, a := range n.Attr {
			if !slices.Contains(attributes, a.Key) || strings.Contains(a.Val, "alert") {
				t.Errorf("the page has %s %s=%q", n.Data, a.Key, a.Val)
			}
		}
	}
	return styles
}

func TestHostileTextStaysText(t *testing.T) {
	d := example(false)
	poison(reflect.ValueOf(d.Facts))
	r := &audit.Report{Checks: d.Checks, Notes: d.Notes, Checkpoint: d.Checkpoint}
	poison(reflect.ValueOf(r))
	d = account.New(audit.Cluster{Name: hostile}, r, d.Facts, []account.Review{{List: hostile}})
	var page, data bytes.Buffer
	if err := d.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	styles := inspect(t, page.Bytes())
	if styles != 1 || bytes.Count(page.Bytes(), []byte("&lt;script&gt;")) < 20 {
		t.Errorf("%d styles, the text is there %d times", styles, bytes.Count(page.Bytes(), []byte("&lt;script&gt;")))
	}
	if err := d.WriteJSON(&data); err != nil || bytes.Contains(data.Bytes(), []byte("<script")) {
		t.Errorf("JSON: %v", err)
	}
}

// The whole way: a log with something of everything, verified, accounted for.
func TestAnAccountOfALog(t *testing.T) {
	l := audittest.New("account")
	from := l.Now
	l.Publish(30)
	l.Receipts(audittest.E1, audittest.E2)
	l.Withdraw(listtest.ID(3, 1))
	l.Order(order.Suppress{List: listtest.List, Epoch: 1, Entries: []match.EntryID{listtest.ID(7, 1)}})
	l.Append(audit.Reject{Hotline: audittest.Hotline, List: listtest.List, Seq: 3, Stage: "apply", Reason: "scope", Node: "c1"})
	l.Receipts(audittest.E1)
	review := map[[32]byte]account.Review{}
	late := time.Unix(1<<32, 0)
	r, err := audit.Verify(t.Context(), bytes.NewReader(l.Bundle()), l.TrustFile(), audit.Options{Now: l.Now, Watch: &audit.Watch{
		EdgeList: func(file [32]byte, e *list.Edge) { review[file] = account.ReviewOf(e, late) },
	}})
	if err != nil || !r.Pass {
		t.Fatalf("got %v, %+v", err, r)
	}
	f, err := period.Of(slices.Values(r.Leaves()), from, l.Now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	rev := review[r.Served().Lists[0].Edge]
	if rev.Entries < 30 || rev.Past != rev.Entries || rev.Oldest != 0 {
		t.Errorf("at the end of 32 bits of seconds: got %+v, want all of them past their date", rev)
	}
	d := account.New(l.Desc, r, &f, []account.Review{rev})
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"1 list versions came into force", "1 offers were refused", "1 urgent withdrawals of 1 entries (1 error)", "took 1 entries out of force for a time in 1 orders",
		"3 of 3 receipts", "are past their review date",
	} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("it does not say %q", want)
		}
	}
}
