package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// record is what the log keeps of the operator's own work: a complaint and its decision, the programs that run, a certificate that two officers
// sign one after the other. An auditor follows all of it, and is told of a document that the log does not make and of a program that is not known.
func (w *world) record(officers []string, trust string) {
	w.t.Helper()
	profile := w.join("picture", "dev.json")
	say := func(command string, args ...string) string {
		w.t.Helper()
		return w.run("cordon", append([]string{command, "--profile", profile}, args...)...)
	}
	begun := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)

	out := w.run("cordon", "appeal", "new", "--profile", profile, "--due", "1", "--received", time.Now().AddDate(0, 0, -3).Format(time.DateOnly))
	ref, _, _ := strings.Cut(out, "\n")
	w.awaitStatus(profile, 1, "1 of 1 open appeals are not decided in their time")
	if out := w.run("cordon", "appeal", "list", "--profile", profile, "--overdue"); !strings.Contains(out, ref+"  OVERDUE") {
		w.t.Errorf("appeal list:\n%s", out)
	}
	w.run("cordon", "appeal", "decide", "--profile", profile, ref, "--outcome", "rejected", "--officer", officers[0])
	if out, code := w.try("cordon", "appeal", "decide", "--profile", profile, ref, "--outcome", "upheld", "--officer", officers[1]); code != 5 || !strings.Contains(out, "decided before") {
		w.t.Errorf("a second decision: exit %d\n%s", code, out)
	}
	w.awaitStatus(profile, 0, "Programs, as the nodes signed:", ": c1, c2, c3, e1")

	decided := time.Now().Unix()
	w.await("the second of the decision to be over: a certificate is of the time before its end", func() error {
		if now := time.Now().Unix(); now <= decided {
			return fmt.Errorf("it is %d", now)
		}
		return nil
	})
	end := time.Unix(decided+1, 0).UTC().Format(time.RFC3339)
	document, order := w.join("certificate.json"), w.join("certificate.order")
	say("certify", "--from", begun, "--to", end, "--document", document, "--out", order, "--officer", officers[0])
	w.run("cordon", "countersign", "--officer", officers[1], order)
	say("submit", order)
	leaves := w.join("record.tar")
	w.await("a checkpoint over the certificate", func() error {
		say("bundle", "--out", leaves)
		if out, code := w.try("cordon-audit", "certificate", "--trust", trust, document, leaves); code != 0 {
			return fmt.Errorf("cordon-audit certificate: exit %d\n%s", code, out)
		}
		return nil
	})
	b, err := os.ReadFile(document)
	if err != nil {
		w.t.Fatal(err)
	}
	better := strings.Replace(string(b), `"received": 1`, `"received": 0`, 1)
	if better == string(b) {
		w.t.Fatalf("the certificate counts no appeal:\n%s", b)
	}
	if err := os.WriteFile(w.join("better.json"), []byte(better), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if out, code := w.try("cordon-audit", "certificate", "--trust", trust, w.join("better.json"), leaves); code != 5 || !strings.Contains(out, "FAIL  document") || !strings.Contains(out, "FAIL  signed") {
		w.t.Errorf("a certificate that was changed: exit %d\n%s", code, out)
	}

	program, err := os.ReadFile(filepath.Join(binaries, "cordon"))
	if err != nil {
		w.t.Fatal(err)
	}
	known := w.join("known.sha256")
	builds := func(sum [32]byte) (string, int) {
		if err := os.WriteFile(known, fmt.Appendf(nil, "%x  cordon\n", sum), 0o600); err != nil {
			w.t.Fatal(err)
		}
		return w.try("cordon-audit", "verify", "--trust", trust, "--builds", known, leaves)
	}
	if out, code := builds(sha256.Sum256(program)); code != 0 {
		w.t.Errorf("the program that runs, known: exit %d\n%s", code, out)
	}
	if out, code := builds(sha256.Sum256(nil)); code != 5 || !strings.Contains(out, "edge e1 says that it runs cordon") {
		w.t.Errorf("the program that runs, not known: exit %d\n%s", code, out)
	}
}
