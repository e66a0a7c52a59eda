package witness

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// world is some witnesses on loopback TLS, each of which watches the same logs.
type world struct {
	t       *testing.T
	keepers []*Keeper
	servers []*httptest.Server
	policy  Policy
	client  *http.Client
	now     time.Time
}

func newWorld(t *testing.T, n int, logs ...Log) *world {
	w := &world{t: t, now: time.Unix(1780000000, 0)}
	pool := x509.NewCertPool()
	text := ""
	var names []string
	for i := range n {
		hand, err := NewSigner(fmt.Sprintf("w%d.example/w", i), seed(byte(60+i)))
		if err != nil {
			t.Fatal(err)
		}
		k, err := OpenKeeper(KeeperConfig{Dir: t.TempDir(), Hand: hand, Clock: func() time.Time { return w.now }})
		if err != nil {
			t.Fatal(err)
		}
		if err := k.SetLogs(logs); err != nil {
			t.Fatal(err)
		}
		s := httptest.NewTLSServer(http.StripPrefix("/prefix", k))
		t.Cleanup(s.Close)
		pool.AddCert(s.Certificate())
		w.keepers, w.servers = append(w.keepers, k), append(w.servers, s)
		names = append(names, fmt.Sprintf("w%d", i))
		text += fmt.Sprintf("witness w%d %s %s/prefix\n", i, k.Keys()[0], s.URL)
	}
	w.policy = mustPolicy(t, text+fmt.Sprintf("group most %d %s\nquorum most\n", min(2, n), strings.Join(names, " ")))
	w.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	return w
}

func (w *world) asker(tr *tree) *Asker {
	return &Asker{Policy: w.policy, HTTP: w.client, Clock: func() time.Time { return w.now },
		Prove: func(_ context.Context, old, size uint64) ([][32]byte, error) {
			return tr.consistency(int(old), int(size)), nil
		}}
}

func TestWitnessesCosignTwoLogsAsTheyGrow(t *testing.T) {
	a, b := logParty(t, "log.example/one", 1), logParty(t, "log.example/two", 2)
	logs := []Log{mustLog(t, a.vkey), mustLog(t, b.vkey)}
	w := newWorld(t, 3, logs...)
	if err := w.policy.CheckURLs(); err != nil {
		t.Fatal(err)
	}
	for i, p := range []party{a, b} {
		tr := new(tree)
		ask := w.asker(tr)
		for _, size := range []int{1, 2, 2, 7, 300} {
			for len(tr.leaves) < size {
				tr.add(fmt.Sprint(i, len(tr.leaves)))
			}
			note, answers := ask.Ask(t.Context(), sign(t, tr.text(logs[i].Origin, size), p))
			for _, one := range answers {
				if one.Err != nil || !one.At.Equal(w.now) {
					t.Fatalf("size %d: %s: %v %v", size, one.Witness.Name, one.At, one.Err)
				}
			}
			if _, co, err := w.policy.Open(note, logs[i]); err != nil || len(co.By) != 3 || !co.Fresh.Equal(w.now) {
				t.Fatalf("size %d: %v %v", size, co, err)
			}
			// asked again later, the new cosignatures take the place of the old ones
			w.now = w.now.Add(time.Minute)
			again, _ := ask.Ask(t.Context(), note)
			if _, co, err := w.policy.Open(again, logs[i]); err != nil || !co.Fresh.Equal(w.now) || len(again) != len(note) {
				t.Fatalf("renewed at size %d: %v %v, %d bytes and then %d", size, co, err, len(note), len(again))
			}
		}
		// one that remembers no size learns it from the witnesses
		tr.add("more")
		if _, answers := w.asker(tr).Ask(t.Context(), sign(t, tr.text(logs[i].Origin, 301), p)); answers[0].Err != nil {
			t.Fatal(answers[0].Err)
		}
	}
	if got := w.keepers[0].Watches(); len(got) != 2 || got[0].Size != 301 || got[1].Size != 301 {
		t.Errorf("watches %+v", got)
	}
}

// TestAnswersOfTheSpecification goes through c2sp.org/tlog-witness, add-checkpoint, sentence by sentence.
func TestAnswersOfTheSpecification(t *testing.T) {
	a := logParty(t, "log.example/one", 1)
	w := newWorld(t, 1, mustLog(t, a.vkey))
	tr := newTree(9)
	post := func(body string) (int, string, string) {
		t.Helper()
		resp, err := w.client.Post(w.servers[0].URL+"/prefix"+Path, "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header.Get("Content-Type"), string(b)
	}
	req := func(old, size int, by ...party) string {
		return string(Request{Old: uint64(old), Proof: tr.consistency(old, size), Note: sign(t, tr.text("log.example/one", size), by...)}.Encode())
	}
	other := newTree(9)
	other.add("x")
	fork := new(tree)
	for i := range 9 {
		fork.add(fmt.Sprint("fork", i))
	}
	stranger := logParty(t, "log.example/one", 7)
	unknown := logParty(t, "log.example/unknown", 8)
	for _, c := range []struct {
		name, body string
		code       int
		kind, text string
	}{
		{"first, with an old size of 0", req(0, 5, a), 200, "text/plain; charset=utf-8", "— w0.example/w "},
		{"the same again", req(5, 5, a), 200, "", "— w0.example/w "},
		{"larger", req(5, 7, a), 200, "", "— w0.example/w "},
		{"with other signatures beside it", req(7, 8, a, stranger), 200, "", "— w0.example/w "},
		{"old size is not the last", req(5, 9, a), 409, "text/x.tlog.size", "8\n"},
		{"old size 0 to ask for it", req(0, 9, a), 409, "text/x.tlog.size", "8\n"},
		{"old size beyond the checkpoint", strings.Replace(req(5, 5, a), "old 5", "old 9", 1), 400, "", "beyond"},
		{"unknown origin", string(Request{Note: sign(t, tr.text("log.example/unknown", 9), unknown)}.Encode()), 404, "", "not a log"},
		{"signed by another key", req(8, 9, stranger), 403, "", "none of its 1 keys"},
		{"proof of another tree", string(Request{Old: 8, Proof: fork.consistency(8, 9), Note: sign(t, tr.text("log.example/one", 9), a)}.Encode()), 422, "", "does not continue"},
		{"no proof", string(Request{Old: 8, Note: sign(t, tr.text("log.example/one", 9), a)}.Encode()), 422, "", "does not continue"},
		{"another root of the same size", string(Request{Old: 8, Note: sign(t, fork.text("log.example/one", 8), a)}.Encode()), 409, "text/x.tlog.size", "8\n"},
		{"a proof that is not needed", strings.Replace(req(8, 8, a), "old 8\n", "old 8\n"+strings.Repeat("A", 43)+"=\n", 1), 422, "", ""},
		{"number with a zero", strings.Replace(req(8, 9, a), "old 8", "old 08", 1), 400, "", ""},
		{"no old line", strings.Replace(req(8, 9, a), "old 8\n", "", 1), 400, "", ""},
		{"64 proof lines", "old 8\n" + strings.Repeat(strings.Repeat("A", 43)+"=\n", 64) + "\n" + string(sign(t, tr.text("log.example/one", 9), a)), 400, "", ""},
		{"no checkpoint", "old 8\n\n", 400, "", ""},
		{"nothing", "", 400, "", ""},
		{"too much", "old 8\n\n" + strings.Repeat("x", MaxRequest), 400, "", ""},
		{"and then larger still works", req(8, 9, a), 200, "", "— w0.example/w "},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, kind, body := post(c.body)
			if code != c.code || c.kind != "" && kind != c.kind || !strings.Contains(body, c.text) || strings.HasPrefix(c.kind, "text/x") && body != c.text {
				t.Errorf("got %d %s %q, want %d %s %q", code, kind, body, c.code, c.kind, c.text)
			}
		})
	}
	resp, err := w.client.Get(w.servers[0].URL + "/prefix" + Path)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", resp.StatusCode)
	}
}

func TestAWitnessRemembersOverARestart(t *testing.T) {
	a := logParty(t, "log.example/one", 1)
	log := mustLog(t, a.vkey)
	hand, err := NewSigner("w.example/w", seed(60))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	open := func() *Keeper {
		t.Helper()
		k, err := OpenKeeper(KeeperConfig{Dir: dir, Hand: hand, Clock: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		if err := k.SetLogs([]Log{log}); err != nil {
			t.Fatal(err)
		}
		return k
	}
	tr := newTree(9)
	if _, err := open().Add(Request{Note: sign(t, tr.text(log.Origin, 5), a)}); err != nil {
		t.Fatal(err)
	}
	var conflict *Conflict
	if _, err := open().Add(Request{Note: sign(t, tr.text(log.Origin, 4), a)}); !errors.As(err, &conflict) || conflict.Size != 5 {
		t.Fatalf("a smaller one after a restart: %v", err)
	}
	if _, err := open().Add(Request{Old: 5, Proof: tr.consistency(5, 9), Note: sign(t, tr.text(log.Origin, 9), a)}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, open().disk.name(log.Origin))
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"cut off": good[:len(good)-3], "empty": {}, "one bit": bytes.Replace(good, []byte("\n9\n"), []byte("\n8\n"), 1),
		"more behind": append(bytes.Clone(good), '\n'), "too long": append(bytes.Clone(good), make([]byte, maxHeadFile)...),
	} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenKeeper(KeeperConfig{Dir: dir, Hand: hand, Clock: time.Now}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTwoRequestsDoNotBothContinueOneHead is the race that the specification warns of.
func TestTwoRequestsDoNotBothContinueOneHead(t *testing.T) {
	a := logParty(t, "log.example/one", 1)
	w := newWorld(t, 1, mustLog(t, a.vkey))
	tr := newTree(40)
	results := make(chan error, 40)
	for size := 1; size <= 40; size++ {
		note := sign(t, tr.text("log.example/one", size), a)
		go func() {
			_, err := w.keepers[0].Add(Request{Note: note})
			results <- err
		}()
	}
	cosigned := 0
	for range 40 {
		if err := <-results; err == nil {
			cosigned++
		} else if !errors.As(err, new(*Conflict)) {
			t.Error(err)
		}
	}
	if cosigned != 1 {
		t.Errorf("%d checkpoints were cosigned as the first", cosigned)
	}
}

func TestAWitnessThatLiesOrIsAwayIsNamed(t *testing.T) {
	a := logParty(t, "log.example/one", 1)
	log := mustLog(t, a.vkey)
	tr := newTree(5)
	note := sign(t, tr.text(log.Origin, 5), a)
	for _, c := range []struct {
		name   string
		answer func(w *world) http.HandlerFunc
		want   string
	}{
		{"away", nil, "refused"},
		{"silent", func(*world) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() }
		}, "deadline exceeded"},
		{"signature of another text", func(x *world) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				b, _ := x.keepers[0].c.Hand.Cosign(newTree(4).text(log.Origin, 4), x.now)
				w.Write(b)
			}
		}, "signature under the name"},
		{"signature of another witness", func(x *world) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				b, _ := x.keepers[1].c.Hand.Cosign(tr.text(log.Origin, 5), x.now)
				w.Write(b)
			}
		}, "without a cosignature of key"},
		{"dated tomorrow", func(x *world) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				b, _ := x.keepers[0].c.Hand.Cosign(tr.text(log.Origin, 5), x.now.Add(24*time.Hour))
				w.Write(b)
			}
		}, "off this machine's clock"},
		{"says a larger size", func(*world) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/x.tlog.size")
				w.WriteHeader(409)
				io.WriteString(w, "900\n")
			}
		}, "has seen a longer log"},
		{"says another size for ever", func(*world) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/x.tlog.size")
				w.WriteHeader(409)
				io.WriteString(w, "3\n")
			}
		}, "has cosigned size 3"},
		{"conflict without a size", func(*world) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(409) }
		}, "without a size"},
		{"redirect", func(*world) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://other.invalid/", http.StatusTemporaryRedirect)
			}
		}, "answered 307"},
		{"much", func(*world) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 1<<20)) }
		}, "too large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 3, log)
			if c.answer == nil {
				w.servers[0].Close()
			} else {
				w.servers[0].Config.Handler = c.answer(w)
			}
			ask := w.asker(tr)
			ask.Timeout = time.Minute
			if c.name == "silent" { // the honest ones have this long, too
				ask.Timeout = 5 * time.Second
			}
			got, answers := ask.Ask(t.Context(), note)
			if answers[0].Err == nil || !strings.Contains(answers[0].Err.Error(), c.want) {
				t.Errorf("got %v, want %s", answers[0].Err, c.want)
			}
			if _, co, err := w.policy.Open(got, log); err != nil || strings.Join(co.By, " ") != "w1 w2" {
				t.Errorf("the other two: %v %v", co.By, err)
			}
		})
	}
}

func TestWhatAWitnessDoesNotWatch(t *testing.T) {
	a := logParty(t, "log.example/one", 1)
	w := newWorld(t, 1)
	tr := newTree(2)
	_, answers := w.asker(tr).Ask(t.Context(), sign(t, tr.text("log.example/one", 2), a))
	if !errors.Is(answers[0].Err, ErrUnknownLog) || !strings.Contains(answers[0].Err.Error(), "must add the log's key") {
		t.Errorf("got %v", answers[0].Err)
	}
	l := mustLog(t, a.vkey)
	if err := w.keepers[0].SetLogs([]Log{l, l}); !errors.Is(err, ErrFormat) {
		t.Errorf("a log twice: %v", err)
	}
}

func TestUsableURLs(t *testing.T) {
	v := witnessParty(t, "w.example/1", 2).vkey
	for url, ok := range map[string]bool{
		"https://w.example": true, "https://w.example:7443/x/": true, "": false, "http://w.example": false, "w.example": false,
		"https://me:secret@w.example": false, "https://w.example/?q": false, "https:///x": false,
	} {
		if err := mustPolicy(t, "witness w "+v+" "+url+"\nquorum w\n").CheckURLs(); (err == nil) != ok {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestSeenFindsALogWithTwoStories(t *testing.T) {
	a := logParty(t, "log.example/one", 1)
	log := mustLog(t, a.vkey)
	dir := t.TempDir()
	var found []Fork
	open := func() *Seen {
		t.Helper()
		found = nil
		s, err := OpenSeen(dir, time.Now, func(f Fork) { found = append(found, f) })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	tr := newTree(200)
	for size := 1; size <= 200; size++ {
		if err := s.Add(log, sign(t, tr.text(log.Origin, size), a), "us"); err != nil {
			t.Fatal(err)
		}
	}
	if heads := s.Heads(log.Origin); len(heads) != maxHeads || heads[maxHeads-1].Size != 200 {
		t.Fatalf("%d heads are kept", len(heads))
	}
	lie := new(tree)
	for i := range 190 {
		lie.add(fmt.Sprint("lie", i))
	}
	if err := s.Add(log, sign(t, lie.text(log.Origin, 190), a), "peer https://x"); !errors.Is(err, ErrFork) || len(found) != 1 {
		t.Fatalf("%v, %d forks", err, len(found))
	}
	f := found[0]
	if size, err := CheckFork(f.Key, f.First, f.Second); err != nil || size != 190 || f.Key.String() != a.vkey {
		t.Errorf("the evidence: %d %v", size, err)
	}
	if _, err := CheckFork(f.Key, f.First, f.First); !errors.Is(err, ErrFormat) {
		t.Errorf("one note twice is no evidence: %v", err)
	}
	if err := s.Add(log, sign(t, lie.text(log.Origin, 190), a), "again"); err != nil || len(found) != 1 {
		t.Errorf("the same again: %v, %d forks", err, len(found))
	}
	for size := 201; size <= 300; size++ {
		tr.add(fmt.Sprint(size))
		if err := s.Add(log, sign(t, tr.text(log.Origin, size), a), "us"); err != nil {
			t.Fatal(err)
		}
	}
	s = open()
	if len(found) != 1 || !bytes.Equal(found[0].First, f.First) || !bytes.Equal(found[0].Second, f.Second) {
		t.Errorf("after a restart: %d forks", len(found))
	}
	if n := s.Newest(); len(n) == 0 || n[len(n)-1].Size != 300 {
		t.Errorf("newest %+v", n)
	}
	file := filepath.Join(dir, s.disk.name(log.Origin))
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b[:len(b)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSeen(dir, time.Now, func(Fork) {}); !errors.Is(err, ErrDamaged) {
		t.Errorf("a damaged file: %v", err)
	}
}
