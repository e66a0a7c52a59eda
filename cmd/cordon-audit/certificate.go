package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/account"
	"github.com/cordon-project/cordon/cluster/audit/certificate"
	"github.com/cordon-project/cordon/cluster/audit/order"
)

func certificateCommand() *cobra.Command {
	var f flags
	var text, page bool
	c := &cobra.Command{
		Use:   "certificate --trust FILE [CERTIFICATE.json] BUNDLE|https://NODE:PORT",
		Short: "Make an operator's scope certificates again from the log, and compare",
		Long: `certificate verifies the log, then makes each scope certificate in it again from its records and compares it, byte for byte by its
SHA-256, with what two of the operator's officers have signed. With the file of a certificate it does so for that one, and says whether
officers have signed it in this log; --text prints it in words, --html prints a page of it and of what was found, which needs nothing else. What an order says of probes is the operator's own claim: no log yields it.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			if page && len(args) != 2 {
				return errors.New("--html makes a page of one certificate: name its file in front of the bundle")
			}
			var file []byte
			if len(args) == 2 {
				var err error
				if file, err = readBounded("certificate", args[0], certificate.MaxDocument); err != nil {
					return unreadable(err, "name the file that cordon certify wrote")
				}
				if _, err := certificate.Parse(file); err != nil {
					return unreadable(fmt.Errorf("%s: %w", args[0], err), "name the file that cordon certify wrote, as it is: one byte changed makes it another document")
				}
			}
			_, tf, err := readTrust(f.trust)
			if err != nil {
				return unreadable(err, "--trust names the trust file that the operator publishes for auditors (trust.json)")
			}
			r, err := f.verify(c.Context(), args[len(args)-1], audit.Options{Now: time.Now()})
			if err != nil {
				return err
			}
			found := certify(r, tf.Cluster, file)
			switch {
			case page:
				d, perr := certificate.Parse(file)
				if perr != nil {
					return unreadable(perr, "")
				}
				err = account.Certificate{Document: d, Pass: found.Pass, Checks: found.Checks}.WriteHTML(c.OutOrStdout())
			case f.json:
				enc := json.NewEncoder(c.OutOrStdout())
				enc.SetIndent("", "  ")
				err = enc.Encode(found)
			default:
				err = found.write(c.OutOrStdout())
				if d, perr := certificate.Parse(file); text && err == nil && perr == nil {
					fmt.Fprintln(c.OutOrStdout())
					err = d.WriteText(c.OutOrStdout())
				}
			}
			if err == nil && !found.Pass {
				return errFail
			}
			return unwritten("output", err)
		},
	}
	f.add(c)
	c.Flags().BoolVar(&text, "text", false, "print the certificate of the file in words, behind the checks")
	c.Flags().BoolVar(&page, "html", false, "print the certificate of the file as a page of HTML, with the checks")
	c.MarkFlagsMutuallyExclusive("html", "text")
	c.MarkFlagsMutuallyExclusive("html", "json")
	return c
}

// certified is what became of the certificates.
type certified struct {
	Pass   bool          `json:"pass"`
	Checks []audit.Check `json:"checks"`
}

func (c *certified) say(pass bool, name, format string, args ...any) {
	c.Pass = c.Pass && pass
	c.Checks = append(c.Checks, audit.Check{Name: name, Pass: pass, Detail: audit.Escape(fmt.Sprintf(format, args...))})
}

func (c *certified) write(w io.Writer) error {
	var b bytes.Buffer
	for _, x := range c.Checks {
		word := "FAIL"
		if x.Pass {
			word = "PASS"
		}
		fmt.Fprintf(&b, "%s  %-14s %s\n", word, x.Name, x.Detail)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// certify makes certificates again from a verified log: that of the file, or all that are in the log.
func certify(r *audit.Report, c audit.Cluster, file []byte) *certified {
	out := &certified{Pass: true}
	var failed []string
	for _, x := range r.Checks {
		if !x.Pass {
			failed = append(failed, x.Name)
		}
	}
	if out.say(r.Pass, "log", "%s", map[bool]string{true: "every check of cordon-audit verify passes", false: "these checks of cordon-audit verify do not pass: " + strings.Join(failed, ", ")}[r.Pass]); r.Leaves() == nil {
		return out
	}
	leaves := r.Leaves()
	var all []audit.Ordered
	var at []uint64
	for _, l := range leaves {
		if l.K != audit.KindCertificate {
			continue
		}
		body, err := l.Body()
		if o, ok := body.(audit.Ordered); err == nil && ok {
			all, at = append(all, o), append(at, l.N)
		}
	}
	if file != nil {
		certifyFile(out, c, leaves, all, at, file)
		return out
	}
	if len(all) == 0 {
		out.say(true, "certificate", "no certificate is in this log")
	}
	if n := len(all) - certificate.MaxMade; n > 0 {
		out.say(false, "certificate", "%d certificates are in this log, and the last %d are looked at: name the file of an earlier one", len(all), certificate.MaxMade)
		all, at = all[n:], at[n:]
	}
	for i, o := range all {
		said := o.Order.Body.(order.Certificate)
		if _, err := certificate.Yields(c, slices.Values(leaves), said); err != nil {
			out.say(false, "certificate", "leaf %d, number %d, signed by %s: %v", at[i], o.Number, strings.Join(o.Signers, " and "), err)
			continue
		}
		out.say(true, "certificate", "leaf %d: %s, signed by %s", at[i], o.Order.Describe(), strings.Join(o.Signers, " and "))
	}
	return out
}

func certifyFile(out *certified, c audit.Cluster, leaves []audit.Leaf, all []audit.Ordered, at []uint64, file []byte) {
	d, err := certificate.Parse(file)
	if err != nil {
		out.say(false, "document", "%v", err)
		return
	}
	made, err := certificate.Of(c, slices.Values(leaves), time.Unix(int64(d.From), 0), time.Unix(int64(d.To), 0))
	switch {
	case err != nil:
		out.say(false, "document", "%v", err)
	case len(leaves) == 0 || leaves[len(leaves)-1].T < int64(d.To):
		out.say(false, "document", "this log ends before %s: get a newer bundle", d.To)
	case !bytes.Equal(made.Encode(), file):
		out.say(false, "document", "the log makes another one: %s", differs(made.Encode(), file))
	default:
		out.say(true, "document", "the log's first %d leaves make it, byte for byte", made.End.Size)
	}
	for i, o := range all {
		if said := o.Order.Body.(order.Certificate); said.Hash == d.Hash() && said.From == int64(d.From) && said.To == int64(d.To) && said.Size == d.End.Size {
			out.say(true, "signed", "leaf %d: certificate %d, by %s", at[i], o.Number, strings.Join(o.Signers, " and "))
			return
		}
	}
	out.say(false, "signed", "no certificate in this log is of this document; a newer bundle may have it")
}

// differs names the first line that two documents do not share.
func differs(made, file []byte) string {
	a, b := strings.Split(string(made), "\n"), strings.Split(string(file), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d is %q, the file has %q", i+1, strings.TrimSpace(a[i]), strings.TrimSpace(b[i]))
		}
	}
	return fmt.Sprintf("it has %d lines, the file %d", len(a), len(b))
}
