package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/publish"
)

// issuedBy is what the hotline of a cluster in memory has given out.
func issuedBy(l *audittest.Log) *publish.Issued {
	own, _ := l.InForce.List(listtest.List)
	return &publish.Issued{List: listtest.List, Seq: own.Seq, Edge: map[uint64][32]byte{own.Seq: own.Edge}}
}

// asked reads the receipts of a cluster in memory as the command does.
func asked(t *testing.T, l *audittest.Log, issued *publish.Issued) (*receipts, string) {
	t.Helper()
	dir := t.TempDir()
	trust, bundle := filepath.Join(dir, "trust.json"), filepath.Join(dir, "bundle.tar")
	for path, b := range map[string][]byte{trust: l.TrustFile(), bundle: l.Bundle()} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o, err := readOperator(t.Context(), issued, trust, bundle)
	if err != nil {
		t.Fatal(err)
	}
	r := &receipts{List: string(issued.List), Version: issued.Seq, Operators: []*operatorReceipts{o}}
	r.notAsked(issued)
	var text strings.Builder
	if err := r.write(&text); err != nil {
		t.Fatal(err)
	}
	return r, text.String()
}

func TestReceiptsSayWhoHasConfirmedWhat(t *testing.T) {
	l := audittest.New("receipts")
	l.Publish(20)
	l.Receipts(audittest.E1, audittest.E2)
	l.Publish(30)
	l.Receipts(audittest.E1)
	issued := issuedBy(l)
	r, text := asked(t, l, issued)
	if code := publish.ExitCode(r.err()); code != 1 || !strings.Contains(r.err().Error(), "not confirmed by 1 edge: isp.example e2") {
		t.Errorf("got code %d, %v", code, r.err())
	}
	for _, want := range []string{
		"  e1           version 2 active since ", "  e2           version 1 active since ", ", NOT version 2 (last receipt ", "version 2 is confirmed by 1 of 2 edges, not by e2\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}

	l.Receipts(audittest.E2)
	if r, text = asked(t, l, issued); r.err() != nil {
		t.Errorf("got %v:\n%s", r.err(), text)
	}

	said := l.WithdrawBy([]int{0, 1}, listtest.ID(3, 1))
	issued.Withdrawals = []publish.IssuedWithdrawal{{Number: said.Number, SeqTo: said.SeqTo, Entries: 1}}
	issued.Operators = []publish.Operator{{Cluster: l.Desc.ID(), Name: "isp.example"}, {Cluster: "other", Name: "other.example"}}
	l.Receipts(audittest.E2)
	r, text = asked(t, l, issued)
	for _, want := range []string{"withdrawal 1 is confirmed by 1 of 2 edges, not by e1, the last at ", "not asked: other.example\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	if code := publish.ExitCode(r.err()); code != 1 {
		t.Errorf("got code %d", code)
	}
	l.Receipts(audittest.E1)
	if r, text = asked(t, l, issued); r.err() != nil || !strings.Contains(text, "withdrawal 1 is confirmed by 2 of 2 edges, the last at ") {
		t.Errorf("got %v:\n%s", r.err(), text)
	}
}

func TestAnotherFileOfAVersionIsSeen(t *testing.T) {
	l := audittest.Honest("receipts")
	issued := issuedBy(l)
	issued.Edge[issued.Seq] = [32]byte{1}
	r, text := asked(t, l, issued)
	if code := publish.ExitCode(r.err()); code != 5 || !strings.Contains(text, "FAIL  version 2 in force there is not the one this hotline has made") {
		t.Errorf("got code %d:\n%s", code, text)
	}
}

func TestALogThatDoesNotVerifyIsSaid(t *testing.T) {
	l := audittest.Honest("receipts")
	issued := issuedBy(l)
	lie := l.Receipt(audittest.E1)
	lie.State[0] ^= 1
	l.Append(audit.Receipts{Items: []audit.SignedReceipt{audit.SignReceipt(lie, l.Edges[audittest.E1])}})
	r, text := asked(t, l, issued)
	if code := publish.ExitCode(r.err()); code != 5 || !strings.Contains(text, "FAIL  receipts: edge e1 counter ") {
		t.Errorf("got code %d:\n%s", code, text)
	}
}

func TestAStoredAddressIsAsked(t *testing.T) {
	l := audittest.Honest("receipts")
	issued := issuedBy(l)
	dir := t.TempDir()
	trust, bundle := filepath.Join(dir, "trust.json"), filepath.Join(dir, "bundle.tar")
	for path, b := range map[string][]byte{trust: l.TrustFile(), bundle: l.Bundle()} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := readOperator(t.Context(), issued, trust, ""); publish.ExitCode(err) != 3 || !strings.Contains(err.Error(), "no address of isp.example is known") {
		t.Errorf("no address: got %v", err)
	}
	issued.Operators = []publish.Operator{{Cluster: l.Desc.ID(), Name: "isp.example", API: []string{filepath.Join(dir, "gone"), bundle}}}
	o, err := readOperator(t.Context(), issued, trust, "")
	if err != nil || !o.Verified || o.InForce != issued.Seq {
		t.Errorf("the second address: got %+v and %v", o, err)
	}
	issued.Operators[0].API = issued.Operators[0].API[:1]
	if _, err := readOperator(t.Context(), issued, trust, ""); publish.ExitCode(err) != 3 || !strings.Contains(err.Error(), "gone") {
		t.Errorf("nobody answers: got %v", err)
	}
}
