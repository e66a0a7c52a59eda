package account_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/account"
	"github.com/cordon-project/cordon/cluster/audit/certificate"
)

// certified is a certificate made by hand.
func certified(pass bool) account.Certificate {
	d := certificate.Document{
		V: 1, Kind: "cordon scope certificate", Cluster: "cluster", Name: "isp.example", Origin: "isp.example/cordon", Scope: "csam", Facts: *example(true).Facts,
		Programs: []certificate.Program{{Role: "edge", Name: "e1", Program: "cordon", Version: "v1"}}, Claims: []string{"what it claims"}, NoClaims: []string{"what it does not"},
	}
	d.From, d.To = d.Facts.From, d.Facts.To
	return account.Certificate{Document: d, Pass: pass, Checks: []audit.Check{
		{Name: "document", Pass: pass, Detail: "what the log makes"}, {Name: "signed", Pass: true, Detail: "leaf 130"},
	}}
}

func TestACertificateOnAPageSaysFirstWhetherItIsProven(t *testing.T) {
	for pass, verdict := range map[bool]string{true: "<strong>Made again.</strong>", false: "<strong>NOT PROVEN.</strong>"} {
		var page bytes.Buffer
		c := certified(pass)
		if err := c.WriteHTML(&page); err != nil {
			t.Fatal(err)
		}
		first, rest, _ := strings.Cut(page.String(), "<h2>")
		if !strings.Contains(first, verdict) || strings.Contains(first, "<dt>document</dt><dd>what the log makes</dd>") == pass || strings.Contains(first, "<dt>signed</dt>") || strings.Count(page.String(), "<strong>Made again") != map[bool]int{true: 1}[pass] {
			t.Errorf("pass %t: in front of all stands\n%s", pass, first)
		}
		for _, want := range []string{"It claims:\n  - what it claims\nIt does not claim:\n  - what it does not", "<caption>Charters</caption>", "<td>hotline-one/main</td><td>8</td>", "edge e1: cordon v1", "<td>leaf 130</td>"} {
			if !strings.Contains(rest, want) {
				t.Errorf("pass %t: it does not say %q", pass, want)
			}
		}
		if styles := inspect(t, page.Bytes()); styles != 1 {
			t.Errorf("%d styles", styles)
		}
	}
}

func TestHostileTextOfACertificateStaysText(t *testing.T) {
	c := certified(false)
	poison(reflect.ValueOf(&c))
	var page bytes.Buffer
	if err := c.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	if styles := inspect(t, page.Bytes()); styles != 1 || bytes.Count(page.Bytes(), []byte("&lt;script&gt;")) < 20 {
		t.Errorf("%d styles, the text is there %d times", styles, bytes.Count(page.Bytes(), []byte("&lt;script&gt;")))
	}
}
