package config

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/cordon-project/cordon/listsync/brake"
)

// YAML writes c as a file with the manual in comments. Loading it gives c again, its relative paths resolved and its
// defaults filled in.
func (c *Control) YAML() []byte {
	w := writer{manual: controlManual}
	w.head("Cordon control node %s", c.Name)
	w.set("name", c.Name)
	w.set("dir", c.Dir)
	w.set("cluster", c.Cluster)
	w.set("key", c.Key)
	w.set("certificate", c.Certificate)
	w.set("certificate_key", c.CertificateKey)
	w.set("ca", c.CA)
	w.set("cluster_key", c.ClusterKey)
	w.raw("accept_key_on_disk", strconv.FormatBool(c.AcceptKeyOnDisk))
	w.set("raft_listen", c.RaftListen.String())
	w.set("api_listen", c.APIListen.String())
	w.openList("members", len(c.Members))
	for _, m := range c.Members {
		w.item("name", m.Name)
		w.more("raft", m.Raft.String())
		w.more("api", m.API.String())
	}
	w.openList("hotlines", len(c.Hotlines))
	w.hotlines(c.Hotlines)
	w.raw("poll", orDefault(c.Poll, DefaultPoll))
	w.list("never_block", c.NeverBlock)
	w.set("popularity", c.Popularity)
	w.list("popularity_keys", c.PopularityKeys)
	w.brakes(&c.Brakes)
	w.witness(&c.Witness)
	w.gossip(c.Gossip)
	w.raw("log_level", strings.ToLower(c.LogLevel.String()))
	return w.b.Bytes()
}

// YAML writes e as a file with the manual in comments. Loading it gives e again, its relative paths resolved and its
// defaults filled in: a zero CacheMB, MaxStale, ListenPort or TTL and a nil Listen take theirs.
func (e *Edge) YAML() []byte {
	w := writer{manual: edgeManual}
	w.head("Cordon edge %s", e.Name)
	w.set("name", e.Name)
	w.set("dir", e.Dir)
	w.set("cluster", e.Cluster)
	w.set("key", e.Key)
	w.set("certificate", e.Certificate)
	w.set("certificate_key", e.CertificateKey)
	w.set("ca", e.CA)
	w.set("identity", e.Identity)
	w.raw("accept_key_on_disk", strconv.FormatBool(e.AcceptKeyOnDisk))
	w.list("control", e.Control)
	if len(e.Hotlines) == 0 {
		w.set("hotlines", "")
	} else {
		w.open("hotlines")
		w.hotlines(e.Hotlines)
	}
	w.list("dns_listen", texts(e.DNSListen))
	w.raw("freebind", strconv.FormatBool(e.Freebind))
	w.resolvers(e)
	w.upstreamTLS(&e.UpstreamTLS)
	w.forwards(e.Forward)
	w.clients(e.Clients)
	w.encrypted(&e.Encrypted)
	w.proxies(e.Proxies)
	w.open("stop")
	w.stop(&e.Stop)
	w.manual = edgeManual
	w.set("analysts", e.Analysts)
	if e.DNS64.IsValid() {
		w.set("dns64", e.DNS64.String())
	} else {
		w.set("dns64", "")
	}
	w.list("dns64_clients", texts(e.DNS64Clients))
	w.list("client_subnets", texts(e.ClientSubnets))
	w.structuredErrors(e.StructuredErrors)
	if e.MetricsListen.IsValid() {
		w.set("metrics_listen", e.MetricsListen.String())
	} else {
		w.set("metrics_listen", "")
	}
	w.raw("nsid", strconv.FormatBool(e.NSID))
	w.raw("cache_mb", strconv.Itoa(cmp.Or(e.CacheMB, DefaultCacheMB)))
	if e.ServeStale == StaleOff {
		w.raw("serve_stale", "off")
	} else {
		w.raw("serve_stale", orDefault(e.ServeStale, DefaultServeStale))
	}
	w.list("never_block", e.NeverBlock)
	w.raw("max_stale", orDefault(e.MaxStale, DefaultMaxStale))
	w.raw("log_level", strings.ToLower(e.LogLevel.String()))
	return w.b.Bytes()
}

func (w *writer) stop(s *Stop) {
	w.manual, w.indent = stopManual, "  "
	w.stopAddress("law", s.Law)
	w.stopAddress("voluntary", s.Voluntary)
	w.raw("listen_port", strconv.Itoa(int(cmp.Or(s.ListenPort, DefaultListenPort))))
	w.set("implementer", s.Implementer)
	w.set("contact", s.Contact)
	w.set("report", s.Report)
	w.set("help", s.Help)
	w.list("languages", s.Languages)
	w.raw("ttl", orDefault(s.TTL, DefaultTTL))
	w.indent = ""
}

func (w *writer) brakes(l *brake.Limits) {
	if *l == (brake.Limits{}) {
		w.set("brakes", "")
		return
	}
	w.open("brakes")
	for _, f := range []struct {
		key string
		n   int
	}{
		{"max_entries", l.MaxEntries}, {"min_change", l.MinChange}, {"max_change", l.MaxChangePercent},
		{"max_window", l.MaxWindowPercent}, {"max_broad", l.MaxBroadPercent}, {"max_remove", l.MaxRemovePercent},
	} {
		if f.n != 0 {
			w.line("  " + f.key + ": " + strconv.Itoa(f.n))
		}
	}
}

func (w *writer) stopAddress(key string, a StopAddress) {
	w.open(key)
	for _, one := range []struct {
		key string
		ip  netip.Addr
	}{{"ipv4", a.IPv4}, {"ipv6", a.IPv6}} {
		if one.ip.IsValid() {
			w.line("    " + one.key + ": " + quote(one.ip.String()))
		}
	}
	if a.Reference != "" {
		w.line("    reference: " + quote(a.Reference))
	}
	if a.Listen == nil || slices.Equal(a.Listen, a.Answers()) {
		return
	}
	if len(a.Listen) == 0 {
		w.line("    listen: []")
		return
	}
	w.line("    listen:")
	for _, ip := range a.Listen {
		w.line("      - " + quote(ip.String()))
	}
}

// writer lays out one file: before each key its piece of the manual.
type writer struct {
	b      bytes.Buffer
	manual map[string]string
	indent string
}

func (w *writer) line(s string) { w.b.WriteString(s + "\n") }

func (w *writer) head(format, name string) {
	fmt.Fprintf(&w.b, "# "+format+". Paths are relative to this file. Every mistake in it is reported at once when it is read.\n",
		shorten(name))
}

func (w *writer) explain(key string) {
	if text := w.manual[key]; text != "" {
		w.line("")
		for l := range strings.SplitSeq(text, "\n") {
			w.line(w.indent + "# " + l)
		}
	}
}

// set writes a text; an empty one is left out but still explained.
func (w *writer) set(key, value string) {
	if value == "" {
		w.explain(key)
		w.line(w.indent + "# " + key + ":")
		return
	}
	w.raw(key, quote(value))
}

func (w *writer) raw(key, value string) {
	w.explain(key)
	w.line(w.indent + key + ": " + value)
}

func (w *writer) list(key string, items []string) {
	if len(items) == 0 {
		w.set(key, "")
		return
	}
	w.open(key)
	for _, i := range items {
		w.line(w.indent + "  - " + quote(i))
	}
}

func (w *writer) open(key string) {
	w.explain(key)
	w.line(w.indent + key + ":")
}

// openList is open for a list that is not left out when it is empty.
func (w *writer) openList(key string, items int) {
	if items == 0 {
		w.raw(key, "[]")
		return
	}
	w.open(key)
}

func (w *writer) hotlines(all []Hotline) {
	for _, h := range all {
		w.item("id", h.ID)
		w.more("url", h.URL)
		if len(h.Mirrors) > 0 {
			w.line("    mirrors:")
			for _, m := range h.Mirrors {
				w.line("      - " + quote(m))
			}
		}
	}
}

func (w *writer) item(key, value string) { w.line("  - " + key + ": " + quote(value)) }
func (w *writer) more(key, value string) { w.line("    " + key + ": " + quote(value)) }

// quote writes a text as YAML reads it back: bare where that is safe, else in double quotes, whose escapes Go and
// YAML share.
func quote(s string) string {
	var doc yaml.Node
	if !strings.ContainsAny(s, "#\n") && yaml.Load([]byte("k: "+s+"\n"), &doc) == nil && len(doc.Content) == 1 {
		if m := doc.Content[0]; len(m.Content) == 2 {
			if v := m.Content[1]; v.Kind == yaml.ScalarNode && v.Tag == "!!str" && v.Style == 0 && v.Anchor == "" && v.Value == s {
				return s
			}
		}
	}
	return strconv.Quote(s)
}

func texts[T fmt.Stringer](items []T) []string {
	out := make([]string, len(items))
	for i, it := range items {
		out[i] = it.String()
	}
	return out
}

func orDefault(d, otherwise time.Duration) string { return short(cmp.Or(d, otherwise)) }
