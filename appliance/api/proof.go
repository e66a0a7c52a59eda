package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
)

// proof answers with a C2SP tlog-proof of one leaf, under the checkpoint that this node shows.
func (s *Server) proof(w http.ResponseWriter, r *http.Request, _ caller) error {
	n, err := strconv.ParseUint(r.PathValue("leaf"), 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != r.PathValue("leaf") {
		return fail(http.StatusBadRequest, "leaf is not a number")
	}
	note := s.node.Checkpoint() // before the view, so that the view's tree covers it
	if note == nil {
		return cluster.ErrNotYet
	}
	b, err := audit.NewProof(s.node.View().Tree(), note, n)
	if err != nil {
		return fail(http.StatusNotFound, "no checkpoint covers leaf %d yet, or there is none: %v", n, err)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err = w.Write(b)
	return err
}

// Proof is a node's proof of one leaf (audit.OpenProof).
func (c *Client) Proof(ctx context.Context, leaf uint64) ([]byte, error) {
	return c.get(ctx, "/v1/proof/"+strconv.FormatUint(leaf, 10))
}
