package trust_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

const charterText = `{
  "charter": 1,
  "hotline": "north",
  "name": "Línea Norte <of> \"Testing\"",
  "scope": "csam",
  "jurisdictions": ["XA", "XB"],
  "bases": ["law", "voluntary"],
  "kinds": ["url", "domain"],
  "rpz": true,
  "log": "",
  "valid_from": "2026-01-01T00:00:00Z",
  "valid_to": "2027-01-01T00:00:00Z"
}`

func TestCharterSaysWhatItSays(t *testing.T) {
	c, err := trust.ParseCharter([]byte(charterText))
	if err != nil {
		t.Fatal(err)
	}
	want := trust.Charter{
		Hotline: "north", Name: `Línea Norte <of> "Testing"`, Jurisdictions: []string{"XA", "XB"},
		Bases: []match.Basis{match.BasisLaw, match.BasisVoluntary}, Kinds: []canon.Kind{canon.KindURL, canon.KindDomain}, RPZ: true,
		ValidFrom: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), ValidTo: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	if fmt.Sprintf("%+v", c) != fmt.Sprintf("%+v", want) {
		t.Errorf("got %+v\nwant %+v", c, want)
	}
	f := c.Filter()
	if fmt.Sprint(f.Kinds) != "[url domain]" || fmt.Sprint(f.Bases) != "[law voluntary]" || fmt.Sprint(f.Jurisdictions) != "[XA XB]" {
		t.Errorf("filter: got %+v", f)
	}
	if err := f.Check(); err != nil {
		t.Errorf("filter: %v", err)
	}
	b, err := trust.EncodeCharter(c)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := trust.ParseCharter(b); err != nil || fmt.Sprint(again) != fmt.Sprint(c) {
		t.Errorf("encoded and parsed: got %+v, %v", again, err)
	}
}

func TestCharterThatCouldBeReadTwoWaysIsRefused(t *testing.T) {
	change := func(from, to string) string { return strings.Replace(charterText, from, to, 1) }
	tests := []struct {
		name, text, reason string
	}{
		{"other scope", change(`"csam"`, `"copyright"`), "scope"},
		{"scope in capitals", change(`"csam"`, `"CSAM"`), "scope"},
		{"two scopes in a list", change(`"csam"`, `["csam","copyright"]`), "charter"},
		{"no scope", change(`"scope": "csam",`, ``), "charter"},
		{"scope key in capitals", change(`"scope"`, `"Scope"`), "charter"},
		{"a second scope key", change(`"scope"`, `"scope": "x", "scope"`), "charter"},
		{"a folded scope key", change(`"scope"`, `"SCOPE": "copyright", "scope"`), "charter"},
		{"unknown key", change(`"rpz"`, `"also": 1, "rpz"`), "charter"},
		{"a key of ours", change(`"rpz"`, `"x-cordon-also": 1, "rpz"`), "charter"},
		{"trailing data", charterText + `{}`, "charter"},
		{"charter version 2", change(`"charter": 1`, `"charter": 2`), "charter"},
		{"charter version as text", change(`"charter": 1`, `"charter": "1"`), "charter"},
		{"hotline in capitals", change(`"north"`, `"North"`), "charter"},
		{"hotline with a slash", change(`"north"`, `"north/x"`), "charter"},
		{"hotline too long", change(`"north"`, `"`+strings.Repeat("n", 32)+`"`), "charter"},
		{"no name", change(`"Línea Norte <of> \"Testing\""`, `""`), "charter"},
		{"name with a line break", change(`Línea`, `L\ninea`), "charter"},
		{"no jurisdiction", change(`["XA", "XB"]`, `[]`), "charter"},
		{"jurisdiction in small letters", change(`"XA"`, `"xa"`), "charter"},
		{"jurisdiction of three letters", change(`"XA"`, `"XAA"`), "charter"},
		{"jurisdictions out of order", change(`["XA", "XB"]`, `["XB", "XA"]`), "charter"},
		{"jurisdiction twice", change(`["XA", "XB"]`, `["XA", "XA"]`), "charter"},
		{"unknown basis", change(`"law"`, `"policy"`), "charter"},
		{"basis twice", change(`"voluntary"`, `"law"`), "charter"},
		{"unknown kind", change(`"url"`, `"address"`), "charter"},
		{"steer as a kind", change(`"url"`, `"steer"`), "charter"},
		{"kinds out of order", change(`["url", "domain"]`, `["domain", "url"]`), "charter"},
		{"rpz as text", change(`true`, `"true"`), "charter"},
		{"rpz null", change(`true`, `null`), "charter"},
		{"ends before it begins", change(`2027`, `2025`), "charter"},
		{"time with an offset", change(`2026-01-01T00:00:00Z`, `2026-01-01T00:00:00+01:00`), "charter"},
		{"a date", change(`2026-01-01T00:00:00Z`, `2026-01-01`), "charter"},
		{"nothing", ``, "charter"},
		{"an array", `[]`, "charter"},
		{"too long", charterText + strings.Repeat(" ", 16<<10), "too_large"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := trust.ParseCharter([]byte(test.text))
			wantReason(t, err, test.reason)
		})
	}
}

func TestEncodeCharterSortsAndRefuses(t *testing.T) {
	h := trusttest.New(seed, "north", now)
	c := h.Charter
	want, err := trust.EncodeCharter(c)
	if err != nil {
		t.Fatal(err)
	}
	c.Jurisdictions = []string{"XB", "XA"}
	c.Kinds = []canon.Kind{canon.KindDomain, canon.KindHost, canon.KindPrefix, canon.KindURL}
	if got, err := trust.EncodeCharter(c); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
	c.Kinds = append(c.Kinds, canon.KindSteer)
	_, err = trust.EncodeCharter(c)
	wantReason(t, err, "charter")
}

func FuzzCharter(f *testing.F) {
	f.Add([]byte(charterText))
	f.Add([]byte(`{"charter":1,"scope":"csam"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := trust.ParseCharter(b)
		if err != nil {
			if trust.Reason(err) == "other" {
				t.Fatalf("no reason: %v", err)
			}
			return
		}
		again, err := trust.EncodeCharter(c)
		if err != nil {
			t.Fatalf("parsed but not encoded: %v", err)
		}
		d, err := trust.ParseCharter(again)
		if err != nil || fmt.Sprint(d) != fmt.Sprint(c) {
			t.Fatalf("got %+v, %v\nwant %+v", d, err, c)
		}
		if err := c.Filter().Check(); err != nil {
			t.Fatalf("filter: %v", err)
		}
	})
}
