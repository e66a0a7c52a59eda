package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	maxAnswer = 32 << 10 // an answer of a witness: two lines are 3.5 KB
	maxLines  = 16
	maxAsked  = 16 // witnesses asked at once
	maxSkew   = 10 * time.Minute
)

// ErrAhead: a witness has cosigned a larger log than the one it is asked about. It lies, or the log was rolled back.
var ErrAhead = errors.New("has seen a longer log than this one")

// Answer is what came of asking one witness.
type Answer struct {
	Witness Witness
	At      time.Time // of its cosignature; zero when Err is set
	Err     error     // nil: it cosigned
}

// Asker asks the witnesses of a policy for cosignatures. Nothing it is told is believed that does not verify. It may be used
// by one goroutine at a time.
type Asker struct {
	Policy Policy
	// HTTP makes the requests; it needs no timeout of its own, and follows no redirect for us. Nil: http.DefaultClient.
	HTTP *http.Client
	// Prove makes the consistency proof from the tree of size old to the one of the given size (RFC 6962, 2.1.2).
	Prove func(ctx context.Context, old, size uint64) ([][32]byte, error)
	Clock func() time.Time
	// Timeout bounds the asking of one witness; zero: 10 seconds.
	Timeout time.Duration

	mu    sync.Mutex // guards sizes
	sizes map[string]uint64
}

// CheckURLs reports the first witness of the quorum without a usable URL: whoever asks them needs one of each.
func (p Policy) CheckURLs() error {
	for _, w := range p.Asked() {
		u, err := url.Parse(w.URL)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return fmt.Errorf("witness %s: URL %q; to be asked it needs one like https://witness.example/prefix behind its key: %w", clip(w.Name), clip(w.URL), ErrFormat)
		}
	}
	return nil
}

// Ask has each witness of the quorum cosign the note, all at once, and returns the note with the cosignatures that came and
// verify, in the policy's order, behind those it had of others. A witness with several keys under one URL is asked once. It
// always returns what it has got; Policy.Check says whether that is enough.
func (a *Asker) Ask(ctx context.Context, note []byte) ([]byte, []Answer) {
	asked := a.Policy.Asked()
	cp, _, err := openNote(note, nil)
	if err != nil {
		return note, failed(asked, err)
	}
	var urls []string
	for _, w := range asked {
		if !slices.Contains(urls, w.URL) {
			urls = append(urls, w.URL)
		}
	}
	lines := make([][]byte, len(urls))
	errs := make([]error, len(urls))
	slots := make(chan struct{}, maxAsked)
	var wg sync.WaitGroup
	for i, u := range urls {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			timeout := a.Timeout
			if timeout == 0 {
				timeout = 10 * time.Second
			}
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			lines[i], errs[i] = a.one(ctx, u, cp, note)
		})
	}
	wg.Wait()
	text, have := split(note)
	answers := make([]Answer, len(asked))
	var fresh []byte
	var renewed []Key
	for i, w := range asked {
		at := slices.Index(urls, w.URL)
		answers[i] = Answer{Witness: w, Err: errs[at]}
		if errs[at] != nil {
			continue
		}
		line, t, err := a.verified(text, lines[at], w)
		switch {
		case err != nil:
			answers[i].Err = err
		case len(note)+len(fresh)+len(line) > MaxNote:
			answers[i].Err = fmt.Errorf("no room for its cosignature: %w", ErrTooLarge)
		default:
			answers[i].At = t
			fresh, renewed = append(fresh, line...), append(renewed, w.Key)
		}
	}
	out := bytes.Clone(text)
	for line := range bytes.Lines(have) {
		if !slices.ContainsFunc(renewed, func(k Key) bool { return signedWith(line, k) }) {
			out = append(out, line...) // of two lines of one key readers take the first, which would be the old one
		}
	}
	return append(out, fresh...), answers
}

func failed(asked []Witness, err error) []Answer {
	out := make([]Answer, len(asked))
	for i, w := range asked {
		out[i] = Answer{Witness: w, Err: err}
	}
	return out
}

// one asks a witness, from the size it was last at; it may say once that it is elsewhere.
func (a *Asker) one(ctx context.Context, at string, cp Checkpoint, note []byte) ([]byte, error) {
	a.mu.Lock()
	old := a.sizes[at]
	a.mu.Unlock()
	if old > cp.Size {
		old = 0
	}
	for try := 0; ; try++ {
		proof, err := a.prove(ctx, old, cp.Size)
		if err != nil {
			return nil, err
		}
		lines, err := a.post(ctx, at, Request{Old: old, Proof: proof, Note: note})
		var conflict *Conflict
		if errors.As(err, &conflict) && try == 0 && conflict.Size != old {
			if conflict.Size > cp.Size {
				return nil, fmt.Errorf("it has cosigned size %d, this log has %d: it %w", conflict.Size, cp.Size, ErrAhead)
			}
			old = conflict.Size
			continue
		}
		if errors.As(err, &conflict) && conflict.Size == cp.Size {
			return nil, fmt.Errorf("it has cosigned another log of size %d under this name: %w", cp.Size, ErrProof)
		}
		if err == nil {
			a.mu.Lock()
			if a.sizes == nil {
				a.sizes = make(map[string]uint64)
			}
			a.sizes[at] = cp.Size
			a.mu.Unlock()
		}
		return lines, err
	}
}

func (a *Asker) prove(ctx context.Context, old, size uint64) ([][32]byte, error) {
	if old == 0 || old == size {
		return nil, nil
	}
	p, err := a.Prove(ctx, old, size)
	if err != nil {
		return nil, fmt.Errorf("consistency proof from size %d to %d: %w", old, size, err)
	}
	return p, nil
}

// post makes one request. Errors: *Conflict, ErrUnknownLog, ErrSignature, ErrProof as the witness says; others are the network's.
func (a *Asker) post(ctx context.Context, at string, r Request) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(at, "/")+Path, bytes.NewReader(r.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if a.HTTP != nil {
		client.Transport = a.HTTP.Transport
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read its answer: %w", err)
	}
	if len(b) > maxAnswer {
		return nil, fmt.Errorf("its answer: %w", ErrTooLarge)
	}
	word := strings.ToValidUTF8(clip(strings.TrimSpace(string(b))), "?")
	switch resp.StatusCode {
	case http.StatusOK:
		return b, nil
	case http.StatusConflict:
		kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		size, ok := strings.CutSuffix(string(b), "\n")
		n, err := parseSize(size)
		if kind != sizeType || !ok || err != nil {
			return nil, fmt.Errorf("answered 409 without a size: %q: %w", word, ErrFormat)
		}
		return nil, &Conflict{Size: n}
	case http.StatusNotFound:
		return nil, fmt.Errorf("answered 404 %q: it does not watch this log; its operator must add the log's key: %w", word, ErrUnknownLog)
	case http.StatusForbidden:
		return nil, fmt.Errorf("answered 403 %q: it has another key for this log: %w", word, ErrSignature)
	case http.StatusUnprocessableEntity:
		return nil, fmt.Errorf("answered 422 %q: what it has seen is no beginning of this log: %w", word, ErrProof)
	}
	return nil, fmt.Errorf("answered %d: %q", resp.StatusCode, word)
}

// verified finds the line of w among those it sent: it verifies over our text, and its time is now.
func (a *Asker) verified(text, lines []byte, w Witness) ([]byte, time.Time, error) {
	n := 0
	for line := range bytes.Lines(lines) {
		if n++; n > maxLines {
			break
		}
		if !signedWith(line, w.Key) {
			continue
		}
		_, opened, err := openNote(slices.Concat(text, line), []Key{w.Key})
		if err != nil {
			return nil, time.Time{}, fmt.Errorf("its cosignature: %w", err)
		}
		at, err := signedAt(opened.Sigs[0])
		if err != nil {
			return nil, time.Time{}, err
		}
		t := time.Unix(at, 0).UTC()
		if off := t.Sub(a.Clock()); off > maxSkew || off < -maxSkew {
			return nil, time.Time{}, fmt.Errorf("its cosignature is dated %s, %v off this machine's clock: %w", t.Format(time.RFC3339), off.Truncate(time.Second).Abs(), ErrFormat)
		}
		return line, t, nil
	}
	return nil, time.Time{}, fmt.Errorf("answered without a cosignature of key %s: %w", w.Key.ID(), ErrSignature)
}
