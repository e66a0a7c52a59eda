package interop

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/serve"
	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/upstream/unbound"
)

// Where listed names lead.
const (
	stopIPv4 = "198.51.100.16"
	stopIPv6 = "2001:db8:ffff::16"
)

// edge is a resolver with an Unbound of its own on the tree, answering on port 53.
type edge struct {
	*resolver.Resolver
	unbound *unbound.Resolver
	ca      string // file with its certificate, which is for dns.isp.example
	pin     string // of its TLS key: base64 of the SHA-256 of what it says of it (RFC 7858 4.2)
}

// newEdge starts one that ends with the test. The domains listed.good.example and listed.insecure.example are listed, under a law.
func newEdge(t *testing.T, w *tree, c unbound.Config) *edge {
	t.Helper()
	c.Dir, c.TrustAnchor, c.Log = filepath.Join(w.dir, "unbound"), w.anchor, slog.New(slog.DiscardHandler)
	if c.RootHints == "" {
		c.RootHints = w.hints
	}
	own, err := unbound.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := upstream.Open(upstream.Config{Servers: []netip.AddrPort{own.Addr()}, Attempt: unbound.Patience, Ready: own.Answering})
	if err != nil {
		t.Fatal(err)
	}
	r, err := resolver.New(resolver.Config{
		Stop:     resolver.Stop{LawIPv4: netip.MustParseAddr(stopIPv4), LawIPv6: netip.MustParseAddr(stopIPv6)},
		Upstream: pool,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Swap(setOf(t, "listed.good.example", "listed.insecure.example"))
	at := []netip.AddrPort{netip.MustParseAddrPort(edgeAddress + ":53"), netip.MustParseAddrPort("[" + edgeIPv6 + "]:53")}
	certificate, pin := selfSigned(t)
	s, err := serve.Open(serve.Config{
		Handler: r, Worker: func() serve.Worker { return r.Worker() }, UDPAddrs: at, TCPAddrs: at, TLSAddrs: []netip.AddrPort{netip.MustParseAddrPort(edgeAddress + ":853")}, Certificate: certificate,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range []func(context.Context) error{own.Run, s.Run} {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = run(ctx)
		}()
		t.Cleanup(func() {
			cancel()
			<-ended
		})
	}
	t.Cleanup(func() { _ = pool.Close() })
	if c.Program == "" {
		await(t, "unbound", func() error {
			if s := own.State(); !s.Answering {
				return fmt.Errorf("%+v", s)
			}
			return nil
		})
	}
	ca := filepath.Join(openFolder(t), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}), 0o644); err != nil {
		t.Fatal(err)
	}
	return &edge{r, own, ca, pin}
}

// selfSigned makes a certificate of the edge.
func selfSigned(t *testing.T) (*tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"dns.isp.example"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(spki)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, base64.StdEncoding.EncodeToString(sum[:])
}

// setOf builds a set whose entries are domains with a law behind them.
func setOf(t *testing.T, domains ...string) *match.Set {
	t.Helper()
	const list = match.ListID("hotline/main")
	keys := &match.Keys{Match: sha256.Sum256([]byte("m"))}
	filter := match.Filter{Kinds: []canon.Kind{canon.KindDomain}, Bases: []match.Basis{match.BasisLaw}, Jurisdictions: []string{"XX"}}
	records := make([]match.Record, len(domains))
	for i, d := range domains {
		records[i] = match.Record{
			Digest: keys.Digest(list, canon.ClassName, []byte(d)), Gate: keys.Gate64(canon.ClassName, []byte(d)), EntryID: match.EntryID{byte(i), 1},
			Meta: match.Meta{Kind: canon.KindDomain, Category: match.CategoryBaseline, Basis: match.BasisLaw, Jurisdiction: [2]byte{'X', 'X'}, ReviewBy: 4_000_000_000},
		}
	}
	b, err := match.WriteEdge(match.Header{List: list, Seq: 1, Epoch: 1, CanonID: canon.ID()}, records)
	if err != nil {
		t.Fatal(err)
	}
	index, err := match.Compile(b)
	if err != nil {
		t.Fatal(err)
	}
	ix, err := match.Open(index)
	if err != nil {
		t.Fatal(err)
	}
	s, err := match.NewSet([]match.Member{{Edge: b, Index: ix, Filter: filter, Keys: keys}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
