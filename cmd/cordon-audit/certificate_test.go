package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/certificate"
	"github.com/cordon-project/cordon/cluster/audit/order"
)

func TestACertificateIsShownAsJSONWordsAndPage(t *testing.T) {
	l := audittest.Honest("certified")
	to := l.Tick()
	var all []audit.Leaf
	for _, b := range l.Leaves {
		leaf, err := audit.DecodeLeaf(b)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, leaf)
	}
	d, err := certificate.Of(l.Desc, slices.Values(all), to.Add(-time.Hour), to)
	if err != nil {
		t.Fatal(err)
	}
	l.Order(order.Certificate{From: int64(d.From), To: int64(d.To), Size: d.End.Size, Hash: d.Hash()})
	trust, bundle, honest := write(t, "trust.json", l.TrustFile()), write(t, "bundle.tar", l.Bundle()), write(t, "certificate.json", d.Encode())
	d.Facts.Receipts.N++
	lie := write(t, "lie.json", d.Encode())
	for _, c := range []struct {
		name string
		args []string
		code int
		says []string
	}{
		{"text", []string{"--text", honest, bundle}, codeOK, []string{"PASS  document", "PASS  signed", "\nSCOPE CERTIFICATE of isp.example"}},
		{"JSON", []string{"--json", honest, bundle}, codeOK, []string{`"pass": true`}},
		{"page", []string{"--html", honest, bundle}, codeOK, []string{"<!doctype html>", "<strong>Made again.</strong>", "<h1>Scope certificate of isp.example</h1>"}},
		{"page of a lie", []string{"--html", lie, bundle}, codeFail, []string{"<strong>NOT PROVEN.</strong>", "the log makes another one"}},
		{"page of all", []string{"--html", bundle}, codeUsage, []string{"--html makes a page of one certificate"}},
		{"page and JSON", []string{"--html", "--json", honest, bundle}, codeUsage, []string{"html"}},
	} {
		code, out, errs := tool(t, append([]string{"certificate", "--trust", trust}, c.args...)...)
		if code != c.code {
			t.Errorf("%s: exit %d, want %d\n%s", c.name, code, c.code, errs)
		}
		for _, want := range c.says {
			if !strings.Contains(out+errs, want) {
				t.Errorf("%s: it does not say %q\n%.800s", c.name, want, out+errs)
			}
		}
	}
}
