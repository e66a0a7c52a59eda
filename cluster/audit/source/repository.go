package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/cordon-project/cordon/listsync/publiclog"
)

// ErrNotFound: the repository has no such file.
var ErrNotFound = errors.New("not found in the repository")

// Repository reads files of a hotline's repository: a directory, or an http or https URL. Nothing of it is believed: what it gives is for
// package publiclog. Errors are *Error where a person can do something.
func Repository(where string) (publiclog.Read, error) {
	if !strings.Contains(where, "://") {
		info, err := os.Stat(where)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("repository %s: it is a file", where)
		}
		if err != nil {
			return nil, unreadable(err, "name the hotline's repository: its address, or a copy of it in a directory")
		}
		return func(_ context.Context, name string, limit int64) ([]byte, error) {
			root, err := os.OpenRoot(where)
			if err != nil {
				return nil, err
			}
			defer root.Close()
			f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not hold us
			if errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("%s: %w", name, ErrNotFound)
			} else if err != nil {
				return nil, err
			}
			defer f.Close()
			if info, err := f.Stat(); err != nil {
				return nil, err
			} else if !info.Mode().IsRegular() {
				return nil, fmt.Errorf("%s: not a regular file", name)
			}
			return bounded(f, name, limit)
		}, nil
	}
	u, err := url.Parse(where)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, unreadable(fmt.Errorf("address %q is not one of a repository", where), "write http://HOST/PATH or https://HOST/PATH")
	}
	client := &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			TLSHandshakeTimeout: 15 * time.Second, ResponseHeaderTimeout: 30 * time.Second, MaxResponseHeaderBytes: 64 << 10, DisableCompression: true, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context, name string, limit int64) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.JoinPath(name).String(), nil)
		if err != nil {
			return nil, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusOK:
			return bounded(resp.Body, name, limit)
		case http.StatusNotFound, http.StatusGone:
			return nil, fmt.Errorf("%s: %w", name, ErrNotFound)
		}
		return nil, fmt.Errorf("%s: the repository answers %d", name, resp.StatusCode)
	}, nil
}

func bounded(r io.Reader, name string, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s: more than %d bytes", name, limit)
	}
	return b, err
}
