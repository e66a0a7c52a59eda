package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/resolver/match"
)

// Client asks one control node. It may be used concurrently. It follows no redirect and uses no proxy: the certificate of the cluster's
// own authority names who may answer.
type Client struct {
	base string
	says []func(http.Header) // with each request for the manifest
	care string              // what is said of our own keys with each request
	http *http.Client        // answers, or at least begins to, within its long poll
	slow *http.Client        // for staging, which takes minutes for a large list; callers bound it by context
}

// NewClient returns a client of the control node at base (https://ADDRESS:PORT). tlsConfig says who we are and whom we trust; it is cloned.
func NewClient(base string, tlsConfig *tls.Config) *Client {
	return &Client{base: strings.TrimRight(base, "/"), http: newHTTP(tlsConfig, longPoll+10*time.Second), slow: newHTTP(tlsConfig, 0)}
}

func newHTTP(tlsConfig *tls.Config, header time.Duration) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig:       tlsConfig.Clone(),
			TLSHandshakeTimeout:   5 * time.Second,
			DialContext:           (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
			ResponseHeaderTimeout: header,
			MaxIdleConnsPerHost:   4,
			IdleConnTimeout:       time.Minute,
			ForceAttemptHTTP2:     true,
			HTTP2:                 &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second}, // a stopped process still acknowledges TCP
			DisableCompression:    true,
		},
	}
}

// Saying has the client tell each node it asks how the asking edge keeps its keys. Call it before the client is used.
func (c *Client) Saying(k KeyCare) *Client {
	c.care = k.header()
	return c
}

// Base is the URL that this client asks.
func (c *Client) Base() string { return c.base }

// Status is the node's view of itself and of the others.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	b, err := c.get(ctx, "/v1/status")
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("read status of %s: %w", c.base, err)
	}
	return s, nil
}

// Manifest waits until the node has a newer checkpoint than one over since leaves and returns what is in force, with proofs from since.
// ErrNothingNew when the node had none within its long poll.
func (c *Client) Manifest(ctx context.Context, since uint64) (audit.Manifest, error) {
	q := url.Values{"since": {strconv.FormatUint(since, 10)}}
	b, err := c.get(ctx, "/v1/manifest?"+q.Encode())
	if err != nil {
		return audit.Manifest{}, err
	}
	m, err := audit.DecodeManifest(b)
	if err != nil {
		return audit.Manifest{}, fmt.Errorf("read manifest of %s: %w", c.base, err)
	}
	return m, nil
}

// File opens a file by its hash. The caller verifies what it reads and closes it.
func (c *Client) File(ctx context.Context, sum [32]byte) (io.ReadCloser, error) {
	return c.open(ctx, http.MethodGet, "/v1/files/"+hex.EncodeToString(sum[:]), nil)
}

// Keys returns an epoch's keys wrapped to the asking edge's own age key.
func (c *Client) Keys(ctx context.Context, list match.ListID, epoch uint32) ([]byte, error) {
	return c.post(ctx, "/v1/keys", keysRequest{List: list, Epoch: epoch})
}

// Receipt hands in an edge's signed receipt.
func (c *Client) Receipt(ctx context.Context, r audit.SignedReceipt) error {
	_, err := c.post(ctx, "/v1/receipts", r)
	return err
}

// Stage asks the node to fetch and check a list and to sign a verdict.
func (c *Client) Stage(ctx context.Context, req cluster.StageRequest) (audit.SignedVerdict, error) {
	var v audit.SignedVerdict
	body, err := req.Encode()
	if err != nil {
		return v, err
	}
	b, err := c.read(c.send(ctx, c.slow, http.MethodPost, "/v1/stage", body))
	if err != nil {
		return v, err
	}
	if err := decMode.Unmarshal(b, &v); err != nil {
		return v, fmt.Errorf("read verdict of %s: %w", c.base, err)
	}
	return v, nil
}

// Return asks the node for its word about an order to go back to an earlier version.
func (c *Client) Return(ctx context.Context, statement []byte) (audit.SignedReturnVerdict, error) {
	var v audit.SignedReturnVerdict
	b, err := c.read(c.send(ctx, c.slow, http.MethodPost, "/v1/return", statement))
	if err != nil {
		return v, err
	}
	if err := decMode.Unmarshal(b, &v); err != nil {
		return v, fmt.Errorf("read verdict of %s: %w", c.base, err)
	}
	return v, nil
}

// WayBack asks the node for the order that would bring an earlier version of a list back, for officers to sign.
func (c *Client) WayBack(ctx context.Context, list match.ListID, seq uint64) (order.Return, error) {
	var r order.Return
	q := url.Values{"list": {string(list)}, "seq": {strconv.FormatUint(seq, 10)}}
	b, err := c.read(c.send(ctx, c.slow, http.MethodGet, "/v1/wayback?"+q.Encode(), nil))
	if err != nil {
		return r, err
	}
	if err := decMode.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("read answer of %s: %w", c.base, err)
	}
	return r, nil
}

// Which asks the node which entries of lists in force stop a name.
func (c *Client) Which(ctx context.Context, name string) ([]cluster.Which, error) {
	b, err := c.post(ctx, "/v1/which", whichRequest{name})
	if err != nil {
		return nil, err
	}
	var found []cluster.Which
	if err := decMode.Unmarshal(b, &found); err != nil {
		return nil, fmt.Errorf("read answer of %s: %w", c.base, err)
	}
	return found, nil
}

// Cosign asks the node for its cosignature of a tree head.
func (c *Client) Cosign(ctx context.Context, size uint64, root [32]byte) ([]byte, error) {
	return c.post(ctx, "/v1/cosign", cosignRequest{Size: size, Root: root[:]})
}

// Forward hands the node, as leader, an encoded command and returns its encoded result.
func (c *Client) Forward(ctx context.Context, command []byte) ([]byte, error) {
	return c.postBytes(ctx, "/v1/forward", command)
}

// Delta opens what makes the files of the version with this edge list.
func (c *Client) Delta(ctx context.Context, edge [32]byte) (io.ReadCloser, error) {
	return c.open(ctx, http.MethodGet, "/v1/deltas/"+hex.EncodeToString(edge[:]), nil)
}

// Bundle copies this part of the node's log to w, as a bundle.
func (c *Client) Bundle(ctx context.Context, part audit.Part, w io.Writer) error {
	body, err := c.open(ctx, http.MethodGet, "/v1/bundle"+query(part), nil)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(w, body); err != nil {
		return fmt.Errorf("read bundle of %s: %w", c.base, err)
	}
	return nil
}

// ChangeEdge enrols an edge, or removes it, in the cluster's log.
func (c *Client) ChangeEdge(ctx context.Context, e EdgeChange) error {
	_, err := c.post(ctx, "/v1/edges", e)
	return err
}

// Held is what brakes hold back.
func (c *Client) Held(ctx context.Context) ([]Held, error) {
	var out []Held
	return out, c.patient(ctx, "/v1/held", &out)
}

// Simulate asks what the versions that hotlines publish now would change; an empty list means all lists.
func (c *Client) Simulate(ctx context.Context, list match.ListID) ([]Simulated, error) {
	var out []Simulated
	return out, c.patient(ctx, "/v1/simulate?"+url.Values{"list": {string(list)}}.Encode(), &out)
}

// patient gets JSON that may take minutes to make.
func (c *Client) patient(ctx context.Context, path string, into any) error {
	b, err := c.read(c.send(ctx, c.slow, http.MethodGet, path, nil))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("read answer of %s: %w", c.base, err)
	}
	return nil
}

// Order hands in what officers have signed.
func (c *Client) Order(ctx context.Context, statement []byte) (Ordered, error) {
	var o Ordered
	b, err := c.postBytes(ctx, "/v1/orders", statement)
	if err != nil {
		return o, err
	}
	if err := decMode.Unmarshal(b, &o); err != nil {
		return o, fmt.Errorf("read answer of %s: %w", c.base, err)
	}
	return o, nil
}

func (c *Client) get(ctx context.Context, path string) ([]byte, error) {
	return c.read(c.open(ctx, http.MethodGet, path, nil))
}

func (c *Client) post(ctx context.Context, path string, body any) ([]byte, error) {
	b, err := encMode.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	return c.postBytes(ctx, path, b)
}

func (c *Client) postBytes(ctx context.Context, path string, body []byte) ([]byte, error) {
	return c.read(c.open(ctx, http.MethodPost, path, body))
}

func (c *Client) read(body io.ReadCloser, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read answer of %s: %w", c.base, err)
	}
	if len(b) > maxAnswer {
		return nil, fmt.Errorf("answer of %s is larger than %d bytes", c.base, maxAnswer)
	}
	return b, nil
}

// open sends a request and returns the body of a good answer; anything else becomes an error with the node's own words.
func (c *Client) open(ctx context.Context, method, path string, body []byte) (io.ReadCloser, error) {
	return c.send(ctx, c.http, method, path, body)
}

func (c *Client) send(ctx context.Context, h *http.Client, method, path string, body []byte) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.base, err)
	}
	if c.care != "" {
		req.Header.Set(careHeader, c.care)
	}
	if strings.HasPrefix(path, "/v1/manifest?") {
		for _, say := range c.says {
			say(req.Header)
		}
	}
	res, err := h.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // the URL is said already
		}
		return nil, fmt.Errorf("ask %s: %w", c.base, err)
	}
	switch res.StatusCode {
	case http.StatusOK:
		return res.Body, nil
	case http.StatusNotModified:
		res.Body.Close()
		return nil, ErrNothingNew
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	var said problem
	if json.Unmarshal(text, &said) == nil && said.Error != "" {
		return nil, &AnswerError{Base: c.base, Code: res.StatusCode, Text: said.Error}
	}
	return nil, &AnswerError{Base: c.base, Code: res.StatusCode, Text: http.StatusText(res.StatusCode)}
}

// AnswerError is a control node's refusal of a request, in its own words.
type AnswerError struct {
	Base string
	Code int // HTTP status
	Text string
}

func (e *AnswerError) Error() string {
	return fmt.Sprintf("%s answers: %s", e.Base, audit.Escape(e.Text))
}
