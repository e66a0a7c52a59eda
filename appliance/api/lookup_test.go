package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/lookup"
	"github.com/cordon-project/cordon/cluster/audit/strict"
	"github.com/cordon-project/cordon/cluster/transport"
	"github.com/cordon-project/cordon/listsync/list/listtest"
)

func TestAnAuditorLooksNamesUpUntilTheDaysBudgetIsGone(t *testing.T) {
	s := serve(t)
	m := s.c.Members[0]
	m.Wait("the list in the checkpoint", func(n *cluster.Node) bool {
		x, err := n.Manifest(0)
		return err == nil && len(x.Lists) == 1
	})
	ask := func(client *http.Client, name string) (int, string) {
		b, err := strict.Encoding.Marshal(map[string]string{"name": name})
		if err != nil {
			t.Fatal(err)
		}
		return s.do(client, "POST", "/v1/lookup", b)
	}
	auditor := s.as(transport.RoleAuditor, "review")
	for name, listed := range map[string]bool{listtest.Name(5): true, "nothing.of-it.test": false} {
		code, body := ask(auditor, name)
		if code != http.StatusOK {
			t.Fatalf("%s: %d %s", name, code, body)
		}
		a, err := lookup.Decode([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		r, err := lookup.Verify(a, audit.NewTrustFile(s.c.Desc, ""), name, time.Now())
		if err != nil || r.Listed != listed {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
	if code, body := ask(auditor, "no name"); code != http.StatusBadRequest || strings.Contains(body, "no name") {
		t.Errorf("what is no name: %d %s", code, body)
	}
	for range api.LookupsADay - 3 {
		if code, body := ask(auditor, "nothing.of-it.test"); code != http.StatusOK {
			t.Fatalf("within the budget: %d %s", code, body)
		}
	}
	if code, body := ask(auditor, listtest.Name(5)); code != http.StatusTooManyRequests || !strings.Contains(body, "used up") {
		t.Errorf("beyond the budget: %d %s", code, body)
	}
	if code, _ := ask(s.as(transport.RoleAuditor, "another"), listtest.Name(5)); code != http.StatusOK {
		t.Errorf("another auditor: %d", code)
	}
	_, status := s.do(s.as(transport.RoleOperator, "ops"), "GET", "/v1/status", nil)
	if !strings.Contains(status, `"lookups":[{"auditor":"another","n":1,"most":200},{"auditor":"review","n":200,"most":200}]`) {
		t.Errorf("status does not count them: %s", status)
	}
}
