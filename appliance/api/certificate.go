package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// certificate is the scope certificate that this node's log yields for a span, for officers to sign.
func (s *Server) certificate(w http.ResponseWriter, r *http.Request, _ caller) error {
	from, err := strconv.ParseInt(r.FormValue("from"), 10, 64)
	if err != nil {
		return fail(http.StatusBadRequest, "from is not a time in unix seconds")
	}
	to, err := strconv.ParseInt(r.FormValue("to"), 10, 64)
	if err != nil {
		return fail(http.StatusBadRequest, "to is not a time in unix seconds")
	}
	d, err := s.node.Certificate(r.Context(), time.Unix(from, 0), time.Unix(to, 0))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = s.reading(w).Write(d.Encode())
	return err
}

// Certificate asks for the scope certificate of a span.
func (c *Client) Certificate(ctx context.Context, from, to time.Time) ([]byte, error) {
	q := url.Values{"from": {strconv.FormatInt(from.Unix(), 10)}, "to": {strconv.FormatInt(to.Unix(), 10)}}
	return c.read(c.send(ctx, c.slow, http.MethodGet, "/v1/certificate?"+q.Encode(), nil))
}
