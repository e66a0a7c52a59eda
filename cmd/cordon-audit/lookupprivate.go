package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/cluster/audit"
	proven "github.com/cordon-project/cordon/cluster/audit/lookup"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/lookup"
	"github.com/cordon-project/cordon/listsync/oprf"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

const lookupPrivately = `With --private nobody learns which name it is. It verifies the bundle, blinds every expression that NAME or URL is tested against, has the hotline's
service evaluate them, verifies its proof with the key that officers have signed in the bundle's metadata, and looks for the results in the column that they have
signed with the version in force. Neither the operator nor the hotline learns what was asked; questions have one size (more than 16 expressions are several).
An answer made with another key, or to another question, fails. That the column itself has the right results is the hotline's word, like the list: a reviewer's
sample (cordon-audit sample) holds it to the entries.`

// privateLookup is lookup --private.
type privateLookup struct {
	on                  bool
	token, column, list string
}

func (p *privateLookup) add(c *cobra.Command) {
	c.Flags().BoolVar(&p.on, "private", false, "ask so that nobody learns which name or page it is")
	c.Flags().StringVar(&p.token, "token", "", "with --private: file with the token that the hotline gave you (required)")
	c.Flags().StringVar(&p.column, "column", "", "with --private: the column, if you have it from an earlier lookup in this version; else it is fetched. A new file is written there")
	c.Flags().StringVar(&p.list, "list", "", "with --private: only this list (default: every list in force that has private lookups; needed when they are of several hotlines)")
}

// set names a flag that only --private has, if one was given.
func (p *privateLookup) set(c *cobra.Command) string {
	for _, name := range []string{"token", "column", "list"} {
		if c.Flags().Changed(name) {
			return name
		}
	}
	return ""
}

func (p *privateLookup) run(c *cobra.Command, f *flags, what, target string) error {
	if p.token == "" {
		return errors.New("--private needs --token: the file with the line that the hotline's auditor add printed")
	}
	exprs, err := canon.Expressions(what)
	if err != nil {
		return unreadable(errors.New("the name or URL cannot be used"), "write it as host.example or https://host.example/path")
	}
	secret, err := readBounded("token", p.token, 256)
	if err != nil {
		return unreadable(err, "--token names the file with the line that the hotline's auditor add printed")
	}
	l, err := f.look(c.Context(), c, target)
	if err != nil {
		return err
	}
	defer l.close()
	ctx, cancel := context.WithTimeout(c.Context(), f.timeout)
	defer cancel()
	found, err := l.lookupPrivate(ctx, exprs, strings.TrimSpace(string(secret)), p.column, match.ListID(p.list))
	if errors.Is(err, oprf.ErrProof) {
		if _, err := fmt.Fprintf(c.OutOrStdout(), "FAIL  lookup: %s\n", audit.Escape(err.Error())); err != nil {
			return unwritten("output", err)
		}
		return errFail
	}
	if err != nil {
		return err
	}
	if f.json {
		return unwritten("output", json.NewEncoder(c.OutOrStdout()).Encode(found))
	}
	return unwritten("output", found.write(c.OutOrStdout()))
}

// lookedUp is the result of a private lookup.
type lookedUp struct {
	Bypass bool         `json:"bypass"` // everything passes, by order of the operator's officers
	Lists  []string     `json:"lists"`  // that were asked, with their versions
	Silent []string     `json:"silent"` // in force without private lookups: nothing is known of them
	Found  []lookedItem `json:"found"`
}

type lookedItem struct {
	List     string `json:"list"`
	Seq      uint64 `json:"seq"`
	Kind     string `json:"kind"`
	Basis    string `json:"basis"`
	Since    string `json:"since"`
	ReviewBy string `json:"review_by"`
	Entry    string `json:"entry"` // id
	State    string `json:"state"`
}

// lookupPrivate asks every list in force that has private lookups.
func (l *looked) lookupPrivate(ctx context.Context, exprs []canon.Expr, token, columnFile string, only match.ListID) (*lookedUp, error) {
	leaves := l.report.Leaves()
	f := audit.Genesis()
	for _, leaf := range leaves {
		var err error
		if f, err = f.Apply(leaf); err != nil {
			return nil, err
		}
	}
	out := &lookedUp{Bypass: f.Bypass != 0 && time.Now().Unix() <= f.Bypass, Lists: []string{}, Silent: []string{}, Found: []lookedItem{}}
	var ask []askable
	for _, in := range f.Lists {
		if only != "" && in.List != only {
			continue
		}
		p, ok := publishAt(leaves, in.Leaf)
		if !ok {
			return nil, unreadable(errors.New("the log has changed"), "")
		}
		target, err := l.target(p)
		if err != nil {
			return nil, err
		}
		version := fmt.Sprintf("%s sequence %d", in.List, in.Seq)
		if target.Private == (trust.Private{}) {
			out.Silent = append(out.Silent, version)
			continue
		}
		ask = append(ask, askable{in, p, target, version})
	}
	if err := oneToken(ask, columnFile); err != nil {
		return nil, err
	}
	for _, x := range ask {
		in, p, target, version := x.in, x.leaf, x.target, x.version
		filter, err := in.Filter.Match()
		if err != nil {
			return nil, unreadable(err, "ask for the bundle again")
		}
		edge, _, err := l.version(p)
		if err != nil {
			return nil, err
		}
		client := &lookup.Client{URL: target.Private.URL, Token: token, HTTP: directly()}
		col, err := openColumn(ctx, client, target.Private, columnFile)
		if err != nil {
			return nil, service(err)
		}
		if err := col.Fits(edge); err != nil || col.Key() != target.Private.Key {
			return nil, fmt.Errorf("the column that officers have signed with %s is of another version or key: %w", version, oprf.ErrProof)
		}
		var inputs [][]byte
		for _, x := range exprs {
			in := oprf.Input(p.List, x.Class, x.Text)
			if !slices.ContainsFunc(inputs, func(have []byte) bool { return bytes.Equal(have, in) }) {
				inputs = append(inputs, in)
			}
		}
		outputs, err := client.Ask(ctx, target.Private.Key, inputs)
		if err != nil {
			return nil, service(err)
		}
		out.Lists = append(out.Lists, version)
		out.take(in, f, filter, edge, col, exprs, inputs, outputs)
	}
	if len(out.Lists) == 0 {
		return nil, unreadable(errors.New("no list in force there has private lookups"), "ask the hotline to turn them on, or look in another cluster")
	}
	return out, nil
}

// take adds the records that an answer found: those whose kind matches the expression that found them.
func (out *lookedUp) take(in audit.InForceList, f audit.InForce, filter match.Filter, edge *list.Edge, col *list.Column, exprs []canon.Expr, inputs [][]byte, outputs []oprf.Output) {
	for _, x := range exprs {
		want := oprf.Input(in.List, x.Class, x.Text)
		i := slices.IndexFunc(inputs, func(have []byte) bool { return bytes.Equal(have, want) })
		for _, at := range col.Find(outputs[i]) {
			r := edge.Record(at)
			if r.Kind != x.Kind || r.Kind == canon.KindSteer || r.Flags&match.FlagDecoy != 0 {
				continue
			}
			day := func(t uint32) string { return time.Unix(int64(t), 0).UTC().Format("2006-01-02") }
			out.Found = append(out.Found, lookedItem{
				List: string(in.List), Seq: in.Seq, Kind: r.Kind.String(), Basis: r.Basis.String(), Since: day(r.Since), ReviewBy: day(r.ReviewBy),
				Entry: r.EntryID.String(), State: stateOf(in, f, filter, r),
			})
		}
	}
}

// stateOf says whether a listed entry is in force at this operator, as a lookup with the operator's help does.
func stateOf(in audit.InForceList, f audit.InForce, filter match.Filter, r match.Record) string {
	if stops, why := proven.Stops(r, in.List, f, filter, time.Now()); !stops {
		return why
	}
	return "in force"
}

// askable is a version with private lookups.
type askable struct {
	in      audit.InForceList
	leaf    audit.Publish
	target  trust.ListTarget
	version string
}

// oneToken refuses to ask several hotlines: the token is one hotline's, and another that is sent it could ask in the auditor's name.
func oneToken(ask []askable, columnFile string) error {
	var names []string
	for _, x := range ask {
		names = append(names, string(x.in.List))
	}
	do := "name one of them with --list: " + strings.Join(names, ", ")
	for _, x := range ask {
		if x.leaf.Hotline != ask[0].leaf.Hotline {
			return unreadable(errors.New("lists of several hotlines have private lookups there, and a token is for the hotline that gave it"), do)
		}
	}
	if columnFile != "" && len(ask) > 1 {
		return unreadable(errors.New("--column is the column of one list, and several have private lookups there"), do)
	}
	return nil
}

// target is what officers signed about a version.
func (l *looked) target(p audit.Publish) (trust.ListTarget, error) {
	doc, err := audit.ReadMetadata(l.again(), p.Metadata)
	if err != nil {
		return trust.ListTarget{}, unreadable(err, "ask for the bundle again")
	}
	md, err := trust.DecodeMetadata(doc)
	if err == nil {
		var spec trust.ListSpec
		if spec, err = trust.ReadList(md.List, p.Hotline); err == nil {
			for _, t := range spec.Lists {
				if t.List == p.List && t.Seq == p.Seq && t.Edge.SHA256 == p.Edge {
					return t, nil
				}
			}
			err = errors.New("it is not of this version")
		}
	}
	return trust.ListTarget{}, unreadable(fmt.Errorf("metadata of %s sequence %d: %w", p.List, p.Seq, err), "")
}

// directly is a client that goes where officers have signed, and nowhere else.
func directly() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("it sends elsewhere, which it never does")
	}}
}

// openColumn reads the column from a file, or fetches it, and keeps it there if a file is named.
func openColumn(ctx context.Context, client *lookup.Client, p trust.Private, path string) (*list.Column, error) {
	if path != "" {
		if b, err := readBounded("column", path, p.Size); err == nil && p.Is(b) {
			return list.OpenColumn(b)
		}
	}
	b, err := client.Column(ctx, p.Column, p.Size)
	if err != nil {
		return nil, err
	}
	col, err := list.OpenColumn(b)
	if err == nil && path != "" {
		err = writeNew(path, b)
	}
	return col, err
}

// service makes a fault of what the service did; what it cannot prove stays a failure.
func service(err error) error {
	if errors.Is(err, oprf.ErrProof) {
		return err
	}
	if _, ok := errors.AsType[*fault](err); ok {
		return err
	}
	return unreadable(err, "ask the hotline; nothing is known of the name")
}

func (out *lookedUp) write(w io.Writer) error {
	for _, x := range out.Found {
		if _, err := fmt.Fprintf(w, "LISTED      %s sequence %d: kind %s, basis %s, since %s, review by %s, entry %s: %s\n", x.List, x.Seq, x.Kind, x.Basis, x.Since, x.ReviewBy, x.Entry, x.State); err != nil {
			return err
		}
	}
	if len(out.Found) == 0 {
		fmt.Fprintf(w, "not listed  in %s\n", strings.Join(out.Lists, ", "))
	}
	for _, s := range out.Silent {
		fmt.Fprintf(w, "not asked   %s has no private lookups\n", s)
	}
	if out.Bypass {
		fmt.Fprintln(w, "BYPASS      everything passes now, by order of the operator's officers")
	}
	_, err := fmt.Fprintln(w, "nobody has learned what was asked; the service has proved that it used the signed key on it; that the column is the list's, a reviewer's sample shows (sample check --token)")
	return err
}

// judgeColumn holds the column of a version to what a sample shows: it asks the service about each entry and wants the very output at its
// record. The second result says in words what was compared.
func (l *looked) judgeColumn(ctx context.Context, p audit.Publish, edge *list.Edge, s trust.Sample, tokenFile string) ([]string, string, error) {
	secret, err := readBounded("token", tokenFile, 256)
	if err != nil {
		return nil, "", unreadable(err, "--token names the file with the line that the hotline's auditor add printed")
	}
	target, err := l.target(p)
	if err != nil {
		return nil, "", err
	}
	if target.Private == (trust.Private{}) {
		return nil, "this version has no private lookups", nil
	}
	client := &lookup.Client{URL: target.Private.URL, Token: strings.TrimSpace(string(secret)), HTTP: directly()}
	col, err := openColumn(ctx, client, target.Private, "")
	if errors.Is(err, oprf.ErrProof) {
		return []string{err.Error()}, "", nil
	}
	if err != nil {
		return nil, "", service(err)
	}
	if err := col.Fits(edge); err != nil || col.Key() != target.Private.Key {
		return []string{"the column that officers have signed is of another version or key"}, "", nil
	}
	var inputs [][]byte
	for _, x := range s.Shown {
		inputs = append(inputs, oprf.Input(p.List, x.Kind.Class(), x.Expression))
	}
	outputs, err := client.Ask(ctx, target.Private.Key, inputs)
	if errors.Is(err, oprf.ErrProof) {
		return []string{err.Error()}, "", nil
	}
	if err != nil {
		return nil, "", service(err)
	}
	var wrong []string
	for i, x := range s.Shown {
		if col.Output(int(x.Record)) != outputs[i] {
			wrong = append(wrong, fmt.Sprintf("record %d: the column of private lookups has something else there: a private lookup would not find the entry", x.Record))
		}
	}
	return wrong, "the column of private lookups has each of them", nil
}
