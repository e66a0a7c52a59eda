package publish

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/lookup"
	"github.com/cordon-project/cordon/listsync/oprf"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// Private lookups: keys/private.json has the key of the oblivious function and the address of its service. Each version then has a column,
// one output for each record, in versions/N.column; its hash is signed with the version. An output costs a tenth of a millisecond, so those of
// the version before are kept in .private.cache (which no request carries) and only new entries cost anything.

const privateFile = "private.json"

type privateConf struct {
	V    int    `json:"v"` // 1
	On   bool   `json:"on"`
	URL  string `json:"url"`
	Key  string `json:"key"` // hex
	Made int64  `json:"made"`
}

// PrivateStatus says how private lookups stand.
type PrivateStatus struct {
	On   bool   `json:"on"`
	URL  string `json:"url,omitempty"`
	Key  string `json:"key,omitempty"` // public, hex
	Note string `json:"note,omitempty"`
}

// loadPrivate gives the settings and the key; no key when it was never on.
func (s *session) loadPrivate() (privateConf, *oprf.Key, error) {
	var f privateConf
	path := s.path("keys", privateFile)
	err := readJSON(path, &f)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil, nil
	}
	var key *oprf.Key
	if err == nil {
		var raw []byte
		if raw, err = hex.DecodeString(f.Key); err == nil {
			key, err = oprf.OpenKey(raw)
		}
	}
	if err == nil && (f.V != 1 || !trust.CheckServiceURL(f.URL)) {
		err = errors.New("it is damaged")
	}
	if err != nil {
		return f, nil, fault(CodeInput, err, "put the file back from your backup", "cannot use %s", path)
	}
	return f, key, nil
}

// PrivateLookups is what status says of them while they are on.
type PrivateLookups struct {
	URL      string `json:"url"`
	Auditors int    `json:"auditors"` // who have a token
}

// statusPrivate is nil while they are off. A file of theirs that cannot be used is a problem of the next version.
func (s *session) statusPrivate(st *Status) *PrivateLookups {
	f, _, err := s.loadPrivate()
	if err == nil && !f.On {
		return nil
	}
	var all []auditor
	if err == nil {
		all, err = readAuditors(s.path())
	}
	if err != nil {
		st.Problems = append(st.Problems, err.Error())
		return nil
	}
	return &PrivateLookups{URL: f.URL, Auditors: len(all)}
}

// SetPrivate turns private lookups on, with the address where the service will answer, or off. The key is made once and stays: a new one
// would make every output anew. Either takes effect with the next version.
func (h *Hotline) SetPrivate(on bool, url string) (*PrivateStatus, error) {
	if on && !trust.CheckServiceURL(url) {
		return nil, sentence(CodeUsage, nil, "write it as https://HOST or https://HOST:PORT/PATH, without a slash at the end", "%q is no address of a service", printable(url))
	}
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	f, key, err := s.loadPrivate()
	if err != nil {
		return nil, err
	}
	if key == nil && !on {
		return &PrivateStatus{Note: "they were never on"}, nil
	}
	if key == nil {
		raw, err := oprf.NewKey()
		if err == nil {
			key, err = oprf.OpenKey(raw)
		}
		if err != nil {
			return nil, fault(CodeFailure, err, "try again", "cannot make a key")
		}
		f = privateConf{V: 1, Key: hex.EncodeToString(raw), Made: s.now.Unix()}
	}
	if f.On = on; on {
		f.URL = url
	}
	if err := writeJSON(s.path("keys", privateFile), f, 0o600); err != nil {
		return nil, fault(CodeFailure, err, "check the disk", "cannot write %s", s.path("keys", privateFile))
	}
	pub := key.Public()
	return &PrivateStatus{On: on, URL: f.URL, Key: hex.EncodeToString(pub[:]), Note: "it takes effect with the next version"}, nil
}

// column makes the column of a version and what officers sign about it; nothing when private lookups are off. n is about how many entries
// there are.
func (s *session) column(edgeFile []byte, keys *match.Keys, canary list.Entry, n int) (trust.Private, []byte, error) {
	f, key, err := s.loadPrivate()
	if err != nil || key == nil || !f.On {
		return trust.Private{}, nil, err
	}
	edge, err := list.OpenEdgeHead(edgeFile) // it was made a moment ago
	if err != nil {
		return trust.Private{}, nil, fault(CodeFailure, err, "", "cannot read the version again")
	}
	cache := s.loadOutputs(key.Public())
	outputs := newColumnMaker(key, keys, s.set.List, cache, n)
	set, err := s.openWorkingSet(nil)
	if err != nil {
		return trust.Private{}, nil, err
	}
	defer set.close()
	told := every{Progress: s.c.progress(), units: 1}
	told.Begin("outputs of private lookups", int64(n))
	for {
		e, err := set.next()
		if err != nil {
			outputs.stop()
			return trust.Private{}, nil, err
		}
		if e == nil {
			break
		}
		outputs.add(e.Kind, e.Expression)
		told.one()
	}
	outputs.add(canary.Kind, canary.Expression)
	outputs.stop()
	missing := false
	b, err := list.BuildColumn(edge, key.Public(), func(i int) [list.ColumnSize]byte {
		out, ok := outputs.byDigest[edge.Record(i).Digest]
		missing = missing || !ok
		return out
	})
	if err == nil && (missing || outputs.failed) {
		err = errors.New("an entry has no output")
	}
	if err != nil {
		return trust.Private{}, nil, fault(CodeFailure, err, "sign again", "cannot make the column of private lookups")
	}
	s.saveOutputs(key.Public(), outputs.used)
	return trust.Private{Key: key.Public(), URL: f.URL, Column: sha256.Sum256(b), Size: int64(len(b))}, b, nil
}

// columnMaker computes outputs on all processors.
type columnMaker struct {
	key   *oprf.Key
	keys  *match.Keys
	list  match.ListID
	cache map[[16]byte]oprf.Output // by the start of SHA-256 of the input

	jobs  chan []asked
	batch []asked
	wg    sync.WaitGroup

	mu       sync.Mutex // guards the fields below until stop
	byDigest map[match.Digest]oprf.Output
	used     map[[16]byte]oprf.Output
	failed   bool
}

type asked struct {
	class canon.Class
	expr  string
}

const columnBatch = 256

func newColumnMaker(key *oprf.Key, keys *match.Keys, l match.ListID, cache map[[16]byte]oprf.Output, n int) *columnMaker {
	m := &columnMaker{
		key: key, keys: keys, list: l, cache: cache, jobs: make(chan []asked, 4),
		byDigest: make(map[match.Digest]oprf.Output, n), used: make(map[[16]byte]oprf.Output, n),
	}
	for range runtime.GOMAXPROCS(0) {
		m.wg.Go(func() {
			h := m.keys.Hasher(m.list)
			defer h.Close()
			for batch := range m.jobs {
				m.work(h, batch)
			}
		})
	}
	return m
}

// add takes an entry: its own expression, and for a page that of its host, which is steered.
func (m *columnMaker) add(k canon.Kind, expr string) {
	m.batch = append(m.batch, asked{k.Class(), expr})
	if k.Class() == canon.ClassPage {
		m.batch = append(m.batch, asked{canon.KindSteer.Class(), canon.HostOf(expr)})
	}
	if len(m.batch) >= columnBatch {
		m.jobs <- m.batch
		m.batch = nil
	}
}

func (m *columnMaker) work(h *match.Hasher, batch []asked) {
	type result struct {
		digest match.Digest
		id     [16]byte
		out    oprf.Output
	}
	results := make([]result, 0, len(batch))
	failed := false
	for _, a := range batch {
		in := oprf.Input(m.list, a.class, a.expr)
		sum := sha256.Sum256(in)
		r := result{id: [16]byte(sum[:])}
		r.digest, _ = h.Hash(a.class, a.expr)
		var known bool
		if r.out, known = m.cache[r.id]; !known {
			var err error
			if r.out, err = m.key.Full(in); err != nil {
				failed = true
			}
		}
		results = append(results, r)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed = m.failed || failed
	for _, r := range results {
		m.byDigest[r.digest], m.used[r.id] = r.out, r.out
	}
}

// stop waits for what was added.
func (m *columnMaker) stop() {
	if len(m.batch) > 0 {
		m.jobs <- m.batch
		m.batch = nil
	}
	close(m.jobs)
	m.wg.Wait()
}

// The file of kept outputs: a line that names the key, pairs of 32 bytes, and the SHA-256 of all before it. It is as secret as the entries, which lie
// beside it. One that is damaged or of another key counts for nothing: all is computed anew.

func outputsHead(public [32]byte) []byte {
	return fmt.Appendf(nil, "cordon private outputs 1 %x\n", public)
}

func (s *session) loadOutputs(public [32]byte) map[[16]byte]oprf.Output {
	b, err := readBounded(s.path(".private.cache"), 2*list.MaxFile)
	head := outputsHead(public)
	if err != nil || len(b) < len(head)+32 || !bytes.HasPrefix(b, head) || (len(b)-len(head))%32 != 0 {
		return nil
	}
	pairs := b[len(head) : len(b)-32]
	if sum := sha256.Sum256(b[:len(b)-32]); !bytes.Equal(sum[:], b[len(b)-32:]) {
		return nil
	}
	out := make(map[[16]byte]oprf.Output, len(pairs)/32)
	for at := 0; at < len(pairs); at += 32 {
		out[[16]byte(pairs[at:])] = oprf.Output(pairs[at+16 : at+32])
	}
	return out
}

// saveOutputs keeps outputs for the next version. A failure costs time and nothing else.
func (s *session) saveOutputs(public [32]byte, outputs map[[16]byte]oprf.Output) {
	b := outputsHead(public)
	for id, out := range outputs {
		b = append(append(b, id[:]...), out[:]...)
	}
	sum := sha256.Sum256(b)
	_ = writeFile(s.path(".private.cache"), append(b, sum[:]...), 0o600)
}

// placeColumn keeps the column of a version that is being published where the service finds it.
func (s *session) placeColumn(c *candidate) error {
	if !c.Private {
		return nil
	}
	return linkFile(s.path("staging", "column"), s.versionPath(c.Seq, "column"), 0o600)
}

// OpenPrivate reads what a service of private lookups answers with, and where officers have said it is. It holds no lock afterwards.
func (h *Hotline) OpenPrivate() (lookup.Config, string, error) {
	s, err := h.begin()
	if err != nil {
		return lookup.Config{}, "", err
	}
	defer s.release()
	f, key, err := s.loadPrivate()
	if err != nil {
		return lookup.Config{}, "", err
	}
	if key == nil {
		return lookup.Config{}, "", sentence(CodeInput, nil, "turn them on with private --dir HOTLINE --on --url https://...", "private lookups were never on")
	}
	dir := h.dir
	return lookup.Config{
		Key: key, Clock: h.c.now, Auditors: func() ([]lookup.Auditor, error) { return auditorsIn(dir) },
		Column: func(sum [32]byte) (io.ReadCloser, int64, error) { return findColumn(dir, sum) },
	}, f.URL, nil
}

// findColumn looks for the column with this hash among those of published versions, newest first. It holds no column in memory: one may have
// 160 MB, and an auditor may ask for many at once.
func findColumn(dir string, sum [32]byte) (io.ReadCloser, int64, error) {
	missing := 0 // without private lookups, or a number that was used up
	for seq := latest(dir+"/versions", ".column"); seq > 0; seq-- {
		f, err := os.Open(fmt.Sprintf("%s/versions/%d.column", dir, seq))
		if errors.Is(err, fs.ErrNotExist) {
			if missing++; missing > keepVersions {
				break // older ones are not kept
			}
			continue
		}
		if err != nil {
			continue
		}
		h := sha256.New()
		n, err := io.Copy(h, io.LimitReader(f, list.MaxFile+1))
		if err == nil && n <= list.MaxFile && [32]byte(h.Sum(nil)) == sum {
			if _, err = f.Seek(0, io.SeekStart); err == nil {
				return f, n, nil
			}
		}
		f.Close()
	}
	return nil, 0, fs.ErrNotExist
}
