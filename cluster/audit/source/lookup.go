package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/lookup"
	"github.com/cordon-project/cordon/cluster/audit/strict"
)

// Lookup asks a control node (https://NAME:PORT) whether a name is listed, with an auditor's certificate. What comes back is for lookup.Verify.
// Errors are *Error where a person can do something.
func Lookup(ctx context.Context, target, name string, trust audit.TrustFile, c Config) (lookup.Answer, error) {
	none := lookup.Answer{}
	if c.Cert == "" {
		return none, unreadable(errors.New("a lookup needs an auditor's certificate"), "give --cert and --key: the operator makes them with cordon auditor-add")
	}
	req, err := strict.Encoding.Marshal(struct {
		Name string `cbor:"name"`
	}{name})
	if err != nil {
		return none, err
	}
	body, err := c.do(ctx, http.MethodPost, target, "/v1/lookup", bytes.NewReader(req), trust)
	if err != nil {
		return none, err
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, lookup.MaxAnswer+1))
	if err != nil {
		return none, unreadable(fmt.Errorf("answer of the node: %w", err), "ask again, or another node")
	}
	return lookup.Decode(b)
}

// refusal says what a node answered instead, with its own words where it has any.
func refusal(host string, resp *http.Response) error {
	do := "ask again in a minute, or another node"
	var said struct {
		Error string `json:"error"`
	}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // what cannot be read is not said
	if json.Unmarshal(b, &said) != nil || said.Error == "" {
		return unreadable(fmt.Errorf("node %s answers %d", host, resp.StatusCode), do)
	}
	switch resp.StatusCode {
	case http.StatusForbidden:
		do = "ask the operator for a certificate of the right kind (cordon auditor-add)"
	case http.StatusBadRequest:
		do = ""
	case http.StatusTooManyRequests:
		do = "ask again tomorrow, or another node"
	}
	return unreadable(fmt.Errorf("node %s answers %d: %s", host, resp.StatusCode, said.Error), do)
}
