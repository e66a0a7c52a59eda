package audit_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

// withoutFiles is the bundle of a log without its list files.
func withoutFiles(t *testing.T, l *audittest.Log) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for r := tar.NewReader(bytes.NewReader(l.Bundle())); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(h.Name, "files/") {
			continue
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A receipt is judged by the log alone where the files are not at hand: the publish leaf says which index a quorum compiled.
func TestAReceiptOfAVersionWhoseFilesAreMissingIsStillJudged(t *testing.T) {
	l := audittest.Honest("index")
	r := verify(t, l, withoutFiles(t, l))
	if c, _ := r.Check(audit.CheckReceipts); !c.Pass {
		t.Errorf("honest receipts: %+v, want PASS", c)
	}
	if c, _ := r.Check(audit.CheckLists); c.Pass || !strings.Contains(c.Detail, "missing from the bundle") {
		t.Errorf("lists: %+v, want FAIL: the files are missing", c)
	}
	for edge := range l.Indexes {
		l.Indexes[edge] = sha256.Sum256([]byte("another"))
	}
	l.Receipts(audittest.E1)
	if c, _ := verify(t, l, withoutFiles(t, l)).Check(audit.CheckReceipts); c.Pass || !strings.Contains(c.Detail, "index not compiled from the signed lists") {
		t.Errorf("a receipt of another index: %+v, want FAIL", c)
	}
}
