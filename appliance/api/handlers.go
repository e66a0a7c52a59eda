package api

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/match/locked"
)

func (s *Server) checkpoint(w http.ResponseWriter, _ *http.Request, _ caller) error {
	note := s.node.Checkpoint()
	if note == nil {
		return cluster.ErrNotYet
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := w.Write(note)
	return err
}

func (s *Server) tile(w http.ResponseWriter, r *http.Request, _ caller) error {
	b, err := s.node.View().Tree().Tile("tile/" + r.PathValue("path"))
	if err != nil {
		return fail(http.StatusNotFound, "no such tile")
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable") // of one path the bytes never change
	_, err = w.Write(b)
	return err
}

func (s *Server) file(w http.ResponseWriter, r *http.Request, _ caller) error {
	sum, err := parseSum(r.PathValue("sum"))
	if err != nil {
		return fail(http.StatusBadRequest, "file name: %v", err)
	}
	f, err := s.files.Open(sum)
	if errors.Is(err, fs.ErrNotExist) {
		return fail(http.StatusNotFound, "this node does not hold that file")
	} else if err != nil {
		return fmt.Errorf("open file: %w", err)
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	_, err = io.Copy(s.reading(w), f)
	return err
}

func (s *Server) delta(w http.ResponseWriter, r *http.Request, _ caller) error {
	sum, err := parseSum(r.PathValue("sum"))
	if err != nil {
		return fail(http.StatusBadRequest, "version: %v", err)
	}
	f, err := s.deltas.Open(sum)
	if errors.Is(err, fs.ErrNotExist) {
		return fail(http.StatusNotFound, "this node has no delta to that version")
	} else if err != nil {
		return fmt.Errorf("open delta: %w", err)
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	_, err = io.Copy(s.reading(w), f)
	return err
}

func (s *Server) bundle(w http.ResponseWriter, r *http.Request, _ caller) error {
	part, err := partOf(r.URL.Query())
	if err != nil {
		return fail(http.StatusBadRequest, "%v", err)
	}
	leave, ok := s.readers.enter(r.RemoteAddr)
	if !ok {
		return fail(http.StatusServiceUnavailable, "other bundles are being written; ask again in a minute")
	}
	defer leave()
	src, err := newSource(s)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-tar")
	if err := s.writeBundle(r.Context(), s.reading(w), src, part); err != nil {
		s.warn(r, "bundle broke off", slog.Any("error", err))
		panic(http.ErrAbortHandler) // the reader must not take half a bundle for a whole one
	}
	return nil
}

// manifest waits for a checkpoint over more leaves than the edge has, or a fresher one, and answers with all that is in force at it.
func (s *Server) manifest(w http.ResponseWriter, r *http.Request, who caller) error {
	s.cares.note(who, r, s.clock())
	s.recursions.note(who, r.Header, s.clock())
	s.guards.note(who, r.Header, s.clock())
	s.traffics.note(who, r.Header, s.clock())
	s.encrypteds.note(who, r.Header, s.clock())
	s.noteBuild(r, who)
	since, err := strconv.ParseUint(r.FormValue("since"), 10, 63)
	if err != nil {
		return fail(http.StatusBadRequest, "since is not a number of leaves")
	}
	ctx, cancel := context.WithTimeout(r.Context(), longPoll)
	defer cancel()
	renewed := s.node.Renewed()
	select {
	case <-s.node.Changed(since):
	case <-renewed:
	case <-ctx.Done():
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	m, err := s.node.Manifest(since)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/cbor")
	_, err = w.Write(m.Encode())
	return err
}

// keys wraps an epoch's keys to the key the cluster enrolled the asking edge with: the request cannot name another.
func (s *Server) keys(w http.ResponseWriter, r *http.Request, who caller) error {
	var req keysRequest
	if err := readBody(r, &req); err != nil {
		return err
	}
	edge, ok := s.node.View().Edge(who.name)
	if !ok {
		return fail(http.StatusForbidden, "edge %s is not enrolled: an operator enrols it with cordon enrol", who.name)
	}
	keys, err := s.node.EpochKeys(req.List, req.Epoch)
	if err != nil {
		return err
	}
	defer keys.Close()
	b, err := trust.WrapKeys(keys, edge.Recipient)
	locked.EraseSoon()
	if err != nil {
		return fmt.Errorf("wrap keys: %w", err)
	}
	_, err = w.Write(b)
	return err
}

func (s *Server) receipt(_ http.ResponseWriter, r *http.Request, who caller) error {
	var signed audit.SignedReceipt
	if err := readBody(r, &signed); err != nil {
		return err
	}
	receipt, err := signed.Receipt()
	if err != nil {
		return fail(http.StatusBadRequest, "read receipt: %v", err)
	}
	if receipt.Edge != who.name {
		return fail(http.StatusForbidden, "the receipt is of another edge")
	}
	return s.node.AddReceipt(signed)
}

func (s *Server) stage(w http.ResponseWriter, r *http.Request, who caller) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	req, err := cluster.DecodeStageRequest(b)
	if err != nil {
		return fail(http.StatusBadRequest, "%w", err)
	}
	if req.From != who.name {
		return fail(http.StatusBadRequest, "the request names another member than its certificate")
	}
	http.NewResponseController(w).SetReadDeadline(time.Time{}) // the body is read; fetching and checking may take minutes
	v, err := s.node.Stage(r.Context(), req, func(ctx context.Context, f trust.File) (io.ReadCloser, error) {
		return s.peers.File(ctx, req.From, f.SHA256)
	})
	if err != nil {
		return err
	}
	return writeBody(w, v)
}

func (s *Server) cosign(w http.ResponseWriter, r *http.Request, who caller) error {
	var req cosignRequest
	if err := readBody(r, &req); err != nil {
		return err
	}
	if len(req.Root) != 32 {
		return fail(http.StatusBadRequest, "root has %d bytes, not 32", len(req.Root))
	}
	if req.Size == 0 {
		return fail(http.StatusBadRequest, "a log of size 0 is cosigned by nobody")
	}
	line, err := s.node.Cosign(r.Context(), who.name, req.Size, [32]byte(req.Root))
	if err != nil {
		return err
	}
	_, err = w.Write(line)
	return err
}

func (s *Server) forward(w http.ResponseWriter, r *http.Request, _ caller) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read command: %w", err)
	}
	result, err := s.node.Forwarded(r.Context(), b)
	if errors.Is(err, command.ErrFormat) || errors.Is(err, command.ErrUnknown) || errors.Is(err, command.ErrTooLarge) {
		return fail(http.StatusBadRequest, "%w", err)
	} else if err != nil {
		return err
	}
	_, err = w.Write(result)
	return err
}

func (s *Server) changeEdge(_ http.ResponseWriter, r *http.Request, who caller) error {
	var req EdgeChange
	if err := readBody(r, &req); err != nil {
		return err
	}
	if _, enrolled := s.node.View().Edge(req.Name); req.Action == audit.ActionDrop && !enrolled {
		return fail(http.StatusNotFound, "no edge %q is enrolled; cordon status names those that are", req.Name)
	}
	s.log.InfoContext(r.Context(), "edge membership", slog.String("action", req.Action), slog.String("edge", req.Name), slog.String("operator", who.name))
	res, err := s.node.Propose(r.Context(), command.Command{Body: command.Member{
		Action: req.Action, Role: "edge", Name: req.Name, Key: req.Key, Recipient: req.Recipient, By: who.name,
	}})
	if err != nil {
		return err
	}
	if res.Err != nil {
		return fail(http.StatusConflict, "%v", res.Err)
	}
	return nil
}

// goBack is this member's word about an order to go back to an earlier version of a list.
func (s *Server) goBack(w http.ResponseWriter, r *http.Request, _ caller) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	http.NewResponseController(w).SetReadDeadline(time.Time{}) // comparing two large lists takes a while
	v, err := s.node.Return(r.Context(), b)
	if err != nil {
		return err
	}
	return writeBody(w, v)
}

func (s *Server) wayBack(w http.ResponseWriter, r *http.Request, _ caller) error {
	seq, err := strconv.ParseUint(r.FormValue("seq"), 10, 63)
	if err != nil {
		return fail(http.StatusBadRequest, "seq is not a version")
	}
	b, err := s.node.WayBack(r.Context(), match.ListID(r.FormValue("list")), seq)
	if err != nil {
		return err
	}
	return writeBody(w, b)
}

// which says what stops a name. The name is in the body, so that no log of addresses asked for can have it.
func (s *Server) which(w http.ResponseWriter, r *http.Request, _ caller) error {
	var req whichRequest
	if err := readBody(r, &req); err != nil {
		return err
	}
	found, err := s.node.Which(r.Context(), req.Name)
	if err != nil {
		return err
	}
	return writeBody(w, found)
}

// order takes what officers have signed; whether they did is decided by every replica.
func (s *Server) order(w http.ResponseWriter, r *http.Request, who caller) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	leaf, again, err := s.node.Order(r.Context(), b)
	if err != nil {
		s.log.WarnContext(r.Context(), "order not accepted", slog.String("operator", who.name), slog.Any("error", err))
		return err
	}
	return writeBody(w, Ordered{Leaf: leaf, Again: again})
}

// readerPatience is how long a reader may stand still: one that does not read must not hold a place, and the answer in memory, for ever.
const readerPatience = 30 * time.Second

// reading is w with a deadline that moves on with every write, as long as the reader is not too slow in all.
func (s *Server) reading(w http.ResponseWriter) io.Writer {
	return &movingDeadline{w: w, control: http.NewResponseController(w), patience: s.patience, now: time.Now}
}

type movingDeadline struct {
	w        io.Writer
	control  *http.ResponseController
	patience time.Duration
	now      func() time.Time
	written  int64
	waited   time.Duration // for the reader, and not for what there is to write
}

// slowest is how many bytes a second a reader takes at least, beyond the first minute: a few of them a minute would hold a place for days.
const slowest = 16 << 10

func (m *movingDeadline) Write(b []byte) (int, error) {
	began := m.now()
	left := time.Minute + time.Duration(m.written/slowest)*time.Second - m.waited
	if err := m.control.SetWriteDeadline(began.Add(min(m.patience, left))); err != nil {
		return 0, err
	}
	n, err := m.w.Write(b)
	m.written, m.waited = m.written+int64(n), m.waited+m.now().Sub(began)
	return n, err
}

func parseSum(text string) (sum [32]byte, err error) {
	if len(text) != hex.EncodedLen(len(sum)) {
		return sum, errors.New("not a SHA-256 in hex")
	}
	if _, err = hex.Decode(sum[:], []byte(text)); err != nil {
		return sum, errors.New("not a SHA-256 in hex")
	}
	return sum, nil
}

func readBody(r *http.Request, into any) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	if err := decMode.Unmarshal(b, into); err != nil {
		return fail(http.StatusBadRequest, "read request: %v", err)
	}
	return nil
}

func writeBody(w http.ResponseWriter, v any) error {
	b, err := encMode.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/cbor")
	_, err = w.Write(b)
	return err
}
