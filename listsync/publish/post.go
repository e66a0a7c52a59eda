package publish

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// Operators read a hotline's repository every few seconds. Those that have given the address of their control nodes' API are also handed a
// withdrawal at once (POST /v1/withdrawals): it is as public there as in the repository, and its signatures say what it is worth. An operator
// that does not answer holds up nobody.

const (
	maxURLs      = 9
	maxCA        = 16 << 10
	maxTaken     = 4 << 10
	postPatience = 15 * time.Second // for one operator, whatever happens
	postTry      = 5 * time.Second  // for each control node but the last
	postPath     = "/v1/withdrawals"
)

// Posted is what an operator answered.
type Posted struct {
	Operator string `json:"operator"`
	Cluster  string `json:"cluster"`
	URL      string `json:"url,omitempty"`   // of the control node that answered
	State    string `json:"state"`           // agreed, known, kept, later; or unreached
	Error    string `json:"error,omitempty"` // why nobody has taken it
}

// Unreached is the State of an operator of whom no control node has taken the statement.
const Unreached = "unreached"

func (p Posted) words() string {
	switch p.State {
	case "agreed":
		return "in force there now"
	case "known":
		return "had it already"
	case "kept":
		return "has it, but has no quorum now: its edges take what two officers have signed"
	case "later":
		return "reads earlier statements first, at once"
	}
	return "not reached (" + p.Error + "): it finds the statement in the repository within seconds"
}

// SetAPI says where an operator's control nodes take withdrawals: https URLs, and the file of the cluster's own certificate authority, or ""
// when their certificates are of a public one. No URL takes the addresses away.
func (h *Hotline) SetAPI(which string, urls []string, caFile string) (Operator, error) {
	if len(urls) > maxURLs {
		return Operator{}, sentence(CodeUsage, nil, "name a few of them: one is enough", "%d addresses are more than %d", len(urls), maxURLs)
	}
	for i, u := range urls {
		urls[i] = strings.TrimRight(u, "/")
		if err := checkAPI(urls[i]); err != nil {
			return Operator{}, fault(CodeUsage, err, "write it as https://ADDRESS:PORT", "cannot use --url %s", printable(u))
		}
	}
	ca := ""
	if caFile != "" {
		b, err := readBounded(caFile, maxCA)
		if err == nil {
			_, err = authority(string(b))
		}
		if err != nil {
			return Operator{}, fault(CodeInput, err, "ask the operator for its ca.crt", "%s is not a certificate", caFile)
		}
		ca = string(b)
	}
	s, err := h.begin()
	if err != nil {
		return Operator{}, err
	}
	defer s.release()
	all, err := s.operators()
	if err != nil {
		return Operator{}, err
	}
	i := slices.IndexFunc(all, func(o Operator) bool { return o.Cluster == which || o.Name == which })
	if i < 0 {
		return Operator{}, sentence(CodeInput, nil, "see operator list", "no operator is called %q", printable(which))
	}
	all[i].API, all[i].CA = urls, ca
	return all[i], s.saveOperators(all)
}

func checkAPI(u string) error {
	p, err := url.Parse(u)
	if err != nil {
		return err
	}
	if p.Scheme != "https" || p.Host == "" || p.User != nil || p.RawQuery != "" || p.Fragment != "" || p.Path != "" || len(u) > 256 || printable(u) != u {
		return errors.New("not an https address alone")
	}
	return nil
}

// authority reads one certificate.
func authority(text string) (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("not one PEM block CERTIFICATE")
	}
	return x509.ParseCertificate(block.Bytes)
}

// Post hands a withdrawal to every operator whose address is known, all at once, and says in the order of their names what they answered.
// It holds no lock while it waits.
func (h *Hotline) Post(ctx context.Context, number uint64) ([]Posted, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	raw, err := readSmall(s.statementPath(number))
	var all []Operator
	if err == nil {
		all, err = s.operators()
	}
	s.release()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, sentence(CodeInput, nil, "see status for the numbers", "there is no withdrawal %d", number)
	}
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(o Operator) bool { return len(o.API) == 0 })
	slices.SortFunc(all, func(a, b Operator) int { return strings.Compare(a.Name+a.Cluster, b.Name+b.Cluster) })
	out := make([]Posted, len(all))
	var wg sync.WaitGroup
	for i, o := range all {
		wg.Go(func() { out[i] = postTo(ctx, o, postPath, raw) })
	}
	wg.Wait()
	return out, nil
}

// postTo asks an operator's control nodes in turn until one has taken the statement.
func postTo(ctx context.Context, o Operator, path string, raw []byte) Posted {
	ctx, cancel := context.WithTimeout(ctx, postPatience)
	defer cancel()
	p := Posted{Operator: o.Name, Cluster: o.Cluster, State: Unreached}
	client, err := o.client()
	if err != nil {
		p.Error = err.Error()
		return p
	}
	defer client.CloseIdleConnections()
	for i, u := range o.API {
		patience := postTry
		if i == len(o.API)-1 {
			patience = postPatience
		}
		one, stop := context.WithTimeout(ctx, patience)
		state, err := hand(one, client, u+path, raw)
		stop()
		if err == nil {
			return Posted{Operator: o.Name, Cluster: o.Cluster, URL: u, State: state}
		}
		p.Error = printable(err.Error())
	}
	return p
}

func hand(ctx context.Context, client *http.Client, to string, raw []byte) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(raw))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/cbor")
	res, err := client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		if errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err) {
			return "", errors.New("no answer in time")
		}
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxTaken))
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		var said struct {
			Error string `json:"error"`
		}
		if decodeJSON(b, &said) == nil && said.Error != "" {
			return "", fmt.Errorf("refused: %.200s", said.Error)
		}
		return "", fmt.Errorf("refused with HTTP status %d", res.StatusCode)
	}
	if strings.HasSuffix(to, openingsPath) {
		return parseOpened(b)
	}
	var taken struct {
		List     string `json:"list"`
		Number   uint64 `json:"number"`
		Complete bool   `json:"complete"`
		State    string `json:"state"`
	}
	if err := decodeJSON(b, &taken); err != nil || !slices.Contains([]string{"agreed", "known", "kept", "later"}, taken.State) {
		return "", errors.New("something else than a control node answers there")
	}
	return taken.State, nil
}

// client trusts the operator's own authority and no other; the name in the certificate is the operator's business: what is handed over is
// public, and nothing is believed of the answer but for people to read.
func (o Operator) client() (*http.Client, error) {
	if o.CA == "" {
		return clientOf(nil), nil
	}
	root, err := authority(o.CA)
	if err != nil {
		return nil, fmt.Errorf("the certificate authority in operators.json: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	return clientOf(roots), nil
}

// clientOf trusts the authorities given, under any name; without any, the system's and the right name.
func clientOf(roots *x509.CertPool) *http.Client {
	conf := &tls.Config{MinVersion: tls.VersionTLS13}
	if roots != nil {
		conf.InsecureSkipVerify = true // for the name; the chain is verified here
		conf.VerifyConnection = func(cs tls.ConnectionState) error {
			if len(cs.PeerCertificates) == 0 {
				return errors.New("no certificate")
			}
			between := x509.NewCertPool()
			for _, c := range cs.PeerCertificates[1:] {
				between.AddCert(c)
			}
			_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
			return err
		}
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{TLSClientConfig: conf, TLSHandshakeTimeout: 5 * time.Second, ForceAttemptHTTP2: true, DisableCompression: true},
	}
}

// WritePosted puts what operators answered in plain words.
func WritePosted(w io.Writer, all []Posted) error {
	for _, p := range all {
		if _, err := fmt.Fprintf(w, "operator %s: %s\n", p.Operator, p.words()); err != nil {
			return err
		}
	}
	return nil
}
