// Package source opens a bundle for whoever verifies one: a file made by "cordon bundle", or the same bundle from a control node.
//
// In comes where it is and the trust file; out come the bundle's bytes. A node is believed no more than a file: TLS only says that it is of
// the cluster, and what it sends is for audit.Verify. Redirects, other servers and silence are refused.
package source

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
)

// Error is why no bundle can be read: what happened, and what to do about it (may be empty).
type Error struct {
	Err error
	Do  string
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

func unreadable(err error, do string) error { return &Error{err, do} }

// Config is how a node is asked: with a client certificate where it wants one (PEM files, both or none), and for which part of its log. A
// file is the part that it is.
type Config struct {
	Cert, Key string
	Part      audit.Part
}

const namesBundle = "name a file made by cordon bundle, or a control node as https://NAME:PORT"

// Open opens a bundle file, or asks a control node (https://NAME:PORT) for its bundle. The caller closes it; the context ends reading from
// a node. Errors are *Error where a person can do something.
func Open(ctx context.Context, target string, trust audit.TrustFile, c Config) (io.ReadCloser, error) {
	if strings.Contains(target, "://") {
		return c.fetch(ctx, target, trust)
	}
	file, err := os.Open(target)
	if err != nil {
		return nil, unreadable(fmt.Errorf("bundle: %w", err), namesBundle)
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		err = fmt.Errorf("bundle: %w", err)
	case info.IsDir():
		err = fmt.Errorf("bundle %s: it is a directory, not a file", target)
	case info.Mode().IsRegular() && info.Size() == 0:
		err = fmt.Errorf("bundle %s: the file is empty", target)
	default:
		return file, nil
	}
	file.Close()
	return nil, unreadable(err, namesBundle)
}

// fetch asks a live node. The node is believed no more than a file: TLS only says that it is of the cluster.
func (c Config) fetch(ctx context.Context, target string, trust audit.TrustFile) (io.ReadCloser, error) {
	return c.get(ctx, target, trust, "/v1/bundle"+c.query())
}

// get asks a node for a path; the client is for this one question.
func (c Config) get(ctx context.Context, target string, trust audit.TrustFile, path string) (io.ReadCloser, error) {
	return c.do(ctx, http.MethodGet, target, path, nil, trust)
}

// do sends one request to a control node and gives the body of a good answer.
func (c Config) do(ctx context.Context, method, target, path string, body io.Reader, trust audit.TrustFile) (io.ReadCloser, error) {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, unreadable(fmt.Errorf("address %q is not one of a control node", target), "write https://NAME:PORT, as the trust file's CA certifies it, without anything after it")
	}
	conf, err := c.tls(trust)
	if err != nil {
		return nil, err
	}
	client := &http.Client{
		Transport: &http.Transport{
			TLSClientConfig: conf, TLSHandshakeTimeout: 15 * time.Second, ResponseHeaderTimeout: time.Minute,
			MaxResponseHeaderBytes: 64 << 10, DisableKeepAlives: true, DisableCompression: true, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the node redirects, which a node never does")
		},
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(u.String(), "/")+path, body)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", target, err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, unreadable(err, "check the address, and that the trust file is of this cluster")
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, refusal(u.Host, resp)
	}
	return resp.Body, nil
}

func (c Config) query() string {
	switch {
	case c.Part.All:
		return "?all=1"
	case c.Part.Since > 0:
		return fmt.Sprintf("?since=%d", c.Part.Since)
	}
	return ""
}

// Checkpoint asks a control node for its latest checkpoint: a few kilobytes, where a bundle may be hundreds of megabytes.
func Checkpoint(ctx context.Context, target string, trust audit.TrustFile, c Config) ([]byte, error) {
	body, err := c.get(ctx, target, trust, "/checkpoint")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, audit.MaxCheckpoint+1))
	if err == nil && len(b) > audit.MaxCheckpoint {
		err = fmt.Errorf("a checkpoint of more than %d bytes", audit.MaxCheckpoint)
	}
	if err != nil {
		return nil, unreadable(fmt.Errorf("read checkpoint: %w", err), "ask again, or another node")
	}
	return b, nil
}

// tls trusts the trust file's CA alone, and only a control node of this cluster.
func (c Config) tls(tf audit.TrustFile) (*tls.Config, error) {
	roots, err := tf.Roots()
	if err != nil {
		return nil, unreadable(err, "")
	}
	if roots == nil {
		return nil, unreadable(errors.New("the trust file names no CA"), "get a bundle file instead, or a trust file with the cluster's CA")
	}
	want := "cordon://" + tf.Cluster.ID() + "/control/"
	conf := &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: roots,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) > 0 {
				if uris := s.PeerCertificates[0].URIs; len(uris) == 1 && strings.HasPrefix(uris[0].String(), want) {
					return nil
				}
			}
			return errors.New("the server is not a control node of the trusted cluster")
		},
	}
	if (c.Cert == "") != (c.Key == "") {
		return nil, unreadable(errors.New("a client certificate has two files"), "give --cert and --key together")
	}
	if c.Cert != "" {
		pair, err := c.pair()
		if err != nil {
			return nil, unreadable(fmt.Errorf("client certificate: %w", err), "--cert and --key name the two files that cordon auditor-add made, auditor.crt and auditor.key")
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// maxPEM bounds a file of a certificate or key.
const maxPEM = 1 << 20

// pair reads the client's certificate and key.
func (c Config) pair() (tls.Certificate, error) {
	var pem [2][]byte
	for i, path := range []string{c.Cert, c.Key} {
		f, err := os.Open(path)
		if err != nil {
			return tls.Certificate{}, err
		}
		pem[i], err = bounded(f, path, maxPEM)
		f.Close()
		if err != nil {
			return tls.Certificate{}, err
		}
	}
	return tls.X509KeyPair(pem[0], pem[1])
}
