// Package lookup carries private lookups over HTTP: a hotline's service that answers blinded questions of accredited auditors, and the
// auditor's side that asks and verifies. What is asked is in no message: questions and answers have one size (listsync/oprf), and the service
// writes nothing down but how many questions a token has asked today.
//
//	POST URL/v1/lookup    Authorization: Bearer TOKEN; body: public key (32 bytes), question -> answer
//	GET  URL/v1/column/H  the column with the SHA-256 H, in hex
package lookup

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cordon-project/cordon/listsync/oprf"
)

const (
	// Daily is how many questions a token may ask a day (UTC), columns counting as one: each question can be about 16 expressions.
	Daily = 200

	keySize  = 32
	bodySize = keySize + oprf.QuestionSize
	maxToken = 128
)

// Auditor is somebody whom the hotline has given a token. Only the token's hash is kept.
type Auditor struct {
	Name string
	Hash [32]byte // SHA-256 of the token
}

// Config is what a service answers with. Its functions may be called concurrently.
type Config struct {
	Key      *oprf.Key
	Column   func(sum [32]byte) (io.ReadCloser, int64, error) // opens it, with its size; an error: there is none. One call at a time
	Auditors func() ([]Auditor, error)                        // asked for each request, so that one who is taken out is out at once
	Clock    func() time.Time
	Daily    int // questions a day and token; 0 for Daily
}

// Service answers. Any number of requests may come at once; so many as there are processors are computed at a time, the others wait.
type Service struct {
	c    Config
	work chan struct{}
	seek sync.Mutex // held while a column is looked for, which reads files

	mu   sync.Mutex // guards day and used
	day  int64
	used map[[32]byte]int // questions of the day, by the token's hash
}

// NewService makes a service.
func NewService(c Config) *Service {
	if c.Daily == 0 {
		c.Daily = Daily
	}
	return &Service{c: c, work: make(chan struct{}, runtime.GOMAXPROCS(0)), used: map[[32]byte]int{}}
}

// Handler answers below a base path ("" or "/path").
func (s *Service) Handler(base string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+base+"/v1/lookup", s.lookup)
	mux.HandleFunc("GET "+base+"/v1/column/{sum}", s.column)
	return mux
}

// spend takes a question off a token's budget. It answers the request itself when it may not be answered.
func (s *Service) spend(w http.ResponseWriter, r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" || len(token) > maxToken {
		http.Error(w, "an auditor's token is needed", http.StatusUnauthorized)
		return false
	}
	auditors, err := s.c.Auditors()
	if err != nil {
		http.Error(w, "the hotline's service is not in order", http.StatusInternalServerError)
		return false
	}
	hash := sha256.Sum256([]byte(token))
	known := 0
	for _, a := range auditors {
		known |= subtle.ConstantTimeCompare(a.Hash[:], hash[:])
	}
	if known == 0 {
		http.Error(w, "the token is none of an auditor of this hotline (any more)", http.StatusUnauthorized)
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if day := s.c.Clock().Unix() / (24 * 60 * 60); day != s.day {
		s.day = day
		clear(s.used)
	}
	if s.used[hash] >= s.c.Daily {
		http.Error(w, fmt.Sprintf("the token's %d questions of today are used up; the next day begins at 00:00 UTC", s.c.Daily), http.StatusTooManyRequests)
		return false
	}
	s.used[hash]++
	return true
}

func (s *Service) lookup(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if !s.spend(w, r) {
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodySize))
	if err != nil || len(body) != bodySize {
		http.Error(w, "this is no question", http.StatusBadRequest)
		return
	}
	public := s.c.Key.Public()
	if [32]byte(body[:keySize]) != public {
		http.Error(w, "the question is for another key than this service has", http.StatusConflict)
		return
	}
	select {
	case s.work <- struct{}{}:
	case <-r.Context().Done():
		return
	}
	answer, err := s.c.Key.Answer(body[keySize:])
	<-s.work
	if err != nil {
		http.Error(w, "this is no question", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Write(answer)
}

func (s *Service) column(w http.ResponseWriter, r *http.Request) {
	if !s.spend(w, r) {
		return
	}
	sum, err := hex.DecodeString(r.PathValue("sum"))
	if err != nil || len(sum) != 32 {
		http.Error(w, "this is no SHA-256", http.StatusBadRequest)
		return
	}
	s.seek.Lock()
	b, size, err := s.c.Column([32]byte(sum))
	s.seek.Unlock()
	if err != nil {
		http.Error(w, "there is no such column here (any more)", http.StatusNotFound)
		return
	}
	defer b.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	io.CopyN(w, b, size)
}

// Client asks a service. What it gets is worth nothing before it is verified: answers by their proof, columns by their hash.
type Client struct {
	URL   string // as officers have signed it
	Token string
	HTTP  *http.Client
}

// ErrService: the service did not answer the question. The error says why.
var ErrService = errors.New("the hotline's service")

// Ask asks about these inputs, in questions of one size, and gives their outputs in order, verified with the public key.
func (c *Client) Ask(ctx context.Context, public [32]byte, inputs [][]byte) ([]oprf.Output, error) {
	var out []oprf.Output
	for len(inputs) > 0 {
		n := min(len(inputs), oprf.Elements)
		q, err := oprf.Ask(public, inputs[:n])
		if err != nil {
			return nil, err
		}
		answer, err := c.do(ctx, http.MethodPost, "/v1/lookup", append(public[:], q.Bytes...), oprf.AnswerSize)
		if err != nil {
			return nil, err
		}
		some, err := q.Read(answer)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrService, err)
		}
		out, inputs = append(out, some...), inputs[n:]
	}
	return out, nil
}

// Column fetches the column with this hash and size.
func (c *Client) Column(ctx context.Context, sum [32]byte, size int64) ([]byte, error) {
	b, err := c.do(ctx, http.MethodGet, "/v1/column/"+hex.EncodeToString(sum[:]), nil, size)
	if err == nil && sha256.Sum256(b) != sum {
		err = fmt.Errorf("%w sent another column than officers have signed: %w", ErrService, oprf.ErrProof)
	}
	return b, err
}

func (c *Client) do(ctx context.Context, method, path string, body []byte, want int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	res, err := c.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w does not answer: %w", ErrService, err)
	}
	defer res.Body.Close()
	limit := want
	if res.StatusCode != http.StatusOK {
		limit = 512
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrService, err)
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%w answers %s: %.200q", ErrService, res.Status, strings.TrimSpace(string(b)))
	case int64(len(b)) != want:
		return nil, fmt.Errorf("%w sent %d bytes, %d are an answer: %w", ErrService, len(b), want, oprf.ErrFormat)
	}
	return b, nil
}
