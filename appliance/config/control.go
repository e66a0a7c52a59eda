package config

import (
	"log/slog"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/cordon-project/cordon/listsync/brake"
	"github.com/cordon-project/cordon/resolver/match"
)

// Bounds of a file, each far above any real network.
const (
	maxMembers    = 9
	maxHotlines   = 8
	maxMirrors    = 8
	maxNeverBlock = 10000
	maxListen     = 64

	maxPopularityKeys = 8
)

// DefaultPoll is how often hotlines are asked when the file does not say.
const DefaultPoll = 30 * time.Second

// isSecret holds the keys of the file that systemd may hand over, credential the names it may give them.
var (
	isSecret   = map[string]bool{"key": true, "certificate_key": true, "cluster_key": true, "identity": true}
	credential = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,254}$`)
)

func (f *file) control(data []byte) *Control {
	s := f.root(data)
	c := &Control{
		Name:           must(s, "name", "this node's name in cluster.json", node),
		Dir:            s.onDisk("dir", "a folder for this node's data", true),
		Cluster:        s.onDisk("cluster", "cluster.json", false),
		Key:            s.onDisk("key", "node.key", false),
		Certificate:    s.onDisk("certificate", "tls.crt", false),
		CertificateKey: s.onDisk("certificate_key", "tls.key", false),
		CA:             s.onDisk("ca", "ca.crt", false),
		ClusterKey:     s.onDisk("cluster_key", "cluster.agekey", false),
		RaftListen:     must(s, "raft_listen", "192.0.2.10:7400", addrPort(true)),
		APIListen:      must(s, "api_listen", "192.0.2.10:7443", addrPort(true)),
		Poll:           read(s, "poll", DefaultPoll, duration(time.Second, time.Hour)),
		NeverBlock:     each(s, "never_block", maxNeverBlock, domain),
		Popularity:     s.mayBeOnDisk("popularity"),
		PopularityKeys: each(s, "popularity_keys", maxPopularityKeys, popularityKey),
		LogLevel:       read(s, "log_level", slog.LevelInfo, level),
	}
	if c.Popularity != "" && len(c.PopularityKeys) == 0 {
		s.f.bad(s.at("popularity"), "popularity: the file counts only with a signature; add popularity_keys: the line of its popularity.vkey")
	}
	c.Brakes = s.brakes()
	c.Witness, c.Gossip = s.witness(), s.gossip()
	c.AcceptKeyOnDisk = s.accepted(c.Key, c.CertificateKey, c.ClusterKey)
	c.Members = s.members(c.Name)
	s.need("hotlines", "a list of id and url of every hotline")
	c.Hotlines = s.hotlines()
	s.apart("raft_listen", "api_listen", c.RaftListen, c.APIListen)
	s.done()
	return c
}

// onDisk reads a path: relative to the file, there on disk unless it is a folder that will be made.
func (s *section) onDisk(key, todo string, dir bool) string {
	p := must(s, key, todo, scalar)
	if p == "" {
		return ""
	}
	switch store, name := StoreOf(p); {
	case store == Credential && !credential.MatchString(name):
		s.f.bad(s.at(key), "%s: %q is not a credential; write credential:NAME with letters, digits, dots, hyphens", s.path+key, shorten(p))
		return ""
	case store != Disk && (dir || !isSecret[key]):
		s.f.bad(s.at(key), "%s: only keys come as credentials or sealed to the TPM; write a path", s.path+key)
		return ""
	}
	p = resolve(s.f.base, p)
	source := "put the file there, or name where it is"
	if s.path == "" && todo != "" { // what no node starts without
		source = "cordon init writes it into the folder of each node, copy that folder whole"
	}
	if wrong := s.f.disk(p, dir, source); wrong != "" {
		s.f.bad(s.at(key), "%s: %s", s.path+key, wrong)
	}
	return p
}

// mayBeOnDisk is onDisk for a file that may be left out.
func (s *section) mayBeOnDisk(key string) string {
	if !s.has(key) {
		s.take(key)
		return ""
	}
	return s.onDisk(key, "", false)
}

// brakes reads the limits of what a version may change; what is left out stays zero and means the default.
func (s *section) brakes() brake.Limits {
	n := s.take("brakes")
	if n == nil {
		return brake.Limits{}
	}
	b := s.f.section(n, "brakes")
	defer b.done()
	return brake.Limits{
		MaxEntries: read(b, "max_entries", 0, number(1, match.MaxRecords)), MinChange: read(b, "min_change", 0, number(1, match.MaxRecords)),
		MaxChangePercent: read(b, "max_change", 0, percent), MaxWindowPercent: read(b, "max_window", 0, percent),
		MaxBroadPercent: read(b, "max_broad", 0, percent), MaxRemovePercent: read(b, "max_remove", 0, percent),
	}
}

var percent = number(1, 100)

func popularityKey(n *yaml.Node) (string, string) {
	k, wrong := scalar(n)
	if wrong == "" && brake.CheckKey(k) != nil {
		wrong = brake.CheckKey(k).Error()
	}
	return k, wrong
}

// accepted reads accept_key_on_disk and insists on it when a key is a plain file.
func (s *section) accepted(keys ...string) bool {
	yes := read(s, "accept_key_on_disk", false, boolean)
	if weakest(keys...) == Disk && !yes && s != nil {
		s.f.bad(s.at("accept_key_on_disk"), "accept_key_on_disk is not true but keys are plain files, so a stolen disk is a stolen key; "+
			"write accept_key_on_disk: true to accept that, or seal the keys to this machine's TPM (cordon seal), or hand them over with systemd (LoadCredentialEncrypted=NAME:FILE) and write credential:NAME as their paths")
	}
	return yes
}

func (s *section) members(self string) []Member {
	s.need("members", "a list of name, raft and api of every control node")
	var out []Member
	names, places := map[string]bool{}, map[netip.AddrPort]bool{}
	for _, n := range s.list("members", maxMembers) {
		m := s.f.section(n, "members")
		one := Member{
			Name: must(m, "name", "its name in cluster.json", node),
			Raft: must(m, "raft", "192.0.2.10:7400", addrPort(false)),
			API:  must(m, "api", "192.0.2.10:7443", addrPort(false)),
		}
		m.done()
		if one.Name != "" && names[one.Name] {
			s.f.bad(n.Line, "members: %s is there twice; keep one", one.Name)
		}
		names[one.Name] = true
		for _, a := range []netip.AddrPort{one.Raft, one.API} {
			if a.IsValid() && places[a] {
				s.f.bad(n.Line, "members: %s is used twice; give each its own address or port", a)
			}
			places[a] = true
		}
		out = append(out, one)
	}
	if self != "" && len(out) > 0 && !names[self] {
		s.f.bad(s.at("members"), "members: %s, the name of this node, is not among them; add it", self)
	}
	return out
}

func (s *section) hotlines() []Hotline {
	var out []Hotline
	ids := map[string]bool{}
	for _, n := range s.list("hotlines", maxHotlines) {
		h := s.f.section(n, "hotlines")
		source := link("https://hotline.example/repository", "https", "http", "file")
		one := Hotline{
			ID:      must(h, "id", "its id in cluster.json", hotline),
			URL:     must(h, "url", "https://hotline.example/repository", source),
			Mirrors: each(h, "mirrors", maxMirrors, source),
		}
		h.done()
		if one.ID != "" && ids[one.ID] {
			s.f.bad(n.Line, "hotlines: %s is there twice; put further URLs under its mirrors", one.ID)
		}
		if one.URL != "" && slices.Contains(one.Mirrors, one.URL) {
			s.f.bad(h.at("mirrors"), "hotlines: %s is both url and mirror; keep one", shorten(one.URL))
		}
		ids[one.ID] = true
		out = append(out, one)
	}
	return out
}

// apart insists that two places to listen on do not meet.
func (s *section) apart(keyA, keyB string, a, b netip.AddrPort) {
	if s != nil && meet(a, b) {
		s.f.bad(s.at(keyB), "%s and %s both take %s; give one another port", s.path+keyA, s.path+keyB, both(a, b))
	}
}

// meet reports whether one socket could not listen beside the other: same port, and same address or one that
// stands for all.
func meet(a, b netip.AddrPort) bool {
	if !a.IsValid() || !b.IsValid() || a.Port() != b.Port() {
		return false
	}
	all := func(x, y netip.Addr) bool { return x.IsUnspecified() && (x.Is6() || y.Is4()) }
	return a.Addr() == b.Addr() || all(a.Addr(), b.Addr()) || all(b.Addr(), a.Addr())
}
