package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// tree is a private signed hierarchy: a root, the top-level domain example, and zones below it, each kind on a server of its own.
type tree struct {
	dir     string
	anchor  string // file: the root's key, as Unbound reads it
	anchors string // file: the same as BIND and delv read it
	ds      string // file: the same for drill
	hints   string // file: the root's server
	ends    []func()
}

// zones are what is below example. A name that begins with www has an address in each.
var zones = []struct {
	name   string
	change func(b *zoneBuilder)
}{
	{"good.example.", func(b *zoneBuilder) { b.sign() }},
	{"insecure.example.", func(*zoneBuilder) {}}, // neither signed nor said to be
	{"bogus.example.", func(b *zoneBuilder) { b.sign(); b.replace("192.0.2.80", "192.0.2.66") }},
	{"expired.example.", func(b *zoneBuilder) {
		b.sign("-P", "-s", "20200101000000", "-e", "20200201000000", "-X", "20370101000000")
	}},
	{"nochain.example.", func(b *zoneBuilder) { b.sign(); b.otherKey() }}, // its parent vouches for a key that it does not have
	{"stripped.example.", func(b *zoneBuilder) { b.otherKey() }},          // its parent says that it is signed, and it is not
}

const zoneText = `$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 192.0.2.3
www A 192.0.2.80
www AAAA 2001:db8::80
listed A 192.0.2.90
www.listed A 192.0.2.90
listed MX 10 mail
mail A 192.0.2.91
alias CNAME www.listed
big TXT "%s" "%s" "%s" "%s" "%s" "%s"
*.wild A 192.0.2.81
`

var theTree = sync.OnceValues(func() (*tree, error) {
	dir, err := os.MkdirTemp("", "cordon-interop-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	w := &tree{dir: dir, anchor: filepath.Join(dir, "root.key"), anchors: filepath.Join(dir, "anchors.conf"), ds: filepath.Join(dir, "dsset-."), hints: filepath.Join(dir, "root.hints")}
	closing = w
	return w, w.build()
})

var closing *tree // to be ended after the last test

func closeTree() {
	if closing == nil {
		return
	}
	for _, end := range closing.ends {
		end()
	}
	_ = os.RemoveAll(closing.dir)
}

// plant returns the tree, which is made once for all tests.
func plant(t *testing.T) *tree {
	t.Helper()
	w, err := theTree()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *tree) build() error {
	files := map[string]string{}
	big := strings.Repeat("x", 250)
	delegations := ""
	for _, z := range zones {
		b := &zoneBuilder{dir: w.dir, name: z.name, file: z.name + "zone"}
		b.write(fmt.Sprintf(zoneText, big, big, big, big, big, big))
		z.change(b)
		if b.err != nil {
			return b.err
		}
		files[z.name] = b.file
		delegations += fmt.Sprintf("%s NS ns.%s\nns.%s A %s\n", z.name, z.name, z.name, zoneServer)
	}
	delegations += "slow.example. NS ns.slow.example.\nns.slow.example. A " + slowServer + "\n" // whoever serves it is a test's matter
	tld := &zoneBuilder{dir: w.dir, name: "example.", file: "example.zone"}
	tld.write("$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A " + tldServer + "\n" + delegations)
	tld.sign()
	root := &zoneBuilder{dir: w.dir, name: ".", file: "root.zone"}
	root.write("$TTL 300\n@ SOA a.root hostmaster.root 1 3600 600 86400 60\n@ NS a.root\na.root A " + rootServer + "\nexample NS ns.example\nns.example A " + tldServer + "\n")
	root.sign()
	root.anchors(w)
	for _, b := range []*zoneBuilder{tld, root} {
		if b.err != nil {
			return b.err
		}
	}
	for _, s := range []struct {
		at    string
		zones map[string]string
	}{{rootServer, map[string]string{".": root.file}}, {tldServer, map[string]string{"example.": tld.file}}, {zoneServer, files}} {
		if err := w.serve(s.at, s.zones); err != nil {
			return err
		}
	}
	return nil
}

// serve starts an NSD.
func (w *tree) serve(at string, zones map[string]string) error {
	dir := filepath.Join(w.dir, at)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	conf := fmt.Sprintf("server:\n  ip-address: %s\n  username: \"\"\n  zonesdir: %q\n  database: \"\"\n  pidfile: %q\n  zonelistfile: %q\n  xfrdfile: %q\n  xfrdir: %q\n  rrl-ratelimit: 0\nremote-control:\n  control-enable: no\n",
		at, w.dir, filepath.Join(dir, "pid"), filepath.Join(dir, "zones"), filepath.Join(dir, "xfrd"), dir)
	var some string
	for name, file := range zones {
		conf += fmt.Sprintf("zone:\n  name: %q\n  zonefile: %q\n", name, file)
		some = name
	}
	path := filepath.Join(dir, "nsd.conf")
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("nsd", "-d", "-c", path)
	cmd.Stdout, cmd.Stderr = log, log
	done, err := spawn(cmd)
	if err != nil {
		return err
	}
	w.ends = append(w.ends, func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it ends its own children then
		<-done
	})
	for end := time.Now().Add(patience); ; <-time.After(10 * time.Millisecond) {
		m, err := dns.Exchange(new(dns.Msg).SetQuestion(some, dns.TypeSOA), at+":53")
		if err == nil && m.Rcode == dns.RcodeSuccess && len(m.Answer) == 1 {
			return nil
		}
		if time.Now().After(end) {
			said, _ := os.ReadFile(log.Name())
			return fmt.Errorf("nsd on %s does not serve %s: %v, %v\n%s", at, some, m, err, said)
		}
	}
}

// zoneBuilder makes one zone's file with BIND's tools; after an error it does nothing.
type zoneBuilder struct {
	dir, name, file string
	err             error
}

func (b *zoneBuilder) run(name string, args ...string) string {
	if b.err != nil {
		return ""
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = b.dir
	out, err := cmd.Output()
	if err != nil {
		var said []byte
		if x, ok := err.(*exec.ExitError); ok {
			said = x.Stderr
		}
		b.err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, said)
	}
	return strings.TrimSpace(string(out))
}

func (b *zoneBuilder) write(text string) {
	b.err = os.WriteFile(filepath.Join(b.dir, b.file), []byte(text), 0o644)
}

func (b *zoneBuilder) key() string {
	return b.run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", b.name)
}

// sign makes a key and signs all of the zone with it; what its children's parents must say is taken in (dsset files).
func (b *zoneBuilder) sign(more ...string) {
	key := b.key()
	args := append([]string{"-q", "-z", "-g", "-o", b.name, "-f", b.file + ".signed"}, more...)
	b.append(key + ".key")
	b.run("dnssec-signzone", append(args, b.file, key)...)
	b.file += ".signed"
}

func (b *zoneBuilder) append(file string) {
	text, err := os.ReadFile(filepath.Join(b.dir, file))
	if err != nil && b.err == nil {
		b.err = err
	}
	b.edit(func(s string) string { return s + string(text) })
}

func (b *zoneBuilder) replace(old, new string) {
	b.edit(func(s string) string { return strings.ReplaceAll(s, old, new) })
}

func (b *zoneBuilder) edit(f func(string) string) {
	if b.err != nil {
		return
	}
	path := filepath.Join(b.dir, b.file)
	text, err := os.ReadFile(path)
	if err != nil {
		b.err = err
		return
	}
	b.write(f(string(text)))
}

// otherKey has the parent vouch for a key that signs nothing.
func (b *zoneBuilder) otherKey() {
	ds := b.run("dnssec-dsfromkey", b.key()+".key")
	if b.err == nil {
		b.err = os.WriteFile(filepath.Join(b.dir, "dsset-"+b.name), []byte(ds+"\n"), 0o644)
	}
}

// anchors writes what validators need to know of this root.
func (b *zoneBuilder) anchors(w *tree) {
	if b.err != nil {
		return
	}
	ds, err := os.ReadFile(w.ds)
	if err != nil {
		b.err = err
		return
	}
	rr, err := dns.NewRR(string(ds))
	if err != nil {
		b.err = err
		return
	}
	d := rr.(*dns.DS)
	for path, text := range map[string]string{
		w.anchor:  string(ds),
		w.anchors: fmt.Sprintf("trust-anchors { . static-ds %d %d %d %q; };\n", d.KeyTag, d.Algorithm, d.DigestType, d.Digest),
		w.hints:   ". 3600 NS a.root.\na.root. 3600 A " + rootServer + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			b.err = err
			return
		}
	}
}
