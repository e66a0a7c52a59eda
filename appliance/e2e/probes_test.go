package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// answer is what a story looks at in a DNS answer.
type answer struct {
	rcode int
	addrs []string
	ede   uint16 // 0 when there is none: Cordon never sends code 0
	nsid  string // hex
}

func (a answer) String() string {
	return fmt.Sprintf("%s %v ede %d", dns.RcodeToString[a.rcode], a.addrs, a.ede)
}

// answerTime is how long a question waits for its answer: longer than an edge waits for any upstream, so that what does not come was lost.
const answerTime = 15 * time.Second

func ask(server, name string, qtype uint16) (answer, error) {
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), qtype)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID})
	c := &dns.Client{Timeout: answerTime}
	r, _, err := c.Exchange(m, server)
	if err != nil {
		return answer{}, err
	}
	a := answer{rcode: r.Rcode}
	for _, rr := range r.Answer {
		if x, ok := rr.(*dns.A); ok {
			a.addrs = append(a.addrs, x.A.String())
		}
	}
	if opt := r.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			switch x := o.(type) {
			case *dns.EDNS0_EDE:
				a.ede = x.InfoCode
			case *dns.EDNS0_NSID:
				a.nsid = x.Nsid
			}
		}
	}
	return a, nil
}

// stopped reports nil when the edge answers name with the stop address of its basis.
func (w *world) stopped(edge, name string, law bool) error {
	a, err := ask(w.dns[edge], name, dns.TypeA)
	if err != nil {
		return err
	}
	want, ede := w.vol.Addr().String(), uint16(dns.ExtendedErrorCodeBlocked)
	if law {
		want, ede = w.law.Addr().String(), dns.ExtendedErrorCodeCensored
	}
	if a.rcode != dns.RcodeSuccess || len(a.addrs) != 1 || a.addrs[0] != want || a.ede != ede {
		return fmt.Errorf("%s answers %s with %v, want %s ede %d", edge, name, a, want, ede)
	}
	return nil
}

// passes reports nil when the edge answers name with the upstream's own address and no extended error.
func (w *world) passes(edge, name string) error {
	a, err := ask(w.dns[edge], name, dns.TypeA)
	if err != nil {
		return err
	}
	if a.rcode != dns.RcodeSuccess || len(a.addrs) != 1 || a.ede != 0 || strings.HasPrefix(a.addrs[0], "127.") {
		return fmt.Errorf("%s answers %s with %v, want the upstream's answer", edge, name, a)
	}
	return nil
}

func (w *world) bothWork() error {
	for _, e := range []string{"e1", "e2"} {
		for _, name := range listed[:3] {
			if err := w.stopped(e, name, true); err != nil {
				return err
			}
		}
		if err := w.stopped(e, listed[3], false); err != nil {
			return err
		}
		for _, name := range unlisted {
			if err := w.passes(e, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// oracle asks edges listed and unlisted names all the time and keeps every answer that was missing or wrong.
type oracle struct {
	w      *world
	cancel context.CancelFunc
	wg     sync.WaitGroup
	under  map[string]*sync.Mutex // by edge, held while a question to it is under way
	mu     sync.Mutex             // guards wrong, asked
	wrong  []string
	asked  int
}

func (w *world) watch(edges ...string) *oracle {
	ctx, cancel := context.WithCancel(context.Background())
	w.t.Cleanup(cancel) // of a story that fails before it is over
	o := &oracle{w: w, cancel: cancel, under: map[string]*sync.Mutex{}}
	for _, e := range edges {
		o.under[e] = new(sync.Mutex)
	}
	for _, e := range edges {
		o.wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				o.once(e, i)
			}
		})
	}
	return o
}

func (o *oracle) once(edge string, i int) {
	o.under[edge].Lock()
	defer o.under[edge].Unlock()
	var err error
	if i%2 == 0 {
		n := i / 2 % 4
		err = o.w.stopped(edge, listed[n], n < 3)
	} else {
		err = o.w.passes(edge, unlisted[i/2%len(unlisted)])
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked++
	if err != nil && len(o.wrong) < 20 {
		o.wrong = append(o.wrong, err.Error())
	}
}

// pause ends, once the question that is under way has its answer, the asking of an edge that the story is about to stop; or goes on with it.
func (o *oracle) pause(edge string, on bool) {
	if on {
		o.under[edge].Lock()
	} else {
		o.under[edge].Unlock()
	}
}

// finish ends the watch and fails the test for every unanswered question, listed name let through or unlisted name blocked.
func (o *oracle) finish() {
	o.cancel()
	o.wg.Wait()
	if len(o.wrong) > 0 || o.asked < 100 {
		o.w.t.Errorf("of %d questions asked meanwhile, wrong or unanswered:\n%s", o.asked, strings.Join(o.wrong, "\n"))
	}
	o.w.t.Logf("%d questions asked meanwhile, all answered rightly", o.asked)
}

// get fetches a page without following anything.
func get(url string) (int, http.Header, string, error) {
	c := &http.Client{Timeout: time.Minute}
	r, err := c.Get(url)
	if err != nil {
		return 0, nil, "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	return r.StatusCode, r.Header, string(b), err
}

// holders finds the files below dirs that hold any of words, in any case. Programs that still run may take files away meanwhile.
func holders(t *testing.T, words []string, dirs ...string) []string {
	t.Helper()
	var found []string
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if gone(path, dir, err) {
				return nil
			}
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			if gone(path, dir, err) {
				return nil
			}
			if err != nil {
				return err
			}
			b = bytes.ToLower(b)
			for _, word := range words {
				// as text, and as the labels of a name in a DNS message
				if bytes.Contains(b, []byte(word)) {
					found = append(found, path+": "+word)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// gone is true of an error that says that something below a folder, and not the folder itself, is not there any more.
func gone(path, folder string, err error) bool {
	return path != folder && errors.Is(err, fs.ErrNotExist)
}
