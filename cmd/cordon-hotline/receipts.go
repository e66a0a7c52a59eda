package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/source"
	"github.com/cordon-project/cordon/listsync/publish"
)

// What operators' edges have confirmed: receipts read back with the auditor's verifier and held against what this hotline has issued.

func receiptsCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:   "receipts --dir HOTLINE --trust TRUST.json [--from https://NODE:PORT|BUNDLE]",
		Short: "Say which edge of an operator has which version since when, and what is not confirmed",
		Long: `Read an operator's log, from a control node or a bundle file, verify it as an auditor does, and say what its edges have signed: the version of
the list they serve and since when, and whether each withdrawal is carried out. TRUST.json is the operator's trust file for auditors. Give both
flags again for a second operator, in the same order; without --from, the addresses that operator api has stored are asked.

Exit code 0 when every edge has confirmed the newest version and every withdrawal, 1 when one has not, 5 when a log does not verify or an operator has
another file of a version than the one signed here.`,
		Example: `  cordon-hotline receipts --dir hotline --trust isp-one.json --from https://control.isp-one.example:8443
  cordon-hotline receipts --dir hotline --trust isp-one.json --from bundle.tar --json`,
		Args: cobra.NoArgs,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, _ []string) error {
			trusts, from := flags(c, "trust"), flags(c, "from")
			if len(from) == 0 {
				from = make([]string, len(trusts))
			}
			if len(trusts) != len(from) {
				return usage("give --trust and --from for each operator, in the same order, or no --from at all")
			}
			issued, err := h.Issued()
			if err != nil {
				return err
			}
			r := &receipts{List: string(issued.List), Version: issued.Seq, Published: issued.Published}
			for i := range from {
				one, err := readOperator(c.Context(), issued, trusts[i], from[i])
				if err != nil {
					return err
				}
				r.Operators = append(r.Operators, one)
			}
			r.notAsked(issued)
			return errors.Join(r.err(), show(c, r, r.write))
		}),
	}, hotlineDir)
	c.Flags().StringArray("trust", nil, "an operator's trust file for auditors; give it again for each operator")
	c.Flags().StringArray("from", nil, "its control node (https://NAME:PORT) or a bundle file; give it again for each operator (default: what operator api has stored)")
	return required(c, "trust")
}

// receipts is what operators have confirmed.
type receipts struct {
	List      string              `json:"list"`
	Version   uint64              `json:"version"` // the newest; 0 when nothing is published
	Published time.Time           `json:"published,omitzero"`
	Operators []*operatorReceipts `json:"operators"`
	NotAsked  []string            `json:"not_asked"` // operators that get keys and were not looked at
}

type operatorReceipts struct {
	Cluster     string               `json:"cluster"`
	Name        string               `json:"name"`
	Verified    bool                 `json:"verified"`
	Failed      []string             `json:"failed"`              // checks of the log that failed, with the cause
	Fresh       time.Time            `json:"fresh,omitzero"`      // of the log's checkpoint
	InForce     uint64               `json:"in_force"`            // version of the list; 0 for none
	OtherFile   bool                 `json:"other_file"`          // that version is not the one this hotline has made
	Edges       []edgeReceipts       `json:"edges"`               // as the operator's log has them enrolled
	Unconfirmed []string             `json:"version_unconfirmed"` // edges that do not say they serve the newest version
	Withdrawals []withdrawalReceipts `json:"withdrawals"`         // those that concern a version an edge serves
}

type edgeReceipts struct {
	Edge    string    `json:"edge"`
	Last    time.Time `json:"last_receipt,omitzero"`
	Version uint64    `json:"version"` // 0 when it has not said so
	Since   time.Time `json:"since,omitzero"`
	Bypass  bool      `json:"bypass"` // the operator lets everything pass there
}

type withdrawalReceipts struct {
	Number      uint64      `json:"number"`
	Logged      time.Time   `json:"logged,omitzero"` // when the operator's cluster took it in
	Confirmed   []confirmed `json:"confirmed"`
	Unconfirmed []string    `json:"unconfirmed"` // edges
}

type confirmed struct {
	Edge   string    `json:"edge"`
	Since  time.Time `json:"since"`
	Direct bool      `json:"direct,omitempty"` // taken straight from the hotline; its cluster had no quorum
}

// readOperator reads and verifies one operator's log.
func readOperator(ctx context.Context, issued *publish.Issued, trustFile, from string) (*operatorReceipts, error) {
	bad := func(err error, do string) error {
		return &publish.Fault{Code: publish.CodeInput, What: audit.Escape(err.Error()), Do: do, Err: err}
	}
	b, err := readTrustFile(trustFile)
	if err != nil {
		return nil, bad(err, "--trust names the trust file that the operator publishes for auditors (trust.json)")
	}
	tf, err := audit.ParseTrustFile(b)
	if err != nil {
		return nil, bad(fmt.Errorf("trust file %s: %w", trustFile, err), "--trust names the trust file that the operator publishes for auditors (trust.json)")
	}
	places := []string{from}
	if from == "" {
		places = addresses(issued, tf.Cluster.ID())
	}
	var report *audit.Report
	err = &source.Error{Err: fmt.Errorf("no address of %s is known", tf.Cluster.Name), Do: "give --from, or store its control nodes' addresses with operator api"}
	for _, place := range places { // until one answers
		if report, err = verify(ctx, place, b, tf); err == nil {
			break
		}
	}
	if no, ok := errors.AsType[*source.Error](err); ok {
		return nil, bad(no, no.Do)
	}
	if err != nil {
		return nil, bad(err, "ask again, or another node")
	}
	o := &operatorReceipts{Cluster: tf.Cluster.ID(), Name: tf.Cluster.Name, Verified: report.Pass, Failed: []string{}, Edges: []edgeReceipts{}, Unconfirmed: []string{}, Withdrawals: []withdrawalReceipts{}}
	for _, check := range report.Checks {
		if !check.Pass && !check.Skipped {
			o.Failed = append(o.Failed, check.Name+": "+check.Detail)
		}
	}
	if report.Checkpoint != nil {
		o.Fresh = report.Checkpoint.Fresh
	}
	if served := report.Served(); served != nil {
		o.read(issued, served)
	}
	return o, nil
}

// addresses are those of an operator's control nodes, as operator api has stored them.
func addresses(issued *publish.Issued, cluster string) []string {
	for _, o := range issued.Operators {
		if o.Cluster == cluster {
			return o.API
		}
	}
	return nil
}

// verify reads a bundle from a file or a node and verifies it.
func verify(ctx context.Context, place string, trustFile []byte, tf audit.TrustFile) (*audit.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	bundle, err := source.Open(ctx, place, tf, source.Config{})
	if err != nil {
		return nil, err
	}
	defer bundle.Close()
	report, err := audit.Verify(ctx, bundle, trustFile, audit.Options{Now: time.Now()})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", place, err)
	}
	return report, nil
}

func readTrustFile(path string) ([]byte, error) { return readUpTo(path, audit.MaxClusterFile) }

// readUpTo reads a file, and of a longer one a byte more than limit, for the parser to refuse.
func readUpTo(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// read holds what edges say against what was issued.
func (o *operatorReceipts) read(issued *publish.Issued, served *audit.Served) {
	for _, l := range served.Lists {
		if l.List == issued.List {
			own, ok := issued.Edge[l.Seq]
			o.InForce, o.OtherFile = l.Seq, !ok || own != l.Edge
		}
	}
	for i := range served.Edges {
		e := &served.Edges[i]
		l, _ := e.List(issued.List)
		o.Edges = append(o.Edges, edgeReceipts{Edge: e.Edge, Last: e.At, Version: l.Seq, Since: l.Since, Bypass: e.Bypass})
		if l.Seq < issued.Seq {
			o.Unconfirmed = append(o.Unconfirmed, e.Edge)
		}
	}
	for _, w := range issued.Withdrawals {
		out := withdrawalReceipts{Number: w.Number, Confirmed: []confirmed{}, Unconfirmed: []string{}}
		at := slices.IndexFunc(served.Withdrawals, func(x audit.ServedWithdrawal) bool { return x.List == issued.List && x.Number == w.Number })
		if at >= 0 {
			out.Logged = served.Withdrawals[at].At
		}
		concerns := w.SeqTo >= issued.Seq
		for i := range served.Edges {
			e := &served.Edges[i]
			l, _ := e.List(issued.List)
			switch since, ok := carried(e, served, at); {
			case l.Seq > w.SeqTo: // its version is without the entries
				out.Confirmed = append(out.Confirmed, confirmed{Edge: e.Edge, Since: l.Since})
				continue
			case ok:
				out.Confirmed = append(out.Confirmed, confirmed{Edge: e.Edge, Since: since})
			case slices.Contains(e.Direct, w.ID):
				out.Confirmed = append(out.Confirmed, confirmed{Edge: e.Edge, Since: e.At, Direct: true})
			default:
				out.Unconfirmed = append(out.Unconfirmed, e.Edge)
			}
			concerns = concerns || l.Seq > 0
		}
		if concerns {
			o.Withdrawals = append(o.Withdrawals, out)
		}
	}
}

// carried is since when an edge carries out the withdrawal at this place in the log, which may be -1.
func carried(e *audit.ServedEdge, served *audit.Served, at int) (time.Time, bool) {
	if at < 0 {
		return time.Time{}, false
	}
	return e.Carried(served.Withdrawals[at].Leaf)
}

// notAsked names the operators that get keys and are not among those looked at.
func (r *receipts) notAsked(issued *publish.Issued) {
	r.NotAsked = []string{}
	for _, op := range issued.Operators {
		if !slices.ContainsFunc(r.Operators, func(o *operatorReceipts) bool { return o.Cluster == op.Cluster }) {
			r.NotAsked = append(r.NotAsked, op.Name)
		}
	}
}

// err says what is not as it should be: 5 before 1.
func (r *receipts) err() error {
	var lies, open []string
	for _, o := range r.Operators {
		if !o.Verified || o.OtherFile {
			lies = append(lies, o.Name)
		}
		missing := slices.Clone(o.Unconfirmed)
		for _, w := range o.Withdrawals {
			missing = append(missing, w.Unconfirmed...)
		}
		slices.Sort(missing)
		for _, e := range slices.Compact(missing) {
			open = append(open, o.Name+" "+e)
		}
	}
	switch {
	case len(lies) > 0:
		return &publish.Fault{Code: publish.CodeVerify, What: "what does not verify: " + strings.Join(lies, ", "), Do: "read the lines above, and ask the operator; if a version has another file than the one made here, find out whether officers' keys were used elsewhere"}
	case len(open) > 0:
		return &publish.Fault{Code: publish.CodeFailure, What: fmt.Sprintf("not confirmed by %d %s: %s", len(open), map[bool]string{true: "edge", false: "edges"}[len(open) == 1], strings.Join(open[:min(len(open), 20)], ", ")),
			Do: "edges look every few seconds; if it stays so, ask the operator to look at those edges"}
	}
	return nil
}

func (r *receipts) write(w io.Writer) error {
	at := func(t time.Time) string { return t.Format("2006-01-02 15:04:05 UTC") }
	for _, o := range r.Operators {
		fmt.Fprintf(w, "%s (%s), its log as of %s\n", o.Name, o.Cluster, at(o.Fresh))
		for _, f := range o.Failed {
			fmt.Fprintf(w, "  FAIL  %s\n", f)
		}
		if o.OtherFile {
			fmt.Fprintf(w, "  FAIL  version %d in force there is not the one this hotline has made\n", o.InForce)
		}
		for _, e := range o.Edges {
			switch {
			case e.Last.IsZero():
				fmt.Fprintf(w, "  %-12s has sent no receipt\n", e.Edge)
				continue
			case e.Version == 0:
				fmt.Fprintf(w, "  %-12s does not serve the list", e.Edge)
			default:
				fmt.Fprintf(w, "  %-12s version %d active since %s", e.Edge, e.Version, at(e.Since))
			}
			if e.Version < r.Version {
				fmt.Fprintf(w, ", NOT version %d", r.Version)
			}
			if e.Bypass {
				fmt.Fprint(w, ", BYPASSED: everything passes there")
			}
			fmt.Fprintf(w, " (last receipt %s)\n", at(e.Last))
		}
		n := len(o.Edges)
		fmt.Fprintf(w, "  version %d is confirmed by %d of %d edges%s\n", r.Version, n-len(o.Unconfirmed), n, not(o.Unconfirmed))
		for _, x := range o.Withdrawals {
			fmt.Fprintf(w, "  withdrawal %d is confirmed by %d of %d edges%s", x.Number, len(x.Confirmed), n, not(x.Unconfirmed))
			if len(x.Confirmed) > 0 {
				last := slices.MaxFunc(x.Confirmed, func(a, b confirmed) int { return a.Since.Compare(b.Since) })
				fmt.Fprintf(w, ", the last at %s", at(last.Since))
			}
			if x.Logged.IsZero() && len(x.Unconfirmed) > 0 {
				fmt.Fprint(w, "; it is not in the operator's log")
			}
			fmt.Fprintln(w)
		}
	}
	if len(r.NotAsked) > 0 {
		fmt.Fprintf(w, "not asked: %s\n", strings.Join(r.NotAsked, ", "))
	}
	return nil
}

func not(edges []string) string {
	if len(edges) == 0 {
		return ""
	}
	if len(edges) > 10 {
		return fmt.Sprintf(", not by %s and %d more", strings.Join(edges[:10], ", "), len(edges)-10)
	}
	return ", not by " + strings.Join(edges, ", ")
}
