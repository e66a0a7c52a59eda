package publish

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// Each operator gets marks with the keys of each epoch: harmless names below this hotline's canary, made for this operator and epoch alone.
// Their first label is HMAC-SHA-256(trace key, "cordon/trace/v1\n" ‖ list ‖ "\n" ‖ cluster ‖ "\n" ‖ epoch ‖ "\n" ‖ number), its first 10 bytes in
// base32: nobody guesses one, and nobody tells two operators' apart without the key. Their digests are sealed in the operator's key
// file, whose hash officers sign. They are in no list: what an operator blocks stays what auditors can see.

const (
	marksEach = 3
	markLabel = 16 // characters: 10 bytes in base32
)

// given is a line of trace.jsonl: an operator was given the keys of an epoch, with marks.
type given struct {
	At      int64  `json:"at"`
	Cluster string `json:"cluster"`
	Name    string `json:"name"`
	Epoch   uint32 `json:"epoch"`
	File    string `json:"file"` // SHA-256 of the sealed keys
}

// traceKey reads the key that marks are made from, and makes it the first time.
func (s *session) traceKey() ([]byte, error) {
	path := s.path("keys", "trace.key")
	key := make([]byte, 32)
	b, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.c.random(key); err == nil {
			err = writeFile(path, []byte(hex.EncodeToString(key)+"\n"), 0o600)
		}
		if err != nil {
			return nil, fault(CodeFailure, err, "check the disk", "cannot make %s", path)
		}
		return key, nil
	}
	if err == nil {
		err = decodeKey(strings.TrimSuffix(string(b), "\n"), key)
	}
	if err != nil {
		return nil, fault(CodeInput, err, "put the file back from your backup: without it no leak can be traced", "cannot use %s", path)
	}
	return key, nil
}

// markNames are the names made for an operator and epoch.
func (s *session) markNames(key []byte, cluster string, epoch uint32) []string {
	names := make([]string, marksEach)
	for i := range names {
		h := hmac.New(sha256.New, key)
		fmt.Fprintf(h, "cordon/trace/v1\n%s\n%s\n%d\n%d", s.set.List, cluster, epoch, i+1)
		label := base32.StdEncoding.EncodeToString(h.Sum(nil)[:10])
		names[i] = strings.ToLower(label) + "." + s.set.Canary
	}
	return names
}

// markDigests are the digests of an operator's marks with the keys of the epoch, one after the other.
func (s *session) markDigests(names []string, keys *match.Keys) []byte {
	var all []byte
	for _, n := range names {
		d := keys.Digest(s.set.List, canon.ClassName, []byte(n))
		all = append(all, d[:]...)
	}
	return all
}

// marksFor gives the marks to seal for an operator.
func (s *session) marksFor(cluster string, epoch uint32, keys *match.Keys) ([]byte, error) {
	key, err := s.traceKey()
	if err != nil {
		return nil, err
	}
	return s.markDigests(s.markNames(key, cluster, epoch), keys), nil
}

// recordGiven notes that an operator was given marks, before the file that has them is anywhere.
func (s *session) recordGiven(o Operator, epoch uint32, file []byte) error {
	sum := sha256.Sum256(file)
	b, err := json.Marshal(given{At: s.now.Unix(), Cluster: o.Cluster, Name: o.Name, Epoch: epoch, File: hex.EncodeToString(sum[:])})
	if err == nil {
		err = appendFile(s.path("trace.jsonl"), append(b, '\n'))
	}
	return err
}

// allGiven reads who was given marks, oldest first.
func (s *session) allGiven() ([]given, error) {
	path := s.path("trace.jsonl")
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault(CodeFailure, err, "check the disk", "cannot read %s", path)
	}
	defer f.Close()
	var all []given
	in := newLineReader(f, 64<<10)
	for {
		raw, err := in.next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		var g given
		if err == nil {
			err = decodeJSON(raw, &g)
		}
		if err != nil {
			return nil, fault(CodeInput, err, "put the file back from your backup", "cannot read %s, line %d", path, max(in.line, 1))
		}
		all = append(all, g)
	}
}

// Marks are the names that an operator was given with an epoch's keys.
type Marks struct {
	Cluster string    `json:"cluster"`
	Name    string    `json:"name"`
	Epoch   uint32    `json:"epoch"`
	Given   time.Time `json:"given"`
	Names   []string  `json:"names"`
}

// Marks lists what operators were given, oldest first: whoever asks for one of these names has a copy, or part of one.
func (h *Hotline) Marks() ([]Marks, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	all, err := s.allGiven()
	if err != nil {
		return nil, err
	}
	key, err := s.traceKey()
	if err != nil {
		return nil, err
	}
	out := []Marks{}
	for _, g := range all {
		out = append(out, Marks{Cluster: g.Cluster, Name: g.Name, Epoch: g.Epoch, Given: time.Unix(g.At, 0).UTC(), Names: s.markNames(key, g.Cluster, g.Epoch)})
	}
	return out, nil
}
