package edge

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/wire"
)

// writeCertificate makes a certificate and its key as files that certificateWatch reads.
func writeCertificate(t *testing.T, e *config.Encrypted, name string, ends time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(ends.Unix()), DNSNames: []string{name}, NotBefore: ends.Add(-1000 * time.Hour), NotAfter: ends}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, e.Certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	writeFile(t, e.CertificateKey, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

// writeFile replaces a file by rename, as tools that renew certificates do, so that it is another file whatever the clock says.
func writeFile(t *testing.T, path string, b []byte) {
	t.Helper()
	writes++
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000+writes, 0)
	if err := os.Chtimes(path+".new", at, at); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

var writes int64

func TestACertificateIsReadAgainAndABadOneIsNot(t *testing.T) {
	dir := t.TempDir()
	now := time.Unix(1_790_000_000, 0)
	c := &config.Edge{
		DNSListen: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")},
		Encrypted: config.Encrypted{Name: "dns.isp.test", Certificate: filepath.Join(dir, "dns.crt"), CertificateKey: filepath.Join(dir, "dns.key")},
	}
	e := &c.Encrypted
	first := now.Add(90 * 24 * time.Hour)
	writeCertificate(t, e, "dns.isp.test", first)
	var log bytes.Buffer
	ctx := context.Background()
	w, err := openCertificate(ctx, c, appliance.Options{Log: slog.New(slog.NewTextHandler(&log, nil)), Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "dns_listen=192.0.2.53:53") {
		t.Errorf("nothing says that discovery will not be trusted:\n%s", &log)
	}
	var set []time.Time
	w.set = func(c *tls.Certificate) { set = append(set, c.Leaf.NotAfter) }
	look := func(want ...string) {
		t.Helper()
		log.Reset()
		w.look(ctx)
		if got := strings.Count(log.String(), "\n"); got != min(len(want), 1) {
			t.Errorf("%d lines, want %d:\n%s", got, min(len(want), 1), &log)
		}
		for _, s := range want {
			if !strings.Contains(log.String(), s) {
				t.Errorf("no %q in:\n%s", s, &log)
			}
		}
	}
	look()

	second := first.Add(90 * 24 * time.Hour)
	writeCertificate(t, e, "dns.isp.test", second)
	look() // the second file may still be on its way
	look("was changed")
	look()

	for _, bad := range []struct {
		name string
		make func()
		want string
	}{
		{"another name", func() { writeCertificate(t, e, "other.test", second) }, "is not for dns.isp.test but for other.test"},
		{"one that has ended", func() { writeCertificate(t, e, "dns.isp.test", now.Add(-time.Hour)) }, "has ended on"},
		{"no certificate", func() { writeFile(t, e.Certificate, []byte("nothing")) }, "write a certificate with its chain"},
		{"no file", func() { _ = os.Remove(e.Certificate) }, "put it back"},
		{"another key", func() {
			writeCertificate(t, e, "dns.isp.test", second)
			key, err := os.ReadFile(e.CertificateKey)
			if err != nil {
				t.Fatal(err)
			}
			writeCertificate(t, e, "dns.isp.test", second)
			writeFile(t, e.CertificateKey, key)
		}, "does not match"},
		{"a key that others can read", func() {
			writeCertificate(t, e, "dns.isp.test", second)
			if err := os.Chmod(e.CertificateKey, 0o644); err != nil {
				t.Fatal(err)
			}
		}, "chmod 600"},
	} {
		bad.make()
		look()
		look("nothing has changed", bad.want)
		look() // said once
		if got := w.says(); !got.Refused.Equal(now) || !got.Ends.Equal(second) {
			t.Errorf("%s: the edge says %+v", bad.name, got)
		}
		if t.Failed() {
			t.Fatalf("at %s", bad.name)
		}
	}

	if err := os.Chmod(e.CertificateKey, 0o600); err != nil { // what the log said is all there is to do
		t.Fatal(err)
	}
	look()
	look("was changed")
	if got := w.says(); !got.Refused.IsZero() {
		t.Errorf("once the mode was put right the edge says %+v", got)
	}

	third := second.Add(time.Hour)
	writeCertificate(t, e, "dns.isp.test", third)
	look()
	look("was changed")
	if got := w.says(); !got.Refused.IsZero() || !got.Ends.Equal(third) {
		t.Errorf("the edge says %+v", got)
	}
	if want := []time.Time{second.UTC(), second.UTC(), third.UTC()}; !reflect.DeepEqual(set, want) {
		t.Errorf("in force: %v, want %v", set, want)
	}
	now = third.Add(-6 * 24 * time.Hour)
	look("ends soon")
	look()
	now = third.Add(time.Second)
	look("has ended")
}

func TestABadCertificateAtTheStartStopsNoPlainDNS(t *testing.T) {
	dir := t.TempDir()
	c := &config.Edge{Encrypted: config.Encrypted{Name: "dns.isp.test", Certificate: filepath.Join(dir, "dns.crt"), CertificateKey: filepath.Join(dir, "dns.key")}}
	writeCertificate(t, &c.Encrypted, "other.test", time.Now().Add(time.Hour))
	var log bytes.Buffer
	w, err := openCertificate(context.Background(), c, appliance.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil || w.inForce != nil || !strings.Contains(log.String(), "get one that names it, or change encrypted.name") {
		t.Fatalf("got %+v, %v, log %s", w, err, &log)
	}
	said := w.says()
	if !said.Ends.IsZero() || said.Refused.IsZero() {
		t.Errorf("the edge says %+v", said)
	}
	var set *tls.Certificate
	w.set = func(c *tls.Certificate) { set = c }
	writeCertificate(t, &c.Encrypted, "dns.isp.test", time.Now().Add(time.Hour))
	w.look(context.Background())
	w.look(context.Background())
	if said := w.says(); set == nil || said.Ends.IsZero() || !said.Refused.IsZero() {
		t.Errorf("after it was put right: %v, %+v", set, said)
	}
	c.Encrypted.Name = "other.test"
	t.Setenv("QUIC_GO_LOG_LEVEL", "debug") // P5
	if _, err := openCertificate(context.Background(), c, appliance.Options{Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "clients' addresses") {
		t.Errorf("a library that writes addresses: %v", err)
	}
}

func TestAnEdgeSaysWhereItsTransportsAre(t *testing.T) {
	at := func(s ...string) (out []netip.AddrPort) {
		for _, a := range s {
			out = append(out, netip.MustParseAddrPort(a))
		}
		return out
	}
	four, six := netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("2001:db8::53")
	got := ownOf(&config.Edge{
		Recursive: true,
		Encrypted: config.Encrypted{
			Name: "dns.isp.test", InfoURL: "https://isp.test/", HTTPSPath: "/dns-query",
			TLSListen:   at("192.0.2.53:853", "[2001:db8::53]:853", "192.0.2.54:8853"),
			QUICListen:  at("0.0.0.0:853", "[2001:db8::53]:853"),
			HTTPSListen: at("192.0.2.53:443", "192.0.2.53:8443"),
		},
		Proxies: []config.Proxy{{Listen: at("192.0.2.53:8443")[0]}, {Listen: at("192.0.2.54:8853")[0]}},
	})
	want := resolver.Own{
		Name: "dns.isp.test", InfoURL: "https://isp.test/", QNAMEMin: true,
		Services: []resolver.Service{
			{Via: wire.TLS, Port: 853, Hints: []netip.Addr{four, six}},
			{Via: wire.TLS, Port: 8853},
			{Via: wire.QUIC, Port: 853},
			{Via: wire.HTTPS, Port: 443, Path: "/dns-query", HTTP3: true, Hints: []netip.Addr{four}},
			{Via: wire.HTTPS, Port: 8443, Path: "/dns-query"},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := ownOf(&config.Edge{}); got.Name != "" || got.Services != nil {
		t.Errorf("without encrypted transports: %+v", got)
	}
}
