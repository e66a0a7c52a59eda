package operator

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/identity"
	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
)

// asking is an operator whose only control node tells its status and is to be asked for nothing else.
func asking(t *testing.T, s api.Status) *Operator {
	t.Helper()
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/v1/status" {
			t.Errorf("the node was asked: %s %s", r.Method, r.URL.Path)
			w.WriteHeader(http.StatusTeapot)
			return
		}
		if err := json.NewEncoder(w).Encode(s); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(node.Close)
	return &Operator{clients: []*api.Client{api.NewClient(node.URL, nil)}}
}

// Two signatures are two people's: a person named twice would sign once, and leave a file that waits for somebody who thinks that all is done.
func TestTheSameOfficerTwiceIsRefusedInWords(t *testing.T) {
	dir := t.TempDir()
	ada, out := filepath.Join(dir, "ada"), filepath.Join(dir, "it.order")
	if _, err := identity.NewOfficer(ada, "ada", true); err != nil {
		t.Fatal(err)
	}
	o := asking(t, api.Status{Node: cluster.Status{Name: "c1", Orders: cluster.OrderStatus{
		Cluster: "08a0b6f4c63756b94673a288aeec45ec", Officers: []string{"ada", "grace"}, NeverBlock: strings.Repeat("ab", 32), Names: 7,
	}}})
	r := OrderRequest{Officers: []string{ada, ada + "/"}, Out: out, Reason: "error", For: time.Hour}
	for name, act := range map[string]func() error{
		"a bypass": func() error { _, err := o.Bypass(t.Context(), r, false); return err },
		"a policy": func() error { _, err := o.Policy(t.Context(), r); return err },
		"a decision about an appeal": func() error {
			_, err := o.DecideAppeal(t.Context(), audit.NewAppealRef().String(), string(audit.Outcomes[0]), r.Officers)
			return err
		},
	} {
		var bad *appliance.InputError
		if err := act(); !errors.As(err, &bad) || !strings.Contains(err.Error(), "--officer: ada is named twice; the second signature is another person's") {
			t.Errorf("%s: %v, want who is named twice", name, err)
		}
		if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("%s: a file waits for another signature (%v)", name, err)
		}
	}
}
