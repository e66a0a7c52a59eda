package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"time"
)

// web is a repository behind a URL.
type web struct {
	base   *url.URL
	client *http.Client
}

func newWeb(base *url.URL, client *http.Client) *web {
	var given http.RoundTripper
	if client != nil {
		given = client.Transport
	}
	transport, isTransport := given.(*http.Transport)
	switch {
	case given == nil:
		transport = &http.Transport{
			DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: 30 * time.Second,
			IdleConnTimeout:       90 * time.Second,
			MaxIdleConnsPerHost:   2,
			ForceAttemptHTTP2:     true,
		}
	case isTransport:
		transport = transport.Clone()
	}
	if transport != nil {
		transport.Proxy = nil // the environment of a daemon is no place to say whom a hotline is asked through
		transport.DisableCompression = true
		transport.MaxResponseHeaderBytes = 64 << 10
		given = transport
	}
	return &web{base: base, client: &http.Client{
		Transport:     given,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (s *web) open(ctx context.Context, name, etag string, limit int64) (io.ReadCloser, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base.JoinPath(name).String(), nil)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "cordon")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, "", err
	}
	tag := res.Header.Get("ETag")
	encoding := res.Header.Get("Content-Encoding")
	switch {
	case res.StatusCode == http.StatusNotModified && etag != "":
		res.Body.Close()
		return nil, etag, nil
	case res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusGone:
		err = ErrNotFound
	case res.StatusCode != http.StatusOK:
		err = fmt.Errorf("%w: status %d", ErrStatus, res.StatusCode)
	case encoding != "" && encoding != "identity":
		err = fmt.Errorf("%w: content encoding %.20q", ErrStatus, encoding)
	case res.ContentLength >= limit: // limit is one more than may come
		err = fmt.Errorf("%w: %d bytes announced, at most %d", ErrTooLarge, res.ContentLength, limit-1)
	case len(tag) > 256:
		tag = ""
	}
	if err != nil {
		res.Body.Close()
		return nil, "", err
	}
	return res.Body, tag, nil
}

// directory is a repository on this machine: a file URL, for mirrors by rsync or by hand.
type directory string

func (d directory) open(_ context.Context, name, _ string, limit int64) (io.ReadCloser, string, error) {
	root, err := os.OpenRoot(string(d)) // links that lead out of the directory are refused
	if err != nil {
		return nil, "", err
	}
	defer root.Close()
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not hold us
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", ErrNotFound
	} else if err != nil {
		return nil, "", err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%w: not a regular file", ErrStatus)
	case info.Size() >= limit:
		err = fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, info.Size(), limit-1)
	}
	if err != nil {
		f.Close()
		return nil, "", err
	}
	return f, "", nil
}
