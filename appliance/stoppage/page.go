package stoppage

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

// MaxPage is the most that status line, headers and page may take together: what a new TCP connection may send at
// once (RFC 6928, ten segments of 1,460 bytes), rounded down, so that the page is there after one round trip.
const MaxPage = 14 << 10

// headroom is what status line and headers take of MaxPage at most; a test measures it.
const headroom = 768

// Basis is why a name is listed, as far as a visitor is told.
type Basis uint8

// The two pages.
const (
	Law       Basis = 1 // a law, or an order of a court or authority: 451
	Voluntary Basis = 2 // a voluntary agreement: 403
)

// Page is one stop page: a fixed answer to every request. It is safe for concurrent use.
type Page struct {
	status int
	body   []byte
	header http.Header // never written after NewPage
	served atomic.Uint64
}

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string

	// style is the sheet on as few bytes as reading allows: the page has 14 KiB for six languages.
	style  = strings.ReplaceAll(strings.TrimSpace(pageCSS), "\n", "")
	layout = template.Must(template.New("page").Parse(pageHTML))
)

// NewPage builds the page of a basis. The error says what in c cannot be shown. Addresses in c are not used.
func NewPage(c Config, b Basis) (*Page, error) {
	view, err := c.view(b)
	if err != nil {
		return nil, fmt.Errorf("stop page: %w", err)
	}
	var body bytes.Buffer
	if err := layout.Execute(&body, view); err != nil {
		return nil, fmt.Errorf("stop page: %w", err)
	}
	if most := MaxPage - headroom; body.Len() > most {
		return nil, fmt.Errorf("stop page: it has %d bytes, at most %d fit into one round trip; shorten reference and links", body.Len(), most)
	}
	sum := sha256.Sum256([]byte(style))
	p := &Page{status: http.StatusForbidden, body: body.Bytes(), header: http.Header{
		"Cache-Control": {"no-store"},
		"Content-Security-Policy": {"default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
		"Content-Type":           {"text/html; charset=utf-8"},
		"Content-Length":         {strconv.Itoa(body.Len())},
		"Referrer-Policy":        {"no-referrer"},
		"X-Content-Type-Options": {"nosniff"},
		"Date":                   nil, // keeps net/http from adding one: the same bytes at any time
	}}
	if b == Law {
		p.status = http.StatusUnavailableForLegalReasons
		p.header["Link"] = []string{"<" + c.Implementer + `>; rel="blocked-by"`} // RFC 7725 section 4
	}
	return p, nil
}

// Status is 451 or 403.
func (p *Page) Status() int { return p.status }

// Body is the page. The caller must not change it.
func (p *Page) Body() []byte { return p.body }

// Served reports how many requests the page has answered.
func (p *Page) Served() uint64 { return p.served.Load() }

// ServeHTTP gives the one answer. It looks at the request only to know whether a body may follow (HEAD).
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for k, v := range p.header {
		h[k] = v
	}
	w.WriteHeader(p.status)
	if r.Method != http.MethodHead {
		w.Write(p.body) // a client that went away is no event
	}
	p.served.Add(1)
}

// view is what the layout is filled with.
type view struct {
	Texts       []text
	First       text
	Style       template.CSS
	Law         bool
	Reference   string
	Implementer *link
	Contact     *link
	Report      *link // nil without one
	Help        *link
}

type link struct {
	URL  template.URL // checked by newLink
	Text string
}

func (c Config) view(b Basis) (view, error) {
	v := view{Style: template.CSS(style), Law: b == Law, Reference: c.Agreement, Texts: ordered(c.Languages)}
	if b == Law {
		v.Reference = c.LawReference
	}
	v.First = v.Texts[0]
	var errs []error
	take := func(what, raw string, must bool, schemes ...string) *link {
		if raw == "" && !must {
			return nil
		}
		l, err := newLink(raw, schemes...)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %q: %w", what, raw, err))
		}
		return l
	}
	v.Implementer = take("implementer", c.Implementer, true, "https")
	v.Contact = take("contact", c.Contact, true, "mailto", "tel")
	v.Report = take("report", c.Report, false, "https")
	v.Help = take("help", c.Help, false, "https", "tel")
	if b != Law && b != Voluntary {
		errs = append(errs, fmt.Errorf("there is no page of basis %d", b))
	}
	if !utf8.ValidString(v.Reference) || strings.ContainsFunc(v.Reference, unicode.IsControl) {
		errs = append(errs, errors.New("reference: it must be plain text on one line"))
	}
	for _, code := range c.Languages {
		if !slices.ContainsFunc(texts, func(t text) bool { return t.Code == code }) {
			errs = append(errs, fmt.Errorf("language %q: the page has %s", code, strings.Join(Languages(), ", ")))
		}
	}
	return v, errors.Join(errs...)
}

// Languages are the codes of the languages every page has, in their usual order.
func Languages() []string {
	var codes []string
	for _, t := range texts {
		codes = append(codes, t.Code)
	}
	return codes
}

// ordered puts the wished languages first and keeps the others.
func ordered(first []string) []text {
	out := slices.Clone(texts)
	rank := func(t text) int {
		if i := slices.Index(first, t.Code); i >= 0 {
			return i
		}
		return len(first)
	}
	slices.SortStableFunc(out, func(a, b text) int { return rank(a) - rank(b) })
	return out
}

// newLink checks a URL that goes into an attribute and, without its scheme, into the text. html/template escapes
// both, but lets only web and mail schemes pass by itself.
func newLink(raw string, schemes ...string) (*link, error) {
	u, err := url.Parse(raw)
	bad := func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("<>\"\\`{}|^", r) }
	if err != nil || !slices.Contains(schemes, u.Scheme) || strings.ContainsFunc(raw, bad) || len(raw) > 255 {
		return nil, fmt.Errorf("write a URL that begins with %s:", strings.Join(schemes, ": or "))
	}
	shown := strings.TrimPrefix(strings.TrimPrefix(raw, u.Scheme+":"), "//")
	if u.Scheme == "https" && (u.Host == "" || u.User != nil) || shown == "" {
		return nil, errors.New("it names no place; write the whole URL")
	}
	return &link{URL: template.URL(raw), Text: strings.TrimSuffix(shown, "/")}, nil
}
