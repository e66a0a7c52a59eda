package audit_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/publiclog"
)

// An edge needs no policy and no history to see that a version is not in the public log that its charter names.
func TestAnEdgeRefusesAVersionThatIsNotInThePublicLog(t *testing.T) {
	for name, test := range map[string]struct {
		lie  func(l *audittest.Log, p audit.Publish) []byte
		want error
	}{
		"honest":      {func(_ *audittest.Log, p audit.Publish) []byte { return p.PublicProof }, nil},
		"without one": {func(*audittest.Log, audit.Publish) []byte { return nil }, publiclog.ErrProof},
		"a bit of the note": {func(_ *audittest.Log, p audit.Publish) []byte {
			return bytes.Replace(p.PublicProof, []byte("\n\ncanary"), []byte("\n\ncanarz"), 1)
		}, publiclog.ErrProof},
		"of another version": {func(l *audittest.Log, _ audit.Publish) []byte {
			b, err := l.Hotline.Log.Proof(0, 2, l.Hotline.Log.Head(1)).Encode()
			if err != nil {
				t.Fatal(err)
			}
			return b
		}, publiclog.ErrProof},
	} {
		t.Run(name, func(t *testing.T) {
			l := audittest.New("public log")
			l.Hotline.KeepLog()
			l.Publish(30)
			l.PublishWith(31, func(p audit.Publish) audit.Publish {
				p.PublicProof = test.lie(l, p)
				return p
			})
			_, err := l.Desc.Quorum().OpenManifest(l.Manifest(0), l.Desc.Anchors())
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestAHotlineWithoutAPublicLogIsNoted(t *testing.T) {
	l := audittest.Honest("public log")
	r, err := audit.Verify(context.Background(), bytes.NewReader(l.Bundle()), l.TrustFile(), audit.Options{Now: l.Now.Add(time.Minute)})
	if err != nil || !r.Pass {
		t.Fatalf("%v\n%s", err, reportText(r))
	}
	if c, _ := r.Check(audit.CheckPublicLog); !c.Pass || !strings.HasPrefix(c.Detail, "0 of 2 versions") {
		t.Errorf("got %+v", c)
	}
	if n := strings.Count(strings.Join(r.Notes, "\n"), "names no public log"); n != 1 {
		t.Errorf("%d notes of it:\n%s", n, strings.Join(r.Notes, "\n"))
	}
}
