package load

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

func selfSigned(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// TestQUICIsAsked: each stream of DoQ, and each request of HTTP/3, is answered with the question itself.
func TestQUICIsAsked(t *testing.T) {
	certificate, ca := selfSigned(t)
	questions, err := Read(strings.NewReader("www.a.test A\n"), false)
	if err != nil {
		t.Fatal(err)
	}
	doq, err := quic.ListenAddr("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"doq"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer doq.Close()
	go func() {
		for {
			c, err := doq.Accept(context.Background())
			if err != nil {
				return
			}
			go func() {
				for {
					str, err := c.AcceptStream(context.Background())
					if err != nil {
						return
					}
					b, _ := io.ReadAll(str)
					_, _ = str.Write(b)
					_ = str.Close()
				}
			}()
		}
	}()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	h3 := &http3.Server{TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{certificate}}),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })}
	defer h3.Close()
	go func() { _ = h3.Serve(socket) }()
	for over, server := range map[string]string{"quic": doq.Addr().String(), "h3": socket.LocalAddr().String()} {
		r, err := Run(context.Background(), Config{Server: server, Over: over, Rate: 500, Time: 100 * time.Millisecond, Conns: 2, CA: ca, Questions: questions, Patience: time.Minute})
		if err != nil {
			t.Fatalf("%s: %v", over, err)
		}
		if r.Sent != 50 || r.Answered != 50 {
			t.Errorf("%s: %v", over, r)
		}
	}
}
