package api

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cordon-project/cordon/cluster/audit/figures"
)

// FigureHours is how many hours an edge keeps for control nodes that cannot be reached; older ones are lost.
const FigureHours = 48

// FigureStore keeps edges' figures; the shelf of appliance/control satisfies it. It may be called concurrently.
type FigureStore interface {
	// Add keeps one statement, durably when it returns nil; the same hour of an edge again is nil. cluster.ErrRequest when it is too late or
	// too early for it, cluster.ErrBusy when there is no room.
	Add(f figures.Figures, signed figures.Signed) error
	// Write writes the records of the hours that begin from from on and before to.
	Write(w io.Writer, from, to time.Time) error
}

// addFigures takes what an edge has counted, with its noise.
func (s *Server) addFigures(_ http.ResponseWriter, r *http.Request, who caller) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	signed, err := figures.Decode(b)
	if err != nil {
		return fail(http.StatusBadRequest, "%w", err)
	}
	edge, ok := s.node.View().Edge(who.name)
	if !ok {
		return fail(http.StatusForbidden, "edge %s is not enrolled", who.name)
	}
	f, err := signed.Verify(edge.Key)
	switch {
	case err != nil:
		return fail(http.StatusBadRequest, "%w", err)
	case f.Edge != who.name || f.Cluster != s.cluster.ID():
		return fail(http.StatusForbidden, "the figures are of another edge or cluster")
	}
	return s.figures.Add(f, signed)
}

// getFigures gives the figures that this node has, for anyone: they are made to be published.
func (s *Server) getFigures(w http.ResponseWriter, r *http.Request, _ caller) error {
	from, err := strconv.ParseInt(r.FormValue("from"), 10, 64)
	if err != nil {
		return fail(http.StatusBadRequest, "from is not a time in unix seconds")
	}
	to, err := strconv.ParseInt(r.FormValue("to"), 10, 64)
	if err != nil {
		return fail(http.StatusBadRequest, "to is not a time in unix seconds")
	}
	leave, ok := s.readers.enter(r.RemoteAddr)
	if !ok {
		return fail(http.StatusServiceUnavailable, "others are reading; ask again in a minute")
	}
	defer leave()
	w.Header().Set("Content-Type", "application/octet-stream")
	if err := s.figures.Write(s.reading(w), time.Unix(from, 0), time.Unix(to, 0)); err != nil {
		s.warn(r, "figures broke off", slog.Any("error", err))
		panic(http.ErrAbortHandler)
	}
	return nil
}

// AddFigures hands in an edge's figures of an hour.
func (c *Client) AddFigures(ctx context.Context, signed figures.Signed) error {
	_, err := c.postBytes(ctx, "/v1/figures", figures.AppendRecord(nil, signed)[4:])
	return err
}

// Figures opens the records that the node has of a time, in the form of a file of figures; the caller closes it.
func (c *Client) Figures(ctx context.Context, from, to time.Time) (io.ReadCloser, error) {
	q := url.Values{"from": {strconv.FormatInt(from.Unix(), 10)}, "to": {strconv.FormatInt(to.Unix(), 10)}}
	return c.open(ctx, http.MethodGet, "/v1/figures?"+q.Encode(), nil)
}
