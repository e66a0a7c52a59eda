package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// maxSmall bounds one metadata file or charter.
const maxSmall = 64 << 10

// slowest is how many bytes a second a target must come at, beyond its first minute: a byte now and then is no transfer.
const slowest = 64 << 10

// Repository reads one hotline's TUF repository from one place: the hotline itself or a mirror, over http, https or file. Methods
// may be called concurrently.
type Repository struct {
	// Idle ends a read when no byte has come for so long. Small bounds a metadata file in all; a list file has as long and
	// its length at 64 KiB a second, at most Large. They may be changed before the first use.
	Idle, Small, Large time.Duration

	hotline trust.HotlineID
	source  source

	mu   sync.Mutex // guards last
	last cached
}

// cached is the last complete metadata, for the poll that finds nothing new.
type cached struct {
	etag string
	m    trust.Metadata // without roots
}

// source gives the file name of a repository: at most limit bytes are ever read from it. With an etag it may say that the file is
// the one of that tag: then body is nil. body ends when ctx does.
type source interface {
	open(ctx context.Context, name, etag string, limit int64) (body io.ReadCloser, newEtag string, err error)
}

// NewRepository reads the hotline's repository below base ("https://mirror.example/cordon/", "file:///srv/repo"). client may be
// nil; of one that is given, TLS settings and dialling are used, but proxies from the environment, redirects and compression
// never are.
func NewRepository(base string, hotline trust.HotlineID, client *http.Client) (*Repository, error) {
	if _, err := trust.ParseHotlineID(string(hotline)); err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	u, err := url.Parse(base)
	if err != nil {
		return nil, errors.New("open repository: not a URL")
	}
	r := &Repository{Idle: 30 * time.Second, Small: time.Minute, Large: 30 * time.Minute, hotline: hotline}
	switch {
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "":
		return nil, errors.New("open repository: URL with a user, query or fragment")
	case u.Scheme == "file" && u.Host == "" && strings.HasPrefix(u.Path, "/"):
		r.source = directory(u.Path)
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		r.source = newWeb(u, client)
	default:
		return nil, errors.New("open repository: want an http, https or file URL")
	}
	return r, nil
}

// Metadata reads the roots after rootVersion and everything below them, unverified. Roots are read up to trust.MaxRootSteps at a
// time. When timestamp.json has not changed since the last call (by its ETag), nothing else but roots is read again. The bytes
// must not be changed.
func (r *Repository) Metadata(ctx context.Context, rootVersion int64) (trust.Metadata, error) {
	var roots [][]byte
	for v := rootVersion + 1; v <= rootVersion+trust.MaxRootSteps; v++ {
		b, err := r.small(ctx, trust.RootName(v))
		if errors.Is(err, ErrNotFound) {
			break
		} else if err != nil {
			return trust.Metadata{}, err
		}
		roots = append(roots, b)
	}
	r.mu.Lock()
	last := r.last
	r.mu.Unlock()
	timestamp, etag, err := r.read(ctx, trust.TimestampName, last.etag, maxSmall)
	if err != nil {
		return trust.Metadata{}, err
	}
	if timestamp != nil { // else it is the one of last
		if len(timestamp) == 0 || !bytes.Equal(timestamp, last.m.Timestamp) {
			if last.m, err = r.below(ctx, timestamp); err != nil {
				return trust.Metadata{}, err
			}
		}
		last.etag = etag
		r.mu.Lock()
		r.last = last
		r.mu.Unlock()
	}
	m := last.m
	m.Roots = roots
	return m, nil
}

// below follows a timestamp to the snapshot, targets, list role and charter it leads to.
func (r *Repository) below(ctx context.Context, timestamp []byte) (trust.Metadata, error) {
	m := trust.Metadata{Timestamp: timestamp}
	version, err := trust.ReadTimestamp(timestamp)
	if err != nil {
		return m, fmt.Errorf("read %s: %w", trust.TimestampName, err)
	}
	if m.Snapshot, err = r.small(ctx, trust.SnapshotName(version)); err != nil {
		return m, err
	}
	targets, list, err := trust.ReadSnapshot(m.Snapshot, r.hotline)
	if err != nil {
		return m, fmt.Errorf("read %s: %w", trust.SnapshotName(version), err)
	}
	if m.Targets, err = r.small(ctx, trust.TargetsName(targets)); err != nil {
		return m, err
	}
	if m.List, err = r.small(ctx, trust.ListName(r.hotline, list)); err != nil {
		return m, err
	}
	_, charter, err := trust.ReadTargets(m.Targets)
	if err != nil {
		return m, fmt.Errorf("read %s: %w", trust.TargetsName(targets), err)
	}
	m.Charter, err = r.small(ctx, trust.TargetName(charter))
	return m, err
}

// Withdrawal reads the statement number of a list, unverified: at most trust.MaxWithdrawal bytes, ErrNotFound if there is none
// yet.
func (r *Repository) Withdrawal(ctx context.Context, list match.ListID, number uint64) ([]byte, error) {
	if _, err := match.ParseListID(string(list)); err != nil || list.Hotline() != string(r.hotline) {
		return nil, fmt.Errorf("read withdrawal: %w: list is not of hotline %s", ErrPath, r.hotline)
	}
	b, _, err := r.read(ctx, trust.WithdrawalName(list, number), "", trust.MaxWithdrawal)
	return b, err
}

// LogFile reads a file of the hotline's public log, unverified: at most limit bytes, ErrNotFound if there is none.
func (r *Repository) LogFile(ctx context.Context, name string, limit int64) ([]byte, error) {
	if !strings.HasPrefix(name, "log/") || !safePath(name) {
		return nil, fmt.Errorf("read public log: %w", ErrPath)
	}
	b, _, err := r.read(ctx, name, "", limit)
	return b, err
}

// Stage brings the target f into the store, verified. Errors are those of Store.Put, ErrNotFound, ErrTimeout, ErrStatus and the
// network's.
func (r *Repository) Stage(ctx context.Context, f trust.File, s *Store) error {
	if s.Has(f.SHA256) {
		return nil
	}
	return r.target(ctx, f, func(ctx context.Context, body io.Reader) error { return s.Put(ctx, f.SHA256, f.Length, body) })
}

// File writes the target f to w. Length and hash are known to be right only when it returns nil: until then w holds a mirror's
// word. Errors are those of Stage and of w.
func (r *Repository) File(ctx context.Context, f trust.File, w io.Writer) error {
	return r.target(ctx, f, func(_ context.Context, body io.Reader) error {
		h := sha256.New()
		n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(body, f.Length))
		switch {
		case err != nil:
			return err
		case n < f.Length:
			return fmt.Errorf("%w: %d of %d bytes", ErrTruncated, n, f.Length)
		case [32]byte(h.Sum(nil)) != f.SHA256:
			return fmt.Errorf("%w: want %x", ErrHash, f.SHA256[:8])
		}
		if more, _ := io.ReadFull(body, make([]byte, 1)); more > 0 {
			return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, f.Length)
		}
		return nil
	})
}

// target opens the target f for use and bounds the time of all of it.
func (r *Repository) target(ctx context.Context, f trust.File, use func(context.Context, io.Reader) error) error {
	if !safePath(f.Path) {
		return fmt.Errorf("fetch target: %w: %.60q", ErrPath, f.Path)
	}
	if f.Length < 0 || f.Length > MaxFile {
		return fmt.Errorf("fetch target %s: %w: %d bytes, at most %d", f.Path, ErrTooLarge, f.Length, MaxFile)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, min(r.Large, r.Small+time.Duration(f.Length)*time.Second/slowest), ErrTimeout)
	defer cancel()
	body, ctx, err := r.begin(ctx, trust.TargetName(f), "", f.Length+1, nil)
	if err == nil {
		defer body.Close()
		err = explain(ctx, use(ctx, body))
	}
	if err != nil {
		return fmt.Errorf("fetch target %s: %w", f.Path, err)
	}
	return nil
}

// safePath reports a path that target paths of this project have: lower-case words of letters, digits, dots and hyphens.
func safePath(p string) bool {
	for _, part := range strings.Split(p, "/") {
		if part == "" || part[0] == '.' || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
			return false
		}
	}
	return len(p) <= 256
}

func (r *Repository) small(ctx context.Context, name string) ([]byte, error) {
	b, _, err := r.read(ctx, name, "", maxSmall)
	return b, err
}

// read gives a whole small file; nil without an error means that it is the one of the etag.
func (r *Repository) read(ctx context.Context, name, etag string, limit int64) ([]byte, string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.Small, ErrTimeout)
	defer cancel()
	var newEtag string
	body, ctx, err := r.begin(ctx, name, etag, limit+1, &newEtag)
	if err != nil {
		return nil, "", fmt.Errorf("fetch %s: %w", name, err)
	}
	if body == nil {
		return nil, etag, nil
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	switch {
	case int64(len(b)) > limit:
		return nil, "", fmt.Errorf("fetch %s: %w: more than %d bytes", name, ErrTooLarge, limit)
	case err != nil:
		return nil, "", fmt.Errorf("fetch %s: %w", name, explain(ctx, err))
	}
	return b, newEtag, nil
}

// begin opens a file with a watch on it: whenever Idle passes without a byte, the context it returns ends with ErrTimeout. At most
// limit bytes can be read.
func (r *Repository) begin(ctx context.Context, name, etag string, limit int64, newEtag *string) (io.ReadCloser, context.Context, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	watch := time.AfterFunc(r.Idle, func() { cancel(ErrTimeout) })
	body, tag, err := r.source.open(ctx, name, etag, limit)
	if err != nil || body == nil {
		watch.Stop()
		err = explain(ctx, err)
		cancel(nil)
		return nil, ctx, err
	}
	if newEtag != nil {
		*newEtag = tag
	}
	return &watched{r: io.LimitReader(body, limit), body: body, watch: watch, idle: r.Idle, cancel: cancel}, ctx, nil
}

// watched is a body whose every byte winds the idle clock up again.
type watched struct {
	r      io.Reader
	body   io.Closer
	watch  *time.Timer
	idle   time.Duration
	cancel context.CancelCauseFunc
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if n > 0 {
		w.watch.Reset(w.idle)
	}
	return n, err
}

func (w *watched) Close() error {
	w.watch.Stop()
	w.cancel(nil)
	return w.body.Close()
}

// explain gives the reason why the context ended where there is one: "context canceled" would not tell slow from stopped.
func explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %v", cause, err)
	}
	return err
}

// Forget makes the next Metadata read everything again: what was read last did not verify, and one spoiled read must not outlive the
// transfer that spoiled it.
func (r *Repository) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = cached{}
}
