package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/listsync/publish"
)

// The commands about popularity files: names that many people use, and hosts that carry many others.

func popularityCommand() *cobra.Command {
	return group("popularity", "Make, check and use the signed file of popular names", popularityKeyCommand(), popularitySignCommand(), popularityCheckCommand(), popularityUseCommand())
}

func popularityKeyCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:     "key --dir DIR --name NAME",
		Short:   "Make the key that signs popularity files, and nothing else",
		Example: `  cordon-hotline popularity key --dir popularity --name popularity.hotline-one.example`,
		Args:    cobra.NoArgs,
		RunE: does(func(c *cobra.Command, _ []string) error {
			k, err := publish.NewPopularityKey(publish.Config{}, flag(c, "dir"), flag(c, "name"))
			if err != nil {
				return err
			}
			return show(c, k, line("made the key %s in %s\npopularity.key stays here; hotlines and operators name this line, which is in popularity.vkey:\n%s", k.Name, flag(c, "dir"), k.Key))
		}),
	}, "the key's new directory")
	c.Flags().String("name", "", "the key's name, such as popularity.hotline-one.example")
	return required(c, "name")
}

func popularitySignCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "sign --key DIR --popular FILE --shared FILE --out FILE",
		Short:   "Sign popular names and hosts that carry many others",
		Example: `  cordon-hotline popularity sign --key popularity --popular ranking.csv --shared free-hosts.txt --out popular.names`,
		Long: `Read names, one a line or "rank,name", most popular first ("#" begins a comment), and write a signed popularity file of today.
--popular names sites that many people use; --shared names hosts that carry the sites or pages of many others. Either may be left out.`,
		Args: cobra.NoArgs,
		RunE: does(func(c *cobra.Command, _ []string) error {
			o := publish.PopularityOptions{Key: flag(c, "key"), Out: flag(c, "out")}
			for _, in := range []struct {
				flag string
				to   *io.Reader
			}{{"popular", &o.Popular}, {"shared", &o.Shared}} {
				path := flag(c, in.flag)
				if path == "" {
					continue
				}
				f, err := os.Open(path)
				if err != nil {
					return &publish.Fault{Code: publish.CodeInput, What: "cannot open the names: " + err.Error(), Do: "check the path", Err: err}
				}
				defer f.Close()
				*in.to = f
			}
			info, err := publish.SignPopularity(publish.Config{}, o)
			if err != nil {
				return err
			}
			return show(c, info, info.Write)
		}),
	}
	f := c.Flags()
	f.String("key", "", "the directory with popularity.key")
	f.String("popular", "", "a file of popular names")
	f.String("shared", "", "a file of hosts that carry many others")
	f.String("out", "", "the file to write")
	return required(c, "key", "out")
}

func popularityCheckCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "check --key VKEY FILE",
		Short:   "Verify a popularity file and say what it holds",
		Example: `  cordon-hotline popularity check --key popularity/popularity.vkey popular.names`,
		Args:    cobra.ExactArgs(1),
		RunE: does(func(c *cobra.Command, args []string) error {
			info, err := publish.CheckPopularity(publish.Config{}, args[0], flags(c, "key")...)
			if err != nil {
				return err
			}
			return show(c, info, info.Write)
		}),
	}
	c.Flags().StringArray("key", nil, "the popularity.vkey of who made it (the file or its line); may be given again")
	return required(c, "key")
}

func popularityUseCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:     "use --dir HOTLINE [--key VKEY] FILE",
		Short:   "Have check and sign ask about the names of a popularity file",
		Example: `  cordon-hotline popularity use --dir hotline --key popularity/popularity.vkey popular.names`,
		Long: `Verify a popularity file and copy it into the hotline's directory: check and sign ask about its names from now on. --key says whose
signature counts; once that is known it may be left out.`,
		Args: cobra.ExactArgs(1),
		RunE: on(func(h *publish.Hotline, c *cobra.Command, args []string) error {
			info, err := h.UsePopularity(args[0], flags(c, "key")...)
			if err != nil {
				return err
			}
			return show(c, info, info.Write)
		}),
	}, hotlineDir)
	c.Flags().StringArray("key", nil, "the popularity.vkey of who made it (the file or its line); may be given again")
	return c
}
