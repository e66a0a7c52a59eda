package publish

import (
	"os"
	"strings"
	"testing"
)

// A disk that fails between the signature and the repository leaves a withdrawal that the next command carries out; the error must say so,
// and not that nothing has changed.
func TestAWithdrawalThatTheDiskCutsOffSaysThatItIsSigned(t *testing.T) {
	w := newWorld(t)
	w.importRows("a.test,host", "b.test,host")
	w.publishAll()
	removals := w.path("hotline", "removals.jsonl")
	w.must(os.Mkdir(removals, 0o700)) // cannot be written
	_, err := w.h.Withdraw(w.officers[:1], "error", "a.test")
	if err == nil || ExitCode(err) != int(CodeFailure) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"withdrawal 1 is signed but not in the repository yet", "run any command"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q in it", err, want)
		}
	}
	w.must(os.Remove(removals))
	if _, err := w.h.Status(); err != nil {
		t.Fatal(err)
	}
	if !exists(w.path("hotline", "repository", "withdrawals", "hotline-one", "main", "1.cbor")) {
		t.Error("the next command did not carry it out")
	}
}
