package api_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/listsync/trust"
)

// posted takes what begins with "good" and hands it out again.
type posted struct{ all [][]byte }

func (p *posted) All() [][]byte { return p.all }

func (p *posted) Take(_ context.Context, raw []byte) (api.Taken, error) {
	switch {
	case bytes.HasPrefix(raw, []byte("refused")):
		return api.Taken{}, fmt.Errorf("withdraw: %w", cluster.ErrRefused)
	case !bytes.HasPrefix(raw, []byte("good")):
		return api.Taken{}, errors.Join(api.ErrStatement, trust.ErrSignature)
	}
	p.all = append(p.all, raw)
	return api.Taken{List: "hotline-one/main", Number: 3, Complete: true, State: api.TakenAgreed}, nil
}

func TestAnyoneMayPostAWithdrawalThatVerifies(t *testing.T) {
	s := serve(t)
	anyone := s.as("", "")
	for body, want := range map[string]int{
		"good one": http.StatusOK, "": http.StatusBadRequest, "nonsense": http.StatusBadRequest, "refused by the cluster": http.StatusConflict,
		"good " + strings.Repeat("x", trust.MaxWithdrawal): http.StatusRequestEntityTooLarge,
	} {
		code, text := s.do(anyone, "POST", "/v1/withdrawals", []byte(body))
		if code != want {
			t.Errorf("%.20q: %d %s, want %d", body, code, text, want)
		}
		if want == http.StatusBadRequest && !strings.Contains(text, "signature") {
			t.Errorf("%.20q: %s, want the reason", body, text)
		}
		var taken api.Taken
		if want == http.StatusOK && (json.Unmarshal([]byte(text), &taken) != nil || taken.State != api.TakenAgreed || taken.Number != 3) {
			t.Errorf("answer %s", text)
		}
	}
	c := api.NewClient(s.url, &tls.Config{RootCAs: s.c.CA.Pool(), InsecureSkipVerify: true})
	got, err := c.Withdrawals(t.Context())
	if err != nil || len(got) != 1 || string(got[0]) != "good one" {
		t.Errorf("withdrawals %q, %v; want the good one", got, err)
	}
	looked := 0
	for range 60 {
		if code, _ := s.do(anyone, "POST", "/v1/withdrawals", []byte("nonsense")); code != http.StatusTooManyRequests {
			looked++
		}
	}
	if looked > 40 {
		t.Errorf("%d statements of a flood were looked at", looked)
	}
}
