// Package operator is the operator's side of a cluster: asks its control nodes, and hands in what officers sign.
//
// In come a profile (of cordon init, or dev.json) and officers' keys; out come orders in the cluster's log, files, and nodes' answers, which
// package report below says in words. It needs nothing of a node but its HTTP API, believes the operator's own nodes, and asks each in turn until
// one has done it; what was decided is for auditors to verify. Every method may be called concurrently.
package operator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/identity"
	"github.com/cordon-project/cordon/cluster/audit"
)

// Operator asks an operator's control nodes, with an operator's certificate.
type Operator struct {
	clients []*api.Client
}

// Open reads a profile (profile.json of cordon init, or dev.json).
func Open(profile string) (*Operator, error) {
	p, err := identity.LoadProfile(profile)
	if err != nil {
		return nil, appliance.BadInput(err)
	}
	tlsConfig, err := p.TLS()
	if err != nil {
		return nil, appliance.BadInput(err)
	}
	o := &Operator{}
	for _, url := range p.API {
		o.clients = append(o.clients, api.NewClient(url, tlsConfig))
	}
	return o, nil
}

// NodeStatus is one control node's answer, or why there is none.
type NodeStatus struct {
	URL    string      `json:"url"`
	Error  string      `json:"error,omitempty"`
	Status *api.Status `json:"status"` // nil when there is no answer
}

// Status asks every control node at once, each for at most five seconds.
func (o *Operator) Status(ctx context.Context) []NodeStatus {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	all := make([]NodeStatus, len(o.clients))
	var wg sync.WaitGroup
	for i, c := range o.clients {
		wg.Go(func() {
			all[i].URL = c.Base()
			if s, err := c.Status(ctx); err != nil {
				all[i].Error = err.Error()
			} else {
				all[i].Status = &s
			}
		})
	}
	wg.Wait()
	return all
}

// Bundle writes what an auditor verifies to path, of every list version or of those in force, from the first control node that gives it whole.
func (o *Operator) Bundle(ctx context.Context, path string, all bool) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".bundle-*")
	if err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	err = o.first(ctx, func(ctx context.Context, c *api.Client) error {
		if err := tmp.Truncate(0); err != nil {
			return err
		}
		if _, err := tmp.Seek(0, io.SeekStart); err != nil {
			return err
		}
		return c.Bundle(ctx, audit.Part{All: all}, tmp)
	})
	if err != nil {
		return fmt.Errorf("get bundle: %w", err)
	}
	if err := errors.Join(tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	return os.Rename(tmp.Name(), path)
}

// Enrol has the cluster record an edge, as identity.AddEdge described it.
func (o *Operator) Enrol(ctx context.Context, e identity.Enrolment) error {
	return o.first(ctx, func(ctx context.Context, c *api.Client) error {
		return c.ChangeEdge(ctx, api.EdgeChange{Action: "add", Name: e.Name, Key: e.Key, Recipient: e.Recipient})
	})
}

// Dismiss has the cluster remove an edge: it gets no more keys and its receipts are refused.
func (o *Operator) Dismiss(ctx context.Context, name string) error {
	return o.first(ctx, func(ctx context.Context, c *api.Client) error {
		return c.ChangeEdge(ctx, api.EdgeChange{Action: "remove", Name: name})
	})
}

// ErrRefused marks what the cluster has decided against.
var ErrRefused = errors.New("refused by the cluster")

// Order hands in what officers have signed. What the cluster decides against is ErrRefused, with its words.
func (o *Operator) Order(ctx context.Context, statement []byte) (api.Ordered, error) {
	var done api.Ordered
	err := o.first(ctx, func(ctx context.Context, c *api.Client) (err error) {
		done, err = c.Order(ctx, statement)
		return err
	})
	var said *api.AnswerError
	if errors.As(err, &said) && (said.Code == http.StatusConflict || said.Code == http.StatusBadRequest) {
		return done, fmt.Errorf("%w: %s", ErrRefused, said.Text)
	}
	return done, err
}

// Newest is the status of the control node that answers with the longest log; an error when none answers.
func (o *Operator) Newest(ctx context.Context) (api.Status, error) {
	nodes := o.Status(ctx)
	if best := LongestLog(nodes); best != nil {
		return *best.Status, nil
	}
	var errs []error
	for _, n := range nodes {
		errs = append(errs, errors.New(n.Error))
	}
	return api.Status{}, fmt.Errorf("no control node answers: %w", errors.Join(errs...))
}

// LongestLog is the answer of the node with the longest log; nil when no node answers.
func LongestLog(nodes []NodeStatus) *NodeStatus {
	var best *NodeStatus
	for i := range nodes {
		if n := &nodes[i]; n.Status != nil && (best == nil || n.Status.Node.LogSize > best.Status.Node.LogSize) {
			best = n
		}
	}
	return best
}

// newestFirst is first, beginning with the node that has the longest log: what was decided a moment ago is there.
func (o *Operator) newestFirst(ctx context.Context, ask func(context.Context, *api.Client) error) error {
	nodes := o.Status(ctx)
	best := LongestLog(nodes)
	if best == nil {
		return o.first(ctx, ask)
	}
	sorted := Operator{}
	for i := range nodes {
		if &nodes[i] == best {
			sorted.clients = append([]*api.Client{o.clients[i]}, sorted.clients...)
		} else {
			sorted.clients = append(sorted.clients, o.clients[i])
		}
	}
	return sorted.first(ctx, ask)
}

// first asks the control nodes in turn until one has done it; a node's own refusal ends the search.
func (o *Operator) first(ctx context.Context, ask func(context.Context, *api.Client) error) error {
	var errs []error
	for _, c := range o.clients {
		err := ask(ctx, c)
		var said *api.AnswerError
		if err == nil || errors.As(err, &said) && said.Code < 500 {
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
