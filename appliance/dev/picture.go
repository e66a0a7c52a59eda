package dev

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/identity"
)

// Picture is dev.json: where everything of a running development picture is.
type Picture struct {
	DNS           string   `json:"dns"` // ip:port
	TLS           string   `json:"tls"` // ip:port of DoT, as the next two of DoH and DoQ
	HTTPS         string   `json:"https"`
	QUIC          string   `json:"quic"`
	ResolverName  string   `json:"resolver_name"`  // in its certificate,
	ResolverCA    string   `json:"resolver_ca"`    // which is here
	Metrics       string   `json:"metrics"`        // URL of the edge's
	StopAddresses []string `json:"stop_addresses"` // law first
	StopPages     []string `json:"stop_pages"`     // one per basis, law first
	Repository    string   `json:"repository"`     // the hotline's, as control nodes read it
	HotlineDir    string   `json:"hotline_dir"`
	Signers       []string `json:"signers"`  // directory of each of the hotline's officers
	Officers      []string `json:"officers"` // directory of each of the operator's
	API           []string `json:"api"`
	CA            string   `json:"ca"`
	Cert          string   `json:"cert"` // operator's client certificate
	Key           string   `json:"key"`
	Cluster       string   `json:"cluster"` // id; with it this file is a profile for cordon status
	Trust         string   `json:"trust"`   // auditor's trust file
	Listed        []string `json:"listed"`
	Unlisted      []string `json:"unlisted"`
	URLs          []string `json:"urls"` // page entries
	Canary        string   `json:"canary"`
	PID           int      `json:"pid"`
}

// runningPicture reads dev.json of a directory and reports whether its process still answers.
func runningPicture(dir string) (Picture, bool) {
	var p Picture
	b, err := os.ReadFile(filepath.Join(dir, "dev.json"))
	if err != nil || json.Unmarshal(b, &p) != nil || len(p.API) == 0 {
		return p, false
	}
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(p.API[0], "https://"), time.Second)
	if err != nil {
		return p, false
	}
	conn.Close()
	return p, true
}

// describe fills the picture in.
func (d *dev) describe(h *hotline, repository, operator string, plan identity.Plan) {
	edge := plan.Edges[0]
	page := func(a netip.Addr) string {
		return "http://" + netip.AddrPortFrom(a, edge.Stop.ListenPort).String() + "/"
	}
	law, voluntary := edge.Stop.Law.IPv4, edge.Stop.Voluntary.IPv4
	encrypted := d.picture
	d.picture = Picture{
		DNS: edge.DNS[0].String(), TLS: encrypted.TLS, HTTPS: encrypted.HTTPS, QUIC: encrypted.QUIC,
		ResolverName: encrypted.ResolverName, ResolverCA: encrypted.ResolverCA, Metrics: encrypted.Metrics,
		StopAddresses: []string{law.String(), voluntary.String()},
		StopPages:     []string{page(law), page(voluntary)},
		Repository:    repository, HotlineDir: h.dir, Signers: h.officers, Officers: d.officers,
		API: d.profile.API, Cluster: d.profile.Cluster, CA: d.profile.CA, Cert: d.profile.Cert, Key: d.profile.Key,
		Trust:  filepath.Join(operator, "trust.json"),
		Listed: h.listed, Unlisted: h.unlisted, URLs: h.urls, Canary: h.canary, PID: os.Getpid(),
	}
}

// announce waits until the edge serves the list, writes dev.json and tells a person what to try.
func (d *dev) announce(ctx context.Context, started time.Time) error {
	ready, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := d.awaitEdge(ready); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("the development picture was not ready within %v: %w", readyTimeout, err)
	}
	b, err := json.MarshalIndent(d.picture, "", "  ")
	if err != nil {
		return fmt.Errorf("write dev.json: %w", err)
	}
	if err := renameio.WriteFile(d.join("dev.json"), append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("write dev.json: %w", err)
	}
	d.say(time.Since(started))
	return nil
}

// awaitEdge asks a control node until the edge's receipt says that what is in force is what it serves.
func (d *dev) awaitEdge(ctx context.Context) error {
	tlsConfig, err := d.profile.TLS()
	if err != nil {
		return err
	}
	client := api.NewClient(d.profile.API[0], tlsConfig)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	last := errors.New("the edge has not reported an active list")
	for {
		if s, err := client.Status(ctx); err != nil {
			last = err
		} else if len(s.Node.Lists) > 0 && len(s.Edges) > 0 && s.Edges[0].Current {
			return nil
		}
		select {
		case <-ctx.Done():
			return last
		case <-tick.C:
		}
	}
}

func (d *dev) say(took time.Duration) {
	p := d.picture
	host, port, _ := net.SplitHostPort(p.DNS)
	here := func(path string) string {
		if rel, err := filepath.Rel(workingDir(), path); err == nil && len(rel) < len(path) {
			return rel
		}
		return path
	}
	dig := fmt.Sprintf("dig @%s -p %s", host, port)
	tls := func(at, how string) string {
		host, port, _ := net.SplitHostPort(at)
		return fmt.Sprintf("dig @%s -p %s %s +tls-ca=%s +tls-hostname=%s", host, port, how, here(p.ResolverCA), p.ResolverName)
	}
	hotline := here(p.HotlineDir)
	fmt.Fprintf(d.out, `Cordon is ready (%.1f s). Everything below runs on this machine only; Ctrl-C stops it.

  Ask for a listed name, by law and voluntarily (EDE 16 Censored, EDE 15 Blocked), and for one that is not listed:
    %s %s
    %s %s
    %s %s

  The same over TLS (DoT) and HTTPS (DoH):
    %s %s
    %s %s

  The stop pages, law (451) and voluntary (403):
    curl -i %s
    curl -i %s

  Publish one more entry; the edge stops it within seconds:
    bin/cordon-hotline import  --dir %s %s
    bin/cordon-hotline sign    --dir %s --officer %s
    bin/cordon-hotline sign    --dir %s --officer %s
    bin/cordon-hotline publish --dir %s
    %s %s

  Withdraw it again, urgently:
    bin/cordon-hotline withdraw --dir %s --officer %s --reason error %s

  What is in force, and is all well:
    bin/cordon status --profile %s
  What an auditor checks, from a bundle or live:
    bin/cordon bundle --profile %s --out %s
    bin/cordon-audit verify --trust %s %s
    bin/cordon-audit verify --trust %s %s

  All addresses, names and paths: %s
`,
		took.Seconds(),
		dig, p.Listed[0], dig, p.Listed[len(p.Listed)-1], dig, p.Unlisted[0],
		tls(p.TLS, "+tls"), p.Listed[0], tls(p.HTTPS, "+https"), p.Listed[0],
		p.StopPages[0], p.StopPages[1],
		hotline, here(d.join(moreFile)), hotline, here(p.Signers[0]), hotline, here(p.Signers[1]), hotline, dig, moreName,
		hotline, here(p.Signers[0]), moreName,
		here(d.join("dev.json")),
		here(d.join("dev.json")), here(d.join("bundle.tar")),
		here(p.Trust), here(d.join("bundle.tar")), here(p.Trust), p.API[0],
		here(d.join("dev.json")))
}

func workingDir() string {
	wd, err := os.Getwd()
	if err != nil {
		return "/"
	}
	return wd
}
