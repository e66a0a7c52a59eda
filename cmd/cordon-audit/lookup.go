package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/lookup"
	"github.com/cordon-project/cordon/cluster/audit/source"
)

const (
	lookupProves = "proven: the lists in force, cosigned by a quorum and signed by their hotlines; that each has, or has not, what is said here at the digests that the node computed"
	lookupTrusts = "not proven: that these digests are the name's. The node computed them: the operator has learnt which name you ask for, and could lie: to say \"not listed\" it needs only a wrong digest, to say \"listed\" that of another listed name. A private lookup asks the hotline instead"
)

func lookupCommand() *cobra.Command {
	var f flags
	var private privateLookup
	var maxAge time.Duration
	c := &cobra.Command{
		Use:   "lookup NAME --trust FILE --cert FILE --key FILE https://NODE:PORT | lookup --private NAME|URL --trust FILE --token FILE BUNDLE|https://NODE:PORT",
		Short: "Ask whether a name is listed, by which list, since when, on which basis, with proof: of an operator, or so that nobody learns which",
		Long: `lookup asks a control node, with an auditor's certificate (cordon auditor-add at the operator), and verifies its answer against the trust
file: the cosigned log, the hotlines' signatures, and the very blocks of the signed lists where the name would stand.

` + lookupTrusts + `.

` + lookupPrivately + `

Exit codes: 0 the answer verifies, whatever it says, 3 there is no answer, 5 it does not verify.`,
		Args: exactly(2),
		RunE: func(c *cobra.Command, args []string) error {
			if private.on {
				return private.run(c, &f, args[0], args[1])
			}
			if what := private.set(c); what != "" {
				return fmt.Errorf("--%s is for --private lookups", what)
			}
			name, err := lookup.Name(args[0])
			if err != nil {
				return fmt.Errorf("%w; give the name alone, or ask with --private, which takes a URL too", err)
			}
			_, tf, err := readTrust(f.trust)
			if err != nil {
				return unreadable(err, "--trust names the trust file that the operator publishes for auditors (trust.json)")
			}
			ctx, cancel := context.WithTimeout(c.Context(), f.timeout)
			defer cancel()
			a, err := source.Lookup(ctx, args[1], name, tf, source.Config{Cert: f.cert, Key: f.key})
			if no, ok := errors.AsType[*source.Error](err); ok {
				return unreadable(no.Err, no.Do)
			}
			now := time.Now()
			var r *lookup.Result
			if err == nil {
				r, err = lookup.Verify(a, tf, name, now)
			}
			if err == nil && now.Sub(r.Fresh) > maxAge {
				err = fmt.Errorf("what it says is in force is old: a quorum signed it %v ago, at most %v is allowed (--max-age)", now.Sub(r.Fresh).Truncate(time.Second), maxAge)
			}
			return writeLookup(c.OutOrStdout(), name, r, err, f.json)
		},
	}
	f.add(c)
	private.add(c)
	c.Flags().DurationVar(&maxAge, "max-age", time.Hour, "refuse an answer whose checkpoint is older")
	return c
}

// lookupJSON is the JSON of a lookup.
type lookupJSON struct {
	Pass    bool           `json:"pass"` // the answer verifies
	Name    string         `json:"name"`
	Problem string         `json:"problem,omitempty"`
	Result  *lookup.Result `json:"result"`
	Proves  string         `json:"proves"`
	Trusts  string         `json:"trusts"`
}

// writeLookup prints a result that verifies, or why the answer does not.
func writeLookup(w io.Writer, name string, r *lookup.Result, problem error, asJSON bool) error {
	var err error
	switch {
	case asJSON:
		l := lookupJSON{Pass: problem == nil, Name: name, Result: r, Proves: lookupProves, Trusts: lookupTrusts}
		if problem != nil {
			l.Problem, l.Result, l.Proves = audit.Escape(problem.Error()), nil, ""
		}
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		err = enc.Encode(l)
	case problem != nil:
		_, err = fmt.Fprintf(w, "FAIL  the node's answer does not verify: %s\n", audit.Escape(problem.Error()))
	default:
		_, err = io.WriteString(w, lookupText(name, r))
	}
	if err == nil && problem != nil {
		return errFail
	}
	return unwritten("output", err)
}

func lookupText(name string, r *lookup.Result) string {
	var b strings.Builder
	word := "NOT LISTED"
	switch {
	case r.Listed:
		word = "LISTED"
	case len(r.Entries) > 0: // withdrawn, suppressed, past its review
		word = "LISTED, NOT STOPPED NOW"
	}
	fmt.Fprintf(&b, "%s  %s\n", word, audit.Escape(name))
	day := func(t time.Time) string { return t.Format(time.DateOnly) }
	for _, e := range r.Entries {
		above := ""
		if n := strings.Count(name, ".") + 1; e.Labels < n {
			above = fmt.Sprintf(" of the domain made of its last %d labels", e.Labels)
		}
		fmt.Fprintf(&b, "  list %s version %d: %s entry %s%s, basis %s in %s, listed by the hotline since %s, to be reviewed by %s: %s\n",
			e.List, e.Seq, e.Kind, e.Entry, above, e.Basis, e.Jurisdiction, day(e.Since), day(e.ReviewBy), e.Why)
		fmt.Fprintf(&b, "    in force here since %s at the latest (leaf %d)\n", e.InForce.Format(time.RFC3339), e.Leaf)
	}
	for _, l := range r.Lists {
		fmt.Fprintf(&b, "  looked into list %s version %d of %d records, at places %s\n", l.List, l.Seq, l.Records, strings.Trim(fmt.Sprint(l.Places), "[]"))
	}
	if len(r.Lists) == 0 {
		b.WriteString("  no list is in force\n")
	}
	if r.Bypass {
		b.WriteString("  BYPASS: everything passes now, by order of the operator's officers\n")
	}
	fmt.Fprintf(&b, "%s\n%s\n", lookupProves, lookupTrusts)
	return b.String()
}
