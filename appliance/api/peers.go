package api

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
)

// Peers reaches the other control nodes of a cluster by name. It is the cluster.Peers of a running node.
type Peers map[string]*Client

// NewPeers returns a client for each member; urls are their API addresses by name.
func NewPeers(urls map[string]string, tlsConfig *tls.Config) Peers {
	p := make(Peers, len(urls))
	for name, url := range urls {
		p[name] = NewClient(url, tlsConfig)
	}
	return p
}

func (p Peers) member(name string) (*Client, error) {
	c, ok := p[name]
	if !ok {
		return nil, fmt.Errorf("member %s has no API address in this node's configuration", name)
	}
	return c, nil
}

// Stage asks a member for its verdict.
func (p Peers) Stage(ctx context.Context, member string, req cluster.StageRequest) (audit.SignedVerdict, error) {
	c, err := p.member(member)
	if err != nil {
		return audit.SignedVerdict{}, err
	}
	return c.Stage(ctx, req)
}

// Cosign asks a member for its cosignature.
func (p Peers) Cosign(ctx context.Context, member string, size uint64, root [32]byte) ([]byte, error) {
	c, err := p.member(member)
	if err != nil {
		return nil, err
	}
	return c.Cosign(ctx, size, root)
}

// Return asks a member for its word about an order to go back to an earlier version.
func (p Peers) Return(ctx context.Context, member string, statement []byte) (audit.SignedReturnVerdict, error) {
	c, err := p.member(member)
	if err != nil {
		return audit.SignedReturnVerdict{}, err
	}
	return c.Return(ctx, statement)
}

// Forward hands a member, as leader, a command.
func (p Peers) Forward(ctx context.Context, member string, command []byte) ([]byte, error) {
	c, err := p.member(member)
	if err != nil {
		return nil, err
	}
	return c.Forward(ctx, command)
}

// File opens a file that a member holds.
func (p Peers) File(ctx context.Context, member string, sum [32]byte) (io.ReadCloser, error) {
	c, err := p.member(member)
	if err != nil {
		return nil, err
	}
	return c.File(ctx, sum)
}
