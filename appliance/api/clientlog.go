package api

import "context"

// Checkpoint is the node's newest cosigned checkpoint, as a note. The caller verifies it.
func (c *Client) Checkpoint(ctx context.Context) ([]byte, error) { return c.get(ctx, "/checkpoint") }

// Tile is a file of the node's log, by its path in C2SP tlog-tiles ("tile/..."). The caller holds it to a checkpoint.
func (c *Client) Tile(ctx context.Context, path string) ([]byte, error) {
	return c.get(ctx, "/"+path)
}
