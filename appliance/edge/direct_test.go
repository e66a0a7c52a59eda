package edge

import (
	"crypto/ed25519"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/strict"
	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// cutOff is an edge whose control nodes still answer, whose log goes nowhere, and that has not seen a fresh checkpoint for a while.
type cutOff struct {
	*edgeDisk
	f        *follower
	mu       sync.Mutex // guards receipts, offered
	receipts []audit.SignedReceipt
	offered  [][]byte
}

func newCutOff(t *testing.T) *cutOff {
	t.Helper()
	f, e := follow(t)
	c := &cutOff{edgeDisk: e, f: f}
	honest := e.control(&c.receipts, &c.mu)
	node, _ := controlNode(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/withdrawals" {
			honest.ServeHTTP(w, r)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		b, err := strict.Encoding.Marshal(struct {
			Statements [][]byte `cbor:"statements"`
		}{c.offered})
		if err != nil {
			t.Error(err)
		}
		w.Write(b)
	}))
	f.controls = []*api.Client{node}
	c.pull()
	e.log.Now = e.log.Now.Add(directAfter + time.Second)
	return c
}

func (c *cutOff) pull() {
	c.t.Helper()
	if err := c.f.pull(c.t.Context(), c.f.controls[0]); err != nil {
		c.t.Fatal(err)
	}
}

// statement is a withdrawal of the canary, signed by these officers.
func (c *cutOff) statement(number uint64, officers ...int) ([]byte, trust.Withdrawal) {
	c.t.Helper()
	w := trust.Withdrawal{
		List: listtest.List, Entries: []match.EntryID{canaryID(c.t, c.log)}, SeqFrom: 1, SeqTo: c.log.InForce.Lists[0].Seq, Number: number,
		Issued: c.log.Now.Add(-time.Second).Unix(), Expires: c.log.Now.Add(time.Hour).Unix(), Reason: "error",
	}
	return c.log.Hotline.Withdraw(w, officers...), w
}

// offer has the control nodes hand these out, and the edge look.
func (c *cutOff) offer(raw ...[]byte) {
	c.t.Helper()
	c.mu.Lock()
	c.offered = raw
	c.mu.Unlock()
	c.f.lookForWithdrawals(c.t.Context())
}

func (c *cutOff) stopped() bool {
	return c.f.active.set.Name([]byte(listtest.Canary), uint32(c.log.Now.Unix())).Listed
}

// receipt is the edge's next one, when the cluster has been there again for a while.
func (c *cutOff) receipt() (audit.SignedReceipt, audit.Receipt) {
	c.t.Helper()
	c.pull()
	before := len(c.receipts)
	c.f.confirm(c.t.Context(), c.f.controls[0])
	c.mu.Lock()
	for _, s := range c.receipts[before:] {
		if r, err := s.Receipt(); err != nil || r.V != 1 {
			c.t.Errorf("receipt %+v, %v: the log has not had the time to take the withdrawal in", r, err)
		}
	}
	c.mu.Unlock()
	c.log.Now = c.log.Now.Add(directSettle)
	c.pull()
	c.f.confirm(c.t.Context(), c.f.controls[0])
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.receipts) == 0 {
		c.t.Fatal("no receipt")
	}
	s := c.receipts[len(c.receipts)-1]
	r, err := audit.VerifyReceipt(s, c.log.Edges[audittest.E1].Public().(ed25519.PublicKey))
	if err != nil {
		c.t.Fatal(err)
	}
	return s, r
}

func (c *cutOff) restarted() *follower {
	f := c.f
	return &follower{
		cluster: f.cluster, quorum: f.quorum, name: f.name, dir: f.dir, key: f.key, shelf: f.shelf, controls: f.controls,
		maxStale: f.maxStale, swap: func(*match.Set) {}, clock: f.clock, log: f.log,
	}
}

func TestAnEdgeTakesRemovalsWithoutAQuorum(t *testing.T) {
	c := newCutOff(t)
	if c.f.stale() <= directAfter || !c.stopped() {
		t.Fatal("the edge is not cut off, or the canary not in force")
	}
	generation := c.f.generation
	raw, w := c.statement(70, 0, 2)
	with, err := c.log.InForce.With(w)
	if err != nil {
		t.Fatal(err)
	}
	c.offer(raw)
	if c.stopped() || c.f.generation == generation {
		t.Fatal("the withdrawal was not taken")
	}
	id, _ := trust.StatementID(raw)
	s, r := c.receipt()
	if r.State != c.log.State(with) || !slices.Equal(r.Direct, [][32]byte{id}) || r.V != 2 {
		t.Errorf("receipt %+v, want the state with the withdrawal, and it named", r)
	}
	generation = c.f.generation
	c.offer(raw, raw)
	if c.f.generation != generation || len(c.f.direct) != 1 {
		t.Error("taken twice")
	}

	// It outlives a restart without anybody to ask.
	again := c.restarted()
	if ok, err := again.restore(t.Context()); !ok || err != nil {
		t.Fatalf("restore: %v, %v", ok, err)
	}
	if got := again.active.set.StateID(); got != r.State || len(again.direct) != 1 {
		t.Errorf("restored %v with %d withdrawals, want %v with one", got, len(again.direct), r.State)
	}

	// The quorum is back: the receipt is logged, then the withdrawal, and the edge lets its own go.
	c.log.Append(audit.Receipts{Items: []audit.SignedReceipt{s}})
	c.log.Cosign(w, 0, 2)
	c.pull()
	if len(c.f.direct) != 0 || c.stopped() || c.f.active.set.StateID() != c.log.State(c.log.InForce) {
		t.Error("the edge did not go over to the log's own")
	}
	if _, err := os.Stat(c.f.dir.Join(directFile)); !os.IsNotExist(err) {
		t.Errorf("it is still on disk: %v", err)
	}
	if _, r := c.receipt(); r.V != 1 || r.State != c.log.State(c.log.InForce) {
		t.Errorf("receipt %+v, want one without marks", r)
	}
	report, err := audit.Verify(t.Context(), strings.NewReader(string(c.log.Bundle())), c.log.TrustFile(), audit.Options{Now: c.log.Now})
	if err != nil || !report.Pass {
		t.Errorf("the auditor: %v, %+v", err, report)
	}
}

func TestAnEdgeTakesNothingElse(t *testing.T) {
	c := newCutOff(t)
	alone, _ := c.statement(70, 0)
	thief := trust.Withdrawal{
		List: listtest.List, Entries: []match.EntryID{canaryID(t, c.log)}, SeqFrom: 1, SeqTo: 1000, Number: 71,
		Issued: c.log.Now.Unix(), Expires: c.log.Now.Add(time.Hour).Unix(), Reason: "error",
	}
	stolen, err := trust.SignWithdrawal(thief, audittest.Key("thief"))
	if err != nil {
		t.Fatal(err)
	}
	mixed, err := trust.CosignWithdrawal(alone, audittest.Key("thief"))
	if err != nil {
		t.Fatal(err)
	}
	expired := thief
	expired.Issued, expired.Expires = c.log.Now.Add(-2*time.Hour).Unix(), c.log.Now.Add(-time.Hour).Unix()
	older := thief
	older.SeqTo = 0
	older.SeqFrom = 0
	other := thief
	other.List = "hotline-one/other"
	flipped, _ := c.statement(72, 0, 1)
	flipped[len(flipped)/2] ^= 1
	c.offer(alone, stolen, mixed, c.log.Hotline.Withdraw(expired, 0, 1), c.log.Hotline.Withdraw(older, 0, 1), c.log.Hotline.Withdraw(other, 0, 1), flipped, nil, []byte("nonsense"))
	if !c.stopped() || len(c.f.direct) != 0 {
		t.Fatalf("%d taken, want none", len(c.f.direct))
	}
	if _, r := c.receipt(); r.V != 1 || r.State != c.log.State(c.log.InForce) {
		t.Errorf("receipt %+v", r)
	}
	good, _ := c.statement(73, 0, 1)
	if c.offer(good); c.stopped() {
		t.Error("a good one was not taken; the rest proves nothing")
	}
}

func TestTheNextVersionEndsWhatWasTakenWithoutTheLog(t *testing.T) {
	c := newCutOff(t)
	raw, _ := c.statement(70, 1, 2)
	c.offer(raw)
	if c.stopped() {
		t.Fatal("not taken")
	}
	c.log.Publish(60) // with the canary, as every version
	c.pull()
	if !c.stopped() || len(c.f.direct) != 0 {
		t.Errorf("stopped %v, %d still there; want the new version as signed", c.stopped(), len(c.f.direct))
	}
	c.offer(raw)
	if !c.stopped() {
		t.Error("a withdrawal of older versions was taken against the new one")
	}
}

func TestAReceiptHasRoomForSoManyWithdrawals(t *testing.T) {
	c := newCutOff(t)
	var all [][]byte
	for i := range uint64(audit.MaxDirect + 3) {
		raw, _ := c.statement(100+i, 0, 1)
		all = append(all, raw)
	}
	c.offer(all...)
	if _, r := c.receipt(); len(r.Direct) != audit.MaxDirect {
		t.Errorf("%d named, want %d", len(r.Direct), audit.MaxDirect)
	}
}

func TestDamagedWithdrawalsOnDiskTakeNothingOutOfForce(t *testing.T) {
	c := newCutOff(t)
	raw, _ := c.statement(70, 1, 2)
	c.offer(raw)
	good, err := os.ReadFile(c.f.dir.Join(directFile))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(good); i += 11 {
		b := slices.Clone(good)
		b[i] ^= 0x10
		if err := os.WriteFile(c.f.dir.Join(directFile), b, 0o600); err != nil {
			t.Fatal(err)
		}
		again := c.restarted()
		if ok, err := again.restore(t.Context()); !ok || err != nil {
			t.Fatalf("byte %d: restore %v, %v", i, ok, err)
		}
		if len(again.direct) == 1 && !slices.Equal(again.direct[0].raw, raw) {
			t.Errorf("byte %d: another statement was brought back", i)
		}
	}
}

// The hotline's repository is asked too: for each number once, and for one that lacks a signature again.
func TestAnEdgeReadsTheHotlinesRepository(t *testing.T) {
	c := newCutOff(t)
	c.log.Withdraw(match.EntryID{9}) // number 1 of the repository, and in the log
	c.pull()
	c.log.Now = c.log.Now.Add(directAfter + time.Second)
	_, w := c.statement(2, 0)
	asked := map[string]int{}
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.URL.Path]++
		mu.Unlock()
		c.log.Hotline.ServeHTTP(w, r)
	}))
	defer server.Close()
	repo, err := fetch.NewRepository(server.URL, c.log.Hotline.ID, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	c.f.repositories = []*directSource{newDirectSource(repo, c.log.Hotline.ID)}
	c.f.log = slog.New(slog.DiscardHandler)
	c.offer()
	if !c.stopped() {
		t.Fatal("one officer alone was believed")
	}
	c.log.Hotline.Withdraw(w, 0, 1) // countersigned
	c.offer()
	if c.stopped() {
		t.Fatal("the second signature was not found")
	}
	c.offer()
	mu.Lock()
	defer mu.Unlock()
	for path, n := range asked {
		if want := map[bool]int{true: 1, false: 3}[strings.HasSuffix(path, "/1.cbor")]; n > want {
			t.Errorf("%s was asked for %d times", path, n)
		}
	}
}

// A hotline may have several lists: they are read at once from one repository.
func TestTheListsOfAHotlineAreReadAtOnce(t *testing.T) {
	c := newCutOff(t)
	server := httptest.NewServer(c.log.Hotline)
	defer server.Close()
	repo, err := fetch.NewRepository(server.URL, c.log.Hotline.ID, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	d := newDirectSource(repo, c.log.Hotline.ID)
	var wg sync.WaitGroup
	const lists = 8
	for i := range lists {
		l := c.f.opened.Lists[0]
		l.List += match.ListID(rune('a' + i))
		wg.Go(func() {
			for range 20 {
				d.read(t.Context(), l, nil, c.f.log)
			}
		})
	}
	wg.Wait()
	if len(d.next) != lists {
		t.Errorf("%d lists read, want %d", len(d.next), lists)
	}
}

// An edge that hears its cluster and cannot load the new list must not keep a withdrawn entry of the old one in force.
func TestAnEdgeThatCannotLoadTheNewListTakesRemovals(t *testing.T) {
	c := newCutOff(t)
	c.log.Renew()
	c.pull()
	before := maps.Clone(c.log.Files)
	c.log.Publish(60)
	raw, _ := c.statement(70, 0, 1)
	after := c.log.Files
	c.log.Files = before // no control node has the new version's files
	for range 3 {        // the log goes on, and the edge hears it
		c.log.Now = c.log.Now.Add(directAfter / 2)
		c.log.Renew()
		if err := c.f.pull(t.Context(), c.f.controls[0]); err == nil {
			t.Fatal("a list was loaded that nobody has")
		}
	}
	if c.f.stale() <= directAfter {
		t.Fatal("the edge does not look for withdrawals")
	}
	if c.offer(raw); c.stopped() {
		t.Error("the withdrawn entry is in force still")
	}
	c.log.Files = after
	if c.pull(); c.f.stale() > directAfter || c.f.inForce.Hash() != c.log.InForce.Hash() {
		t.Error("the new list is not in force once it is there")
	}
}
