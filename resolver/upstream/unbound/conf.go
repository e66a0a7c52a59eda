package unbound

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

func socketPath(dir string) string { return filepath.Join(dir, "control") }

// write makes the folder and the configuration in it, readable by whom the process runs as and by nobody else.
func (r *Resolver) write(word string, as *syscall.Credential) (path string, err error) {
	dir, err := filepath.Abs(r.config.Dir)
	if err != nil {
		return "", err
	}
	if err := os.RemoveAll(dir); err != nil { // what a killed process left
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	path = filepath.Join(dir, "unbound.conf")
	if err := os.WriteFile(path, []byte(r.conf(dir, word)), 0o600); err != nil {
		return "", err
	}
	if as == nil {
		return path, nil
	}
	for _, p := range []string{path, dir} {
		if err := os.Chown(p, int(as.Uid), int(as.Gid)); err != nil {
			return "", err
		}
	}
	return path, nil
}

// conf is the whole configuration: nothing of /etc/unbound is read.
func (r *Resolver) conf(dir, word string) string {
	c := &r.config
	listen := fmt.Sprintf("%s@%d", c.Listen.Addr(), c.Listen.Port())
	mask := c.Listen.Addr().BitLen()
	allow := fmt.Sprintf("%s/%d", c.Listen.Addr(), mask)
	if c.Listen.Addr().IsLoopback() && mask == 32 {
		allow = "127.0.0.0/8"
	}
	slabs := 1
	for slabs < c.Threads {
		slabs *= 2
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Written by Cordon at each start. Changes are lost.")
	line("server:")
	line("  interface: %s", listen)
	line("  access-control: 0.0.0.0/0 refuse")
	line("  access-control: ::/0 refuse")
	line("  access-control: %s allow", allow)
	line("  directory: %q", dir)
	line("  chroot: \"\"")
	line("  username: \"\"") // it is started as whom it runs
	line("  do-daemonize: no")
	line("  pidfile: \"\"")
	// nothing about questions is written anywhere
	line("  use-syslog: no")
	line("  logfile: \"\"")
	line("  verbosity: 0")
	line("  log-queries: no")
	line("  log-replies: no")
	line("  log-servfail: no")
	line("  log-local-actions: no")
	line("  val-log-level: 0")
	line("  extended-statistics: yes")
	line("  statistics-interval: 0")
	line("  identity: %q", word)
	line("  hide-version: yes")
	// validation and what is said of it
	line("  module-config: \"validator iterator\"")
	line("  trust-anchor-file: %q", c.TrustAnchor)
	if c.RootHints != "" {
		line("  root-hints: %q", c.RootHints)
	}
	line("  val-clean-additional: yes")
	line("  val-permissive-mode: no")
	line("  ede: yes")
	line("  qname-minimisation: yes")
	line("  aggressive-nsec: yes")
	line("  harden-glue: yes")
	line("  harden-dnssec-stripped: yes")
	line("  harden-below-nxdomain: yes")
	line("  harden-algo-downgrade: no")
	line("  unwanted-reply-threshold: 10000000")
	line("  edns-buffer-size: 1232")
	line("  max-udp-size: 1232")
	line("  minimal-responses: yes")
	// The edge caches answers, serves stale ones and fetches popular ones early. What Unbound keeps is for its own work: who serves what,
	// their keys, and proofs.
	line("  prefetch: no")
	line("  serve-expired: no")
	line("  num-threads: %d", c.Threads)
	line("  so-reuseport: yes")
	for _, cache := range []string{"msg", "rrset", "infra", "key"} {
		line("  %s-cache-slabs: %d", cache, slabs)
	}
	line("  msg-cache-size: %dk", c.CacheMB*1024/8)
	line("  rrset-cache-size: %dk", c.CacheMB*1024/2)
	line("  key-cache-size: %dk", c.CacheMB*1024/4)
	line("  neg-cache-size: %dk", c.CacheMB*1024/8)
	line("  outgoing-range: 4096")
	line("  num-queries-per-thread: 2048")
	if !r.bare {
		line("  wait-limit: 0") // all questions come from one address, the edge, which bounds them itself
	}
	line("remote-control:")
	line("  control-enable: yes")
	line("  control-use-cert: no")
	line("  control-interface: %q", socketPath(dir))
	return b.String()
}
