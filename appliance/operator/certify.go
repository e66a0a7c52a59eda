package operator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit/certificate"
	"github.com/cordon-project/cordon/cluster/audit/order"
)

// CertifyRequest is a scope certificate as a person asks for it.
type CertifyRequest struct {
	From, To time.Time // To is not part of it
	Document string    // file to write the document to; a file that is there must be the same
	Probes   []string  // files with results of cordon-audit probe --json
}

// maxProbe bounds the file of a probe's results.
const maxProbe = 4 << 20

// Certify makes the document of a span, writes it beside, and signs its hash with the officers at hand. The document is what a control node
// says that its log yields; it takes the order only when its own log does, and auditors make it again.
func (o *Operator) Certify(ctx context.Context, r OrderRequest, c CertifyRequest) (Decision, certificate.Document, error) {
	var d certificate.Document
	st, err := o.Newest(ctx)
	if err != nil {
		return Decision{}, d, err
	}
	var raw []byte
	err = o.newestFirst(ctx, func(ctx context.Context, client *api.Client) (err error) {
		raw, err = client.Certificate(ctx, c.From, c.To)
		return err
	})
	var said *api.AnswerError
	if errors.As(err, &said) && said.Code == http.StatusBadRequest {
		return Decision{}, d, appliance.BadInput(errors.New(strings.TrimSuffix(said.Text, ": "+cluster.ErrRequest.Error())))
	} else if err != nil {
		return Decision{}, d, err
	}
	if d, err = certificate.Parse(raw); err != nil {
		return Decision{}, d, err
	}
	body := order.Certificate{From: int64(d.From), To: int64(d.To), Size: d.End.Size, Hash: d.Hash()}
	if body.From != c.From.Unix() || body.To != c.To.Unix() || d.Cluster != st.Node.Orders.Cluster {
		return Decision{}, d, errors.New("the control node's certificate is of another time or cluster than was asked for")
	}
	if d.End.Size == 0 {
		return Decision{}, d, appliance.BadInput(fmt.Errorf("the log has nothing from before %s: there is nothing to certify", c.To.Format(time.RFC3339)))
	}
	for _, path := range c.Probes {
		sum, err := fileSum(path)
		if err != nil {
			return Decision{}, d, appliance.BadInput(fmt.Errorf("--probe: %w", err))
		}
		body.Probes = append(body.Probes, sum)
	}
	slices.SortFunc(body.Probes, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
	body.Probes = slices.Compact(body.Probes)
	if err := keepDocument(c.Document, raw); err != nil {
		return Decision{}, d, err
	}
	done, err := o.decide(ctx, r, st, body)
	return done, d, err
}

// keepDocument writes the document, and leaves a file that is the same as it is.
func keepDocument(path string, raw []byte) error {
	switch have, err := os.ReadFile(path); {
	case err == nil && bytes.Equal(have, raw):
		return nil
	case err == nil:
		return appliance.BadInput(fmt.Errorf("%s is there and is another document; name another file with --document", path))
	}
	if err := renameio.WriteFile(path, raw, 0o644); err != nil {
		return fmt.Errorf("write certificate: %w", err)
	}
	return nil
}

func fileSum(path string) ([32]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return [32]byte{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxProbe+1))
	if err != nil {
		return [32]byte{}, err
	}
	if len(b) == 0 || len(b) > maxProbe {
		return [32]byte{}, fmt.Errorf("%s has %d bytes, 1 to %d can be a probe's results", path, len(b), maxProbe)
	}
	return sha256.Sum256(b), nil
}
