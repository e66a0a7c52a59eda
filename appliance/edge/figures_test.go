package edge

import (
	"bytes"
	"crypto/ed25519"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster/audit/figures"
	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/match"
)

const figureCluster = "08a0b6f4c63756b94673a288aeec45ec"

// counted is a resolver that has stopped this many names.
type counted struct {
	n   uint64
	now time.Time
}

func (c *counted) counts() []resolver.ListCount {
	return []resolver.ListCount{{List: "hotline-one/main", Basis: match.BasisLaw, N: c.n}}
}

func newReporter(c *counted) *reporter {
	r := &reporter{
		cluster: figureCluster, name: "e1", key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{4}, 32)), counts: c.counts,
		clock: func() time.Time { return c.now }, log: slog.New(slog.DiscardHandler),
	}
	r.begin()
	return r
}

func TestAnEdgeMakesOneStatementAnHour(t *testing.T) {
	c := &counted{n: 5000, now: time.Unix(1780002000+600, 0)} // ten minutes into an hour, and 5000 counted before
	r := newReporter(c)
	look := func(want int) figures.Figures {
		t.Helper()
		if err := r.look(); err != nil {
			t.Fatal(err)
		}
		if len(r.waiting) != want {
			t.Fatalf("%d statements, want %d", len(r.waiting), want)
		}
		if want == 0 {
			return figures.Figures{}
		}
		f, err := r.waiting[want-1].Figures()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	near := func(f figures.Figures, n uint64) {
		t.Helper()
		if len(f.Rows) != 1 || f.Rows[0].N+200 < n || f.Rows[0].N > n+200 { // beyond 200: 1 in 10^21
			t.Errorf("%+v, counted were %d", f.Rows, n)
		}
	}
	c.n += 1000
	look(0)
	c.now = time.Unix(1780002000+figures.Hour+1, 0)
	f := look(1)
	near(f, 1000)
	if f.Hour != 1780002000 || f.Seconds != 3000 {
		t.Errorf("hour %d, %d seconds of it, want 1780002000 and 3000", f.Hour, f.Seconds)
	}
	look(1)
	c.now = c.now.Add(-figures.Hour * time.Second) // the clock is set back: that hour has its noise
	c.n += 400
	look(1)
	c.now = c.now.Add(2*figures.Hour*time.Second + time.Second)
	f = look(2)
	near(f, 400)
	if f.Seconds != figures.Hour {
		t.Errorf("%d seconds", f.Seconds)
	}
	for range api.FigureHours + 5 {
		c.now = c.now.Add(figures.Hour * time.Second)
		if err := r.look(); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.waiting) != api.FigureHours {
		t.Errorf("%d statements wait, at most %d", len(r.waiting), api.FigureHours)
	}
}

// takingFigures is a control node as far as figures go: it answers with a code, and keeps what it was handed.
type takingFigures struct {
	*httptest.Server
	mu     sync.Mutex // guards the rest
	code   int
	handed []string
}

func takeFigures(t *testing.T) *takingFigures {
	t.Helper()
	n := &takingFigures{}
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/figures" {
			t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		n.handed = append(n.handed, string(b))
		w.WriteHeader(n.code)
	}))
	t.Cleanup(n.Close)
	return n
}

// answer has the node answer with this code from now on, and gives what it was handed until now.
func (n *takingFigures) answer(code int) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	handed := n.handed
	n.code, n.handed = code, nil
	return handed
}

// An hour has noise once: what is handed in is the same bytes until a node has taken them, and a statement that a control node can verify,
// of an hour that is over.
func TestFiguresAreHandedInUntilANodeTakesThem(t *testing.T) {
	c := &counted{now: time.Unix(1780002000, 0)}
	r := newReporter(c)
	var log bytes.Buffer
	r.log = slog.New(slog.NewTextHandler(&log, nil))
	first, second := takeFigures(t), takeFigures(t)
	r.controls = []*api.Client{api.NewClient(first.URL, nil), api.NewClient(second.URL, nil)}
	var want []string
	hour := func() {
		t.Helper()
		c.n += 1000
		c.now = c.now.Add(figures.Hour * time.Second)
		if err := r.look(); err != nil {
			t.Fatal(err)
		}
		made := r.waiting[len(r.waiting)-1]
		want = append(want, string(figures.AppendRecord(nil, made)[4:]))
	}
	send := func(what string, atFirst, atSecond int, wantFirst, wantSecond []string, left int) {
		t.Helper()
		first.answer(atFirst)
		second.answer(atSecond)
		r.send(t.Context())
		for i, got := range [][]string{first.answer(0), second.answer(0)} {
			if want := [][]string{wantFirst, wantSecond}[i]; !slices.Equal(got, want) {
				t.Errorf("%s: node %d was handed %d statements, want %d, byte for byte", what, i+1, len(got), len(want))
			}
		}
		if len(r.waiting) != left {
			t.Errorf("%s: %d statements wait, want %d", what, len(r.waiting), left)
		}
	}
	hour()
	hour()
	send("no node can take anything", http.StatusServiceUnavailable, http.StatusInternalServerError, want[:1], want[:1], 2)
	send("the second takes it", http.StatusServiceUnavailable, http.StatusOK, want, want, 0)
	send("nothing waits", http.StatusOK, http.StatusOK, nil, nil, 0)
	for i, text := range want {
		signed, err := figures.Decode([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		f, err := signed.Verify(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{4}, 32)).Public().(ed25519.PublicKey))
		if hour := int64(1780002000 + i*figures.Hour); err != nil || f.Cluster != figureCluster || f.Edge != "e1" || f.Hour != hour || f.Hour+figures.Hour > c.now.Unix() {
			t.Errorf("statement %d: %+v, %v, want the edge's of the hour %d", i, f, err, hour)
		}
	}
	if log.Len() > 0 {
		t.Errorf("said when nodes were away:\n%s", log.String())
	}

	// What a node will never take is given up with a word; it is no reason to keep the hours behind it.
	hour()
	send("refused for good", http.StatusForbidden, http.StatusOK, want[2:], nil, 0)
	if strings.Count(log.String(), "figures not taken") != 1 {
		t.Errorf("a refusal is not said:\n%s", log.String())
	}
}
