package probe

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

const (
	// maxPage is what a stop page may take on the wire with its headers; more is read to say so.
	maxPage  = 14 << 10
	readPage = 256 << 10
)

// pages holds each stop page to its promises.
func (p *prober) pages() {
	if len(p.c.Pages) == 0 {
		p.skip(CheckPage, "no address of a stop page was given")
		return
	}
	for _, at := range p.c.Pages {
		p.page(at)
	}
	p.pass(CheckPage, "%d: the status of their legal basis, never to be kept, nothing repeated, no script or asset", len(p.c.Pages))
}

// page asks twice, for different things under different names: the answer must be the same.
func (p *prober) page(at netip.AddrPort) {
	var before []byte
	for range 2 {
		mark := fresh()
		raw, err := p.get(at, mark)
		if err != nil {
			p.fail(CheckPage, "%s: %s", at, why(err))
			return
		}
		p.judge(at, raw, mark)
		if before != nil && !bytes.Equal(before, raw) {
			p.fail(CheckPage, "%s: it answers two visitors differently", at)
		}
		before = raw
	}
}

func (p *prober) judge(at netip.AddrPort, raw []byte, mark string) {
	if len(raw) > maxPage {
		p.fail(CheckPage, "%s: more than %d bytes", at, maxPage)
	}
	if bytes.Contains(bytes.ToLower(raw), []byte(mark)) {
		p.fail(CheckPage, "%s: it repeats what the visitor asked for", at)
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), nil)
	if err != nil {
		p.fail(CheckPage, "%s: not an HTTP answer", at)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, readPage))
	if err != nil {
		p.fail(CheckPage, "%s: its body ends early", at)
	}
	switch {
	case resp.StatusCode == http.StatusUnavailableForLegalReasons:
		if !strings.Contains(resp.Header.Get("Link"), `rel="blocked-by"`) {
			p.fail(CheckPage, `%s: 451 without a Link to who blocks (rel="blocked-by")`, at)
		}
	case resp.StatusCode != http.StatusForbidden:
		p.fail(CheckPage, "%s: status %d, and a stop page has 451 or 403", at, resp.StatusCode)
	}
	if !strings.Contains(resp.Header.Get("Cache-Control"), "no-store") {
		p.fail(CheckPage, "%s: a browser may keep it (no Cache-Control: no-store)", at)
	}
	for _, h := range []string{"Set-Cookie", "Location", "Refresh"} {
		if resp.Header.Get(h) != "" {
			p.fail(CheckPage, "%s: it has a %s header", at, h)
		}
	}
	low := strings.ToLower(string(body))
	for _, bad := range []string{"<script", "<img", "<iframe", "<object", "<embed", "<form", "javascript:", " src=", "@import", "url(", "<link"} {
		if strings.Contains(low, bad) {
			p.fail(CheckPage, "%s: the page has %q", at, strings.TrimSpace(bad))
		}
	}
}

// get asks for a page under a name of .test, and gives all bytes that come back, up to a bound.
func (p *prober) get(at netip.AddrPort, mark string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(p.ctx, p.c.Timeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", at.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(p.ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	p.r.Asked++
	if _, err := fmt.Fprintf(conn, "GET /%s?%s HTTP/1.1\r\nHost: %s.test\r\nUser-Agent: %s\r\nReferer: http://%s.test/\r\nConnection: close\r\n\r\n", mark, mark, mark, mark, mark); err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(conn, readPage))
	if err != nil {
		return nil, err
	}
	return raw, nil
}
