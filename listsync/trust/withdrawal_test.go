package trust_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/match"
)

// statement withdraws n entries.
func statement(n int) trust.Withdrawal {
	w := trust.Withdrawal{
		List: mainID, SeqFrom: 1, SeqTo: 9, Number: 4, Issued: now.Unix(), Expires: now.Add(24 * time.Hour).Unix(), Reason: "appeal",
	}
	for i := range n {
		w.Entries = append(w.Entries, match.EntryID{15: byte(n - i), 14: byte((n - i) >> 8)})
	}
	return w
}

func TestWithdrawalNeedsAsManyOfficersAsItIsLarge(t *testing.T) {
	h, _ := north(t)
	tests := []struct {
		name     string
		entries  int
		officers []int
		reason   string
	}{
		{"one entry, one officer", 1, []int{2}, ""},
		{"twenty entries, one officer", 20, []int{0}, ""},
		{"twenty-one entries, one officer", 21, []int{0}, "threshold"},
		{"twenty-one entries, two officers", 21, []int{0, 1}, ""},
		{"as many as there may be, two officers", trust.MaxWithdrawnIDs, []int{2, 1}, ""},
		{"twenty-one entries, one officer twice", 21, []int{0, 0}, "threshold"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			raw := h.Withdraw(statement(test.entries), test.officers...)
			w, signers, err := trust.VerifyWithdrawal(h.OfficerKeys(), raw, now)
			wantReason(t, err, test.reason)
			if err != nil {
				return
			}
			if len(w.Entries) != test.entries || w.Number != 4 || w.List != mainID || w.Reason != "appeal" || w.V != 1 {
				t.Errorf("got %+v", w)
			}
			if want := len(slices.Compact(slices.Sorted(slices.Values(test.officers)))); len(signers) != want || !slices.IsSorted(signers) {
				t.Errorf("signers: got %v, want %d", signers, want)
			}
			if again, err := trust.DecodeWithdrawal(raw); err != nil || again.Number != w.Number {
				t.Errorf("decode: got %+v, %v", again, err)
			}
		})
	}
}

func TestSigningAWithdrawalTwiceGivesTheSameBytes(t *testing.T) {
	h, _ := north(t)
	w := statement(3)
	first := h.Withdraw(w, 0, 1)
	slices.Reverse(w.Entries)
	if second := h.Withdraw(w, 1, 0); !bytes.Equal(first, second) {
		t.Errorf("got %x\nwant %x", second, first)
	}
}

func TestWithdrawalBySomebodyElseIsRefused(t *testing.T) {
	h, _ := north(t)
	sign := func(keys ...ed25519.PrivateKey) []byte {
		raw, err := trust.SignWithdrawal(statement(1), keys[0])
		for _, k := range keys[1:] {
			if err == nil {
				raw, err = trust.CosignWithdrawal(raw, k)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	good := sign(h.Officers[0])
	var s trust.SignedStatement
	if err := cbor.Unmarshal(good, &s); err != nil {
		t.Fatal(err)
	}
	remake := func(change func(*trust.SignedStatement)) []byte {
		c := trust.SignedStatement{Body: bytes.Clone(s.Body), Signatures: slices.Clone(s.Signatures)}
		change(&c)
		mode, _ := cbor.CoreDetEncOptions().EncMode()
		b, err := mode.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	tests := []struct {
		name   string
		raw    []byte
		reason string
	}{
		{"stranger", sign(trusttest.Key("stranger")), "signature"},
		{"officer and stranger", sign(h.Officers[0], trusttest.Key("stranger")), "signature"},
		{"accreditation key", sign(h.Accreditation[0]), "signature"},
		{"timestamp key", sign(h.Timestamp), "signature"},
		{"nobody", remake(func(s *trust.SignedStatement) { s.Signatures = []trust.Signature{} }), "signature"},
		{"other body", remake(func(s *trust.SignedStatement) { s.Body[len(s.Body)-1] ^= 1 }), "format"},
		{"other number", remake(func(s *trust.SignedStatement) { s.Body[bytes.LastIndexByte(s.Body, 6)+1] = 5 }), "signature"},
		{"signature twice", remake(func(s *trust.SignedStatement) { s.Signatures = append(s.Signatures, s.Signatures[0]) }), "format"},
		{"signature cut short", remake(func(s *trust.SignedStatement) { s.Signatures[0].Sig = s.Signatures[0].Sig[:63] }), "signature"},
		{"trailing byte", append(bytes.Clone(good), 0), "format"},
		{"nothing", nil, "format"},
		{"too much", make([]byte, trust.MaxWithdrawal+1), "too_large"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := trust.VerifyWithdrawal(h.OfficerKeys(), test.raw, now)
			wantReason(t, err, test.reason)
		})
	}
	t.Run("officers nobody accredited", func(t *testing.T) {
		_, _, err := trust.VerifyWithdrawal(trust.Officers{}, good, now)
		wantReason(t, err, "signature")
	})
}

func TestWithdrawalOutsideOfItsTimeIsRefused(t *testing.T) {
	h, _ := north(t)
	raw := h.Withdraw(statement(1), 0)
	for _, at := range []struct {
		name   string
		now    time.Time
		reason string
	}{
		{"an hour before it was issued", now.Add(-time.Hour), "expired"},
		{"a minute before", now.Add(-time.Minute), ""},
		{"the last second", now.Add(24*time.Hour - time.Second), ""},
		{"when it expires", now.Add(24 * time.Hour), "expired"},
	} {
		t.Run(at.name, func(t *testing.T) {
			_, _, err := trust.VerifyWithdrawal(h.OfficerKeys(), raw, at.now)
			wantReason(t, err, at.reason)
		})
	}
}

func TestImpossibleWithdrawalsAreNotSigned(t *testing.T) {
	h, _ := north(t)
	tests := []struct {
		name   string
		change func(*trust.Withdrawal)
		want   error
	}{
		{"no entries", func(w *trust.Withdrawal) { w.Entries = nil }, trust.ErrFormat},
		{"an entry twice", func(w *trust.Withdrawal) { w.Entries = append(w.Entries, w.Entries[0]) }, trust.ErrFormat},
		{"too many entries", func(w *trust.Withdrawal) { w.Entries = statement(trust.MaxWithdrawnIDs + 1).Entries }, trust.ErrTooLarge},
		{"no list", func(w *trust.Withdrawal) { w.List = "" }, trust.ErrFormat},
		{"number 0", func(w *trust.Withdrawal) { w.Number = 0 }, trust.ErrFormat},
		{"seqs the wrong way round", func(w *trust.Withdrawal) { w.SeqFrom = 10 }, trust.ErrFormat},
		{"expires before it is issued", func(w *trust.Withdrawal) { w.Expires = w.Issued }, trust.ErrFormat},
		{"expires in a year", func(w *trust.Withdrawal) { w.Expires = w.Issued + 365*86400 }, trust.ErrFormat},
		{"no reason", func(w *trust.Withdrawal) { w.Reason = "" }, trust.ErrFormat},
		{"reason of one's own", func(w *trust.Withdrawal) { w.Reason = "because" }, trust.ErrFormat},
		{"a name in the reason", func(w *trust.Withdrawal) { w.Reason = "other(www.school.example was listed)" }, trust.ErrFormat},
		{"an address in the reason", func(w *trust.Withdrawal) { w.Reason = "other(see http://x/)" }, trust.ErrFormat},
		{"a reason without end", func(w *trust.Withdrawal) { w.Reason = "other(x" }, trust.ErrFormat},
		{"a reason too long", func(w *trust.Withdrawal) { w.Reason = "other(" + strings.Repeat("x", trust.MaxOtherReason+1) + ")" }, trust.ErrFormat},
		{"words of one's own", func(w *trust.Withdrawal) { w.Reason = "other(owner asked, site was hacked)" }, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := statement(2)
			test.change(&w)
			_, err := trust.SignWithdrawal(w, h.Officers[0])
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}
