package clustertest

import (
	"context"
	"errors"
	"io"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/trust"
)

// peers reaches the other members by function calls.
type peers struct {
	c    *Cluster
	from string
}

var errUnreachable = errors.New("member cannot be reached")

func (p peers) to(member string) (*cluster.Node, error) {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	for _, m := range p.c.Members {
		if m.Name == member && m.node != nil && !p.c.cut[[2]string{p.from, member}] {
			return m.node, nil
		}
	}
	return nil, errUnreachable
}

func (p peers) Stage(ctx context.Context, member string, req cluster.StageRequest) (audit.SignedVerdict, error) {
	n, err := p.to(member)
	if err != nil {
		return audit.SignedVerdict{}, err
	}
	b, err := req.Encode()
	if err != nil {
		return audit.SignedVerdict{}, err
	}
	if req, err = cluster.DecodeStageRequest(b); err != nil {
		return audit.SignedVerdict{}, err
	}
	return n.Stage(ctx, req, func(_ context.Context, f trust.File) (io.ReadCloser, error) {
		for _, m := range p.c.Members {
			if m.Name == req.From {
				return m.Files.Open(f.SHA256)
			}
		}
		return nil, errUnreachable
	})
}

func (p peers) Cosign(ctx context.Context, member string, size uint64, root [32]byte) ([]byte, error) {
	n, err := p.to(member)
	if err != nil {
		return nil, err
	}
	return n.Cosign(ctx, p.from, size, root)
}

func (p peers) Return(ctx context.Context, member string, statement []byte) (audit.SignedReturnVerdict, error) {
	n, err := p.to(member)
	if err != nil {
		return audit.SignedReturnVerdict{}, err
	}
	return n.Return(ctx, statement)
}

func (p peers) Forward(ctx context.Context, member string, command []byte) ([]byte, error) {
	n, err := p.to(member)
	if err != nil {
		return nil, err
	}
	return n.Forwarded(ctx, command)
}
