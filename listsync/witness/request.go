package witness

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Path is where a witness takes checkpoints, below its prefix.
const Path = "/add-checkpoint"

// sizeType is the Content-Type of the answer that names a size.
const sizeType = "text/x.tlog.size"

// MaxRequest is the longest body of an add-checkpoint request.
const MaxRequest = MaxNote + 32 + 64*45

// Request is the body of an add-checkpoint request (c2sp.org/tlog-witness).
type Request struct {
	Old   uint64     // size the witness has cosigned before
	Proof [][32]byte // from there to the checkpoint
	Note  []byte     // the signed checkpoint
}

// ParseRequest reads a body strictly. Errors: ErrFormat, ErrTooLarge.
func ParseRequest(b []byte) (Request, error) {
	if len(b) > MaxRequest {
		return Request{}, fmt.Errorf("request of %d bytes, at most %d: %w", len(b), MaxRequest, ErrTooLarge)
	}
	head, note, ok := bytes.Cut(b, []byte("\n\n"))
	if !ok {
		return Request{}, fmt.Errorf("request: no empty line before the checkpoint: %w", ErrFormat)
	}
	lines := strings.Split(string(head), "\n")
	old, ok := strings.CutPrefix(lines[0], "old ")
	if !ok {
		return Request{}, fmt.Errorf("request: first line %q, want \"old SIZE\": %w", clip(lines[0]), ErrFormat)
	}
	var r Request
	var err error
	if r.Old, err = parseSize(old); err != nil {
		return Request{}, fmt.Errorf("request: old size: %w", err)
	}
	if r.Proof, err = parseHashes(lines[1:]); err != nil {
		return Request{}, fmt.Errorf("request: %w", err)
	}
	r.Note = bytes.Clone(note)
	return r, nil
}

// Encode writes the body in the form ParseRequest reads.
func (r Request) Encode() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "old %d\n", r.Old)
	for _, h := range r.Proof {
		b.WriteString(encode64(h[:]) + "\n")
	}
	b.WriteString("\n")
	b.Write(r.Note)
	return b.Bytes()
}

// ServeHTTP answers add-checkpoint requests with the statuses of the specification. Whoever mounts it limits how many
// strangers may ask at once.
func (k *Keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "want POST", http.StatusMethodNotAllowed)
		return
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxRequest))
	if err != nil {
		http.Error(w, "the request is too large or broke off", http.StatusBadRequest)
		return
	}
	req, err := ParseRequest(b)
	var lines []byte
	if err == nil {
		lines, err = k.Add(req)
	}
	if err == nil {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Write(lines)
		return
	}
	var conflict *Conflict
	if errors.As(err, &conflict) {
		w.Header().Set("Content-Type", sizeType)
		w.WriteHeader(http.StatusConflict)
		w.Write([]byte(strconv.FormatUint(conflict.Size, 10) + "\n"))
		return
	}
	http.Error(w, err.Error(), status(err))
}

func status(err error) int {
	switch {
	case errors.Is(err, ErrUnknownLog):
		return http.StatusNotFound
	case errors.Is(err, ErrSignature):
		return http.StatusForbidden
	case errors.Is(err, ErrNotYet):
		return http.StatusServiceUnavailable
	case errors.Is(err, ErrProof):
		return http.StatusUnprocessableEntity
	case errors.Is(err, ErrFormat), errors.Is(err, ErrTooLarge):
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}
