package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/analysts"
)

func exemptCommand() *cobra.Command {
	var o ordering
	var path string
	var lift bool
	c := &cobra.Command{
		Use:   "exempt",
		Short: "Let nothing be stopped for accredited analysts' own prefixes, for at most 30 days (two officers)",
		Long: "Let nothing be stopped for the prefixes in a file that cordon analysts wrote: those of accredited analysts, who must see what they judge. The\n" +
			"log has the file's SHA-256 and how many prefixes it has, never the prefixes; give it to each edge (analysts in edge.yaml) by your own way, and to\n" +
			"auditors who ask. It takes the place of the file before, and ends by itself." + twoSteps,
		Example: `  cordon exempt --file analysts.txt --for 30d --reason "other(office of the hotline)" --officer ada --officer grace
  cordon exempt --lift --reason error --officer ada --officer grace`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if (path == "") != lift {
				return usage(c, fmt.Errorf("--file or --lift is needed, one of them"))
			}
			op, err := o.open(c)
			if err != nil {
				return err
			}
			var file []byte
			if !lift {
				if file, err = readFile(path, 1<<16); err != nil {
					return appliance.BadInput(fmt.Errorf("--file: %w", err))
				}
			}
			return o.print(op.Exempt(c.Context(), o.r, file))
		},
	}
	o.flags(c, "7d")
	c.Flags().StringVar(&path, "file", "", "file of their prefixes, as cordon analysts wrote it")
	c.Flags().BoolVar(&lift, "lift", false, "end the exemption before its time")
	return c
}

// readFile reads at most a number of bytes; what is longer is read no further, and refused by whoever reads it.
func readFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most))
	if err == nil && b == nil {
		b = []byte{}
	}
	return b, err
}

func analystsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "analysts FILE PREFIX...",
		Short: "Write the file of accredited analysts' prefixes that two officers can exempt",
		Long: "Write the file of accredited analysts' prefixes that two officers can exempt (cordon exempt). Its salt keeps its SHA-256, which is in the log,\n" +
			"from telling an address to whoever tries all of them: keep the file where you keep keys.",
		Example: "  cordon analysts analysts.txt 192.0.2.0/29 2001:db8:1::/56",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			var prefixes []netip.Prefix
			for _, a := range args[1:] {
				p, err := officePrefix(a)
				if err != nil {
					return appliance.BadInput(err)
				}
				prefixes = append(prefixes, p)
			}
			b, err := analysts.Write(prefixes)
			if err != nil {
				return appliance.BadInput(err)
			}
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			switch {
			case errors.Is(err, fs.ErrExist):
				return appliance.BadInput(fmt.Errorf("%s is there already, and edges may exempt by it: name a new file, have officers sign that, and put it in the old one's place on each edge", args[0]))
			case err != nil:
				return appliance.BadInput(err)
			}
			_, err = f.Write(b)
			if e := f.Close(); err == nil {
				err = e
			}
			if err == nil {
				word := "prefixes"
				if len(prefixes) == 1 {
					word = "prefix"
				}
				fmt.Fprintf(stdout, "Written: %s, %d %s, SHA-256 %x\n", args[0], len(prefixes), word, sha256.Sum256(b))
			}
			return err
		},
	}
}

// officePrefix reads one prefix, and says of what is nearly one how to write it.
func officePrefix(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	one, notOne := netip.ParseAddr(text)
	switch {
	case notOne == nil && one.Zone() == "":
		return p, fmt.Errorf("%s is an address and no prefix; write %s if you mean it alone", text, netip.PrefixFrom(one, one.BitLen()))
	case err != nil:
		return p, fmt.Errorf("%q is no prefix; write one like 192.0.2.0/29 or 2001:db8:1::/56", text)
	case p != p.Masked():
		return p, fmt.Errorf("%s has bits behind the prefix; write %s if you mean all of it", text, p.Masked())
	}
	return p, nil
}
