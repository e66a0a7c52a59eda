package identity

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/resolver/canon"
)

// writer fills a folder; after its first error it does nothing.
type writer struct {
	dir string
	err error
}

func (w *writer) public(name string, data []byte) { w.file(name, data, 0o644) }
func (w *writer) secret(name string, data []byte) { w.file(name, data, 0o600) }

func (w *writer) folder(name string) {
	if w.err == nil {
		w.err = os.Mkdir(filepath.Join(w.dir, name), 0o700)
	}
}

func (w *writer) file(name string, data []byte, mode os.FileMode) {
	if w.err != nil {
		return
	}
	f, err := os.OpenFile(filepath.Join(w.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		w.err = fmt.Errorf("write %s: %w", name, err)
		return
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		w.err = fmt.Errorf("write %s: %w", name, err)
	}
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return errors.Join(d.Sync(), d.Close())
}

func indent(v any) []byte {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("identity: encode %T: %v", v, err)) // our own types always have an encoding
	}
	return append(b, '\n')
}

// protected are the names that no list may stop as a whole, as far as a plan knows them: the operator's own, and the hosts of the stop
// page's links and of the hotlines' repositories. Whoever runs the nodes adds further ones to their files.
func protected(name string, stops []config.Stop, hotlines []Hotline) []string {
	links := []string{}
	for _, s := range stops {
		links = append(links, s.Implementer, s.Contact, s.Report, s.Help)
	}
	for _, h := range hotlines {
		links = append(append(links, h.URL), h.Mirrors...)
	}
	out := []string{name}
	for _, l := range links {
		u, err := url.Parse(l)
		if err != nil {
			continue
		}
		host := u.Hostname()
		if _, at, ok := strings.Cut(u.Opaque, "@"); ok && u.Scheme == "mailto" {
			host = at
		}
		if n, err := canon.Expression(canon.KindDomain, host); err == nil && !canon.PublicSuffix(n) && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// node writes what every node's folder holds.
func (w *writer) node(c audit.Cluster, ca *authority, key, cert, certKey []byte) {
	w.public(ClusterFile, c.Encode())
	w.public(AuthorityFile, ca.pem)
	w.secret(signingKey, key)
	w.public(tlsCertificate, cert)
	w.secret(tlsKey, certKey)
}

func writeControl(dir string, c audit.Cluster, ca *authority, p Plan, n Node, key []byte, sealed ageText, neverBlock []string) error {
	cert, certKey, err := ca.issue(RoleControl, n.Name, n.API.Addr(), n.Raft.Addr())
	if err != nil {
		return err
	}
	file := config.Control{
		Name: n.Name, Dir: "data", Cluster: ClusterFile, Key: signingKey, Certificate: tlsCertificate, CertificateKey: tlsKey,
		CA: AuthorityFile, ClusterKey: clusterKey, AcceptKeyOnDisk: true, RaftListen: n.Raft, APIListen: n.API,
		NeverBlock: neverBlock,
	}
	for _, m := range p.Controls {
		file.Members = append(file.Members, config.Member{Name: m.Name, Raft: m.Raft, API: m.API})
	}
	file.Hotlines = p.sources()
	w := writer{dir: dir}
	w.node(c, ca, key, cert, certKey)
	w.secret(clusterKey, sealed.text)
	w.public(ControlFile, file.YAML())
	if w.err != nil {
		return w.err
	}
	_, err = config.LoadControl(filepath.Join(dir, ControlFile))
	return planned(n.Name, err)
}

// sources are where the plan's hotlines publish.
func (p Plan) sources() (all []config.Hotline) {
	for _, h := range p.Hotlines {
		all = append(all, config.Hotline{ID: h.ID, URL: h.URL, Mirrors: h.Mirrors})
	}
	return all
}

// secrets are the private halves of an Enrolment.
type secrets struct {
	signing []byte
	age     ageText
}

func newEdge(name string, development bool) (Enrolment, secrets, error) {
	public, private, err := newSigningKey(development)
	if err != nil {
		return Enrolment{}, secrets{}, err
	}
	sealed, err := newAge(development)
	if err != nil {
		return Enrolment{}, secrets{}, err
	}
	return Enrolment{Name: name, Key: public, Recipient: sealed.recipient}, secrets{private, sealed}, nil
}

func writeEdge(dir string, c audit.Cluster, ca *authority, e EdgeNode, apis []string, hotlines []config.Hotline, public Enrolment, s secrets, neverBlock []string) error {
	cert, certKey, err := ca.issue(RoleEdge, e.Name)
	if err != nil {
		return err
	}
	file := config.Edge{
		Name: e.Name, Dir: "data", Cluster: ClusterFile, Key: signingKey, Certificate: tlsCertificate, CertificateKey: tlsKey,
		CA: AuthorityFile, Identity: edgeKey, AcceptKeyOnDisk: true, Control: apis, Hotlines: hotlines, DNSListen: e.DNS, Upstreams: e.Upstreams, Recursive: e.Recursive,
		Stop: e.Stop, NSID: true, NeverBlock: neverBlock,
	}
	file.Clients = config.DefaultClients()
	file.Clients.Allow = e.Clients
	w := writer{dir: dir}
	w.node(c, ca, s.signing, cert, certKey)
	w.secret(edgeKey, s.age.text)
	w.public(EnrolmentFile, indent(public))
	w.public(EdgeFile, file.YAML())
	if w.err != nil {
		return w.err
	}
	_, err = config.LoadEdge(filepath.Join(dir, EdgeFile))
	return planned(e.Name, err)
}

// planned turns what is wrong with a written file into what is wrong with the plan.
func planned(name string, err error) error {
	var problems config.Errors
	if !errors.As(err, &problems) {
		return err
	}
	var all []error
	for _, p := range problems {
		all = append(all, fmt.Errorf("node %s: %s", name, p.What))
	}
	return errors.Join(all...)
}

func (w *writer) operator(c audit.Cluster, ca *authority, apis []string) {
	cert, key, err := ca.issue(RoleOperator, operatorName)
	w.err = errors.Join(w.err, err)
	w.folder(operatorName)
	w.public(filepath.Join(operatorName, "operator.crt"), cert)
	w.secret(filepath.Join(operatorName, "operator.key"), key)
	w.public(filepath.Join(operatorName, AuthorityFile), ca.pem)
	w.public(filepath.Join(operatorName, ProfileFile), indent(Profile{
		Cluster: c.ID(), API: apis, CA: AuthorityFile, Cert: "operator.crt", Key: "operator.key"}))
}
