package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/appliance/identity"
	"github.com/cordon-project/cordon/appliance/operator"
)

// setup are the flags from which cordon init and cordon edge-add make a plan.
type setup struct {
	dir, name, origin                   string
	controls, edges, hotlines, officers []string
	upstreams, clients                  []string
	law, voluntary                      []string
	stopPort                            uint16
	implementer, contact, report, helps string
	logWitnesses, witnesses             string
}

func initCommand() *cobra.Command {
	var s setup
	c := &cobra.Command{
		Use:   "init",
		Short: "Make a new cluster's files: keys, certificates, one ready directory for each node",
		Long: `Make a new cluster's files below --dir:
  cluster.json   the cluster, the same on every node        cluster.pub  give this to each hotline
  trust.json     give this to auditors, by a safe way        ca/          keep this offline
  operator/      profile.json for cordon status and bundle   NAME/        copy each to its machine

Run each node with "cordon control --config NAME/control.yaml" or "cordon edge --config NAME/edge.yaml".`,
		Example: `  cordon init --dir isp --name isp.example \
    --control c1,192.0.2.1:7400,192.0.2.1:7443 --control c2,192.0.2.2:7400,192.0.2.2:7443 --control c3,192.0.2.3:7400,192.0.2.3:7443 \
    --edge e1,192.0.2.53:53 --upstream 127.0.0.1:5353 --stop-law 192.0.2.51 --stop-voluntary 192.0.2.43 \
    --implementer https://isp.example/blocking --contact mailto:complaints@isp.example \
    --hotline hotline-one,root.json,https://lists.hotline-one.example/`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			plan, err := s.plan()
			if errors.As(err, new(*appliance.InputError)) {
				return err
			} else if err != nil {
				return usage(c, err)
			}
			if err := identity.Init(s.dir, plan); err != nil {
				return appliance.BadInput(err)
			}
			fmt.Fprintf(stdout, "Made %s. Give cluster.pub to each hotline and trust.json to auditors; copy each node's directory to its machine; keep ca/ offline.\n", s.dir)
			for _, h := range plan.Hotlines {
				fmt.Fprintf(stdout, "Pinned root of %s, SHA-256 %x: compare it with the authority by telephone.\n", h.ID, sha256.Sum256(h.RootJSON))
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&s.dir, "dir", "", "directory to make")
	f.StringVar(&s.name, "name", "", "DNS name of the cluster, like isp.example")
	f.StringVar(&s.origin, "origin", "", "first line of the log's checkpoints (default NAME/cordon)")
	f.StringArrayVar(&s.controls, "control", nil, "NAME,RAFT-ADDRESS:PORT,API-ADDRESS:PORT of a control node (3 or 5 of them)")
	f.StringArrayVar(&s.edges, "edge", nil, "NAME,DNS-ADDRESS:PORT of an edge")
	f.StringArrayVar(&s.officers, "officer", nil, "officer.pub of a person who may sign orders, as cordon officer wrote it (two or more; without any, nobody can suppress, approve, return or bypass)")
	f.StringArrayVar(&s.hotlines, "hotline", nil, "ID,ROOT.JSON,URL of a hotline: its id, the file of its pinned root, its repository")
	f.StringVar(&s.logWitnesses, "log-witnesses", "", "file with the witness policy (C2SP tlog-policy) that hotlines' public logs must meet; without it the log's own signature is enough")
	f.StringVar(&s.witnesses, "witnesses", "", "file with the witness policy that auditors hold this cluster's own log to; it goes into trust.json")
	s.edgeFlags(c)
	return c
}

func (s *setup) edgeFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVar(&s.upstreams, "upstream", nil, "ADDRESS:PORT of a validating resolver for names that are not listed; or recursive, for an Unbound beside each edge")
	f.StringArrayVar(&s.clients, "client", nil, "prefix of subscribers, like 192.0.2.0/24 (private addresses are answered without being named, all others are refused)")
	f.StringArrayVar(&s.law, "stop-law", nil, "stop address for entries under a law or order (an IPv4 one, an IPv6 one, or both)")
	f.StringArrayVar(&s.voluntary, "stop-voluntary", nil, "stop address for entries listed voluntarily")
	f.Uint16Var(&s.stopPort, "stop-port", 80, "TCP port of the stop pages")
	f.StringVar(&s.implementer, "implementer", "", "https URL that says who runs the block")
	f.StringVar(&s.contact, "contact", "", "mailto: or tel: URL for complaints")
	f.StringVar(&s.report, "report", "", "https URL where material can be reported")
	f.StringVar(&s.helps, "help-line", "", "https or tel: URL of a help line")
}

func (s *setup) plan() (identity.Plan, error) {
	p := identity.Plan{Name: s.name, Origin: s.origin, Created: time.Now()}
	if s.dir == "" || s.name == "" || len(s.controls) == 0 || len(s.hotlines) == 0 {
		return p, fmt.Errorf("--dir, --name, --control and --hotline are needed")
	}
	if n := len(s.controls); n != 3 && n != 5 {
		return p, fmt.Errorf("%d control nodes: a cluster has 3 or 5, so that a majority goes on when one or two are away", n)
	}
	for _, text := range s.controls {
		part, err := split("--control", text, 3)
		if err != nil {
			return p, err
		}
		n := identity.Node{Name: part[0]}
		if n.Raft, err = address("--control", part[1]); err != nil {
			return p, err
		}
		if n.API, err = address("--control", part[2]); err != nil {
			return p, err
		}
		p.Controls = append(p.Controls, n)
	}
	for _, text := range s.edges {
		e, err := s.edge(text)
		if err != nil {
			return p, err
		}
		p.Edges = append(p.Edges, e)
	}
	for _, text := range s.hotlines {
		part, err := split("--hotline", text, 3)
		if err != nil {
			return p, err
		}
		root, err := os.ReadFile(part[1])
		if err != nil {
			return p, appliance.BadInput(fmt.Errorf("--hotline %s: its root: %w", part[0], err))
		}
		p.Hotlines = append(p.Hotlines, identity.Hotline{ID: part[0], RootJSON: root, URL: part[2]})
	}
	for _, path := range s.officers {
		o, err := identity.LoadOfficerPublic(path)
		if err != nil {
			return p, appliance.BadInput(fmt.Errorf("--officer: %w", err))
		}
		p.Officers = append(p.Officers, o)
	}
	var err error
	if p.LogWitnesses, err = policyFile("--log-witnesses", s.logWitnesses); err != nil {
		return p, err
	}
	if p.Witnesses, err = policyFile("--witnesses", s.witnesses); err != nil {
		return p, err
	}
	if len(p.Officers) == 1 {
		return p, fmt.Errorf("--officer: one officer cannot sign alone; name two or more, or none")
	}
	return p, nil
}

// edge reads NAME,DNS and adds what all edges of the command share.
func (s *setup) edge(text string) (identity.EdgeNode, error) {
	part, err := split("--edge", text, 2)
	if err != nil {
		return identity.EdgeNode{}, err
	}
	e := identity.EdgeNode{Name: part[0], Stop: config.Stop{
		ListenPort: s.stopPort, Implementer: s.implementer, Contact: s.contact, Report: s.report, Help: s.helps,
	}}
	dns, err := address("--edge", part[1])
	if err != nil {
		return e, err
	}
	e.DNS = []netip.AddrPort{dns}
	for _, u := range s.upstreams {
		if u == "recursive" {
			e.Recursive = true
			continue
		}
		at, err := address("--upstream", u)
		if err != nil {
			return e, err
		}
		e.Upstreams = append(e.Upstreams, at)
	}
	if len(e.Upstreams) == 0 && !e.Recursive {
		return e, fmt.Errorf("--upstream is needed for an edge: the resolver for names that are not listed, or recursive")
	}
	for _, c := range s.clients {
		p, err := netip.ParsePrefix(c)
		if err != nil {
			if one, err := netip.ParseAddr(c); err == nil && one.Zone() == "" {
				return e, fmt.Errorf("--client: %s is not a prefix; write %s if you mean that address alone", one, netip.PrefixFrom(one, one.BitLen()))
			}
			return e, fmt.Errorf("--client: %q is not a prefix, like 192.0.2.0/24 or 2001:db8::/32", c)
		}
		e.Clients = append(e.Clients, p)
	}
	if e.Stop.Law, err = stopAddress("--stop-law", s.law); err != nil {
		return e, err
	}
	e.Stop.Voluntary, err = stopAddress("--stop-voluntary", s.voluntary)
	return e, err
}

func split(flag, text string, n int) ([]string, error) {
	part := strings.Split(text, ",")
	if len(part) != n {
		return nil, fmt.Errorf("%s %q: %d parts with commas between them are needed", flag, text, n)
	}
	return part, nil
}

func address(flag, text string) (netip.AddrPort, error) {
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		return at, fmt.Errorf("%s: %q is not an IP address with a port; write 192.0.2.1:53 or [2001:db8::1]:53, with the port you mean (names are not looked up)", flag, text)
	}
	return at, nil
}

func stopAddress(flag string, texts []string) (config.StopAddress, error) {
	var a config.StopAddress
	for _, text := range texts {
		ip, err := netip.ParseAddr(text)
		switch {
		case err != nil:
			return a, fmt.Errorf("%s: %q is not an IP address", flag, text)
		case ip.Is4() && !a.IPv4.IsValid():
			a.IPv4 = ip
		case ip.Is6() && !a.IPv6.IsValid():
			a.IPv6 = ip
		default:
			return a, fmt.Errorf("%s: one IPv4 and one IPv6 address at most", flag)
		}
	}
	if len(texts) == 0 {
		return a, fmt.Errorf("%s is needed for an edge: the address that listed names are answered with", flag)
	}
	return a, nil
}

func edgeAddCommand() *cobra.Command {
	var s setup
	c := &cobra.Command{
		Use:   "edge-add NAME,DNS-ADDRESS:PORT",
		Short: "Make the directory of one more edge of an existing cluster",
		Long:  "Make the directory of one more edge below the directory of cordon init. Then have the cluster enrol it: cordon enrol NAME/edge.pub.",
		Args:  oneArg("NAME,DNS-ADDRESS:PORT"),
		RunE: func(c *cobra.Command, args []string) error {
			if s.dir == "" {
				return usage(c, fmt.Errorf("--dir is needed: the directory of cordon init"))
			}
			e, err := s.edge(args[0])
			if err != nil {
				return usage(c, err)
			}
			if _, err := identity.AddEdge(s.dir, e); err != nil {
				return appliance.BadInput(err)
			}
			home := filepath.Join(s.dir, e.Name)
			fmt.Fprintf(stdout, "Made %s. Next: cordon enrol --profile %s %s\n", home, filepath.Join(s.dir, "operator", "profile.json"), filepath.Join(home, "edge.pub"))
			return nil
		},
	}
	c.Flags().StringVar(&s.dir, "dir", "", "the directory of cordon init")
	s.edgeFlags(c)
	return c
}

func enrolCommand() *cobra.Command {
	var profile string
	c := &cobra.Command{
		Use:   "enrol EDGE.pub",
		Short: "Have the cluster record an edge, so that it gets lists and its receipts count",
		Args:  oneArg("the edge.pub that cordon edge-add wrote"),
		RunE: func(c *cobra.Command, args []string) error {
			e, err := identity.LoadEnrolment(args[0])
			if err != nil {
				return appliance.BadInput(err)
			}
			o, err := operator.Open(profile)
			if err != nil {
				return err
			}
			if err := o.Enrol(c.Context(), e); err != nil {
				return fmt.Errorf("enrol edge %s: %w", e.Name, err)
			}
			fmt.Fprintf(stdout, "Edge %s is enrolled.\n", e.Name)
			return nil
		},
	}
	profileFlag(c, &profile)
	return c
}

func dismissCommand() *cobra.Command {
	var profile string
	c := &cobra.Command{
		Use:   "dismiss EDGE",
		Short: "Have the cluster remove an edge: it gets no more keys, its receipts are refused",
		Args:  oneArg("the edge's name"),
		RunE: func(c *cobra.Command, args []string) error {
			o, err := operator.Open(profile)
			if err != nil {
				return err
			}
			if err := o.Dismiss(c.Context(), args[0]); err != nil {
				return fmt.Errorf("dismiss edge %s: %w", args[0], err)
			}
			fmt.Fprintf(stdout, "Edge %s is dismissed. It may still hold the keys of epochs it had: ask your hotlines for a new epoch.\n", args[0])
			return nil
		},
	}
	profileFlag(c, &profile)
	return c
}
