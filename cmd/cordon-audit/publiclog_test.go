package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

// A hotline's repository may give a file now and then, each within a file's time: the whole of it has a time, too.
func TestASlowRepositoryDoesNotHoldAnAuditorForEver(t *testing.T) {
	l := audittest.New("tool")
	log := l.Hotline.KeepLog()
	l.Publish(30)
	files := log.Files()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		if strings.HasPrefix(name, "log/tile/entries/") {
			<-r.Context().Done()
			return
		}
		b, ok := files[name]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(b)
	}))
	defer s.Close()
	trust, bundle := write(t, "trust.json", l.TrustFile()), write(t, "bundle.tar", l.Bundle())
	code, stdout, stderr := tool(t, "publiclog", "--timeout", "4s", "--trust", trust, s.URL, bundle)
	if code != 3 || !strings.Contains(stderr, "context deadline exceeded") || strings.Contains(stderr, "Client.Timeout") {
		t.Errorf("code %d\n%s%s", code, stdout, stderr)
	}
}
