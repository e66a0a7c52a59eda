package main

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

const namesBundle = "name a file made by cordon bundle, or a control node as https://NAME:PORT"

// open opens a bundle file, or asks a control node for its bundle.
func (f *flags) open(ctx context.Context, target string, trust audit.TrustFile) (io.ReadCloser, error) {
	if strings.Contains(target, "://") {
		return f.fetch(ctx, target, trust)
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
func (f *flags) fetch(ctx context.Context, target string, trust audit.TrustFile) (io.ReadCloser, error) {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, unreadable(fmt.Errorf("address %q is not one of a control node", target), "write https://NAME:PORT, as the trust file's CA certifies it, without anything after it")
	}
	conf, err := f.tls(trust)
	if err != nil {
		return nil, err
	}
	client := &http.Client{
		Transport: &http.Transport{
			TLSClientConfig: conf, TLSHandshakeTimeout: 15 * time.Second, ResponseHeaderTimeout: time.Minute,
			MaxResponseHeaderBytes: 64 << 10, DisableCompression: true, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the node redirects, which a node never does")
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(u.String(), "/")+"/v1/bundle", nil)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", target, err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, unreadable(err, "check the address, and that the trust file is of this cluster")
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, unreadable(fmt.Errorf("node %s answers %s", u.Host, resp.Status), "ask again in a minute, or another node")
	}
	return resp.Body, nil
}

// tls trusts the trust file's CA alone, and only a control node of this cluster.
func (f *flags) tls(tf audit.TrustFile) (*tls.Config, error) {
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
	if (f.cert == "") != (f.key == "") {
		return nil, errors.New("--cert and --key go together")
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, unreadable(fmt.Errorf("client certificate: %w", err), "")
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// readBounded reads a file of at most limit bytes.
func readBounded(what, path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s %s has more than %d bytes", what, path, limit)
	}
	return b, nil
}
