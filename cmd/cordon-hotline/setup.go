package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/listsync/publish"
)

// The commands that set a hotline up: authority, officer, init, accept, operator, rekey.

func authorityCommand() *cobra.Command {
	return group("authority", "Make and run an accreditation authority", authorityInitCommand(), authorityAccreditCommand(), authoritySignCommand(), authorityRotateCommand())
}

func authorityInitCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:     "init --dir DIR",
		Short:   "Make an authority: five root keys and three accreditation keys, each in a directory of its own",
		Example: `  cordon-hotline authority init --dir authority`,
		Args:    cobra.NoArgs,
		RunE: does(func(c *cobra.Command, _ []string) error {
			dir := flag(c, "dir")
			a, err := publish.InitAuthority(publish.Config{}, dir, isSet(c, "development"))
			if err != nil {
				return err
			}
			return show(c, a, line("made %d root keys (3 must sign) and %d accreditation keys (2 must sign) in %s\ncarry each directory to a safe place of its own; keep authority.json here",
				len(a.Root), len(a.Accreditation), dir))
		}),
	}, "the authority's new directory")
	c.Flags().Bool("development", false, "a throw-away authority: production nodes refuse its hotlines")
	return c
}

func authorityAccreditCommand() *cobra.Command {
	var jurisdictions, bases, kinds []string
	var rpz bool
	var days int
	c := withDir(&cobra.Command{
		Use:     "accredit --dir DIR --request HOTLINE/request.json --out DIR2",
		Short:   "Write a hotline's root, charter and delegation, to be signed",
		Example: `  cordon-hotline authority accredit --dir authority --request hotline/request.json --out accredited --jurisdiction XA --basis law,order,voluntary --kind url,prefix,host,domain --valid-days 365`,
		Args:    cobra.NoArgs,
		RunE: does(func(c *cobra.Command, _ []string) error {
			granted, err := publish.Accredit(publish.Config{}, publish.AccreditOptions{
				Dir: flag(c, "dir"), Request: flag(c, "request"), Out: flag(c, "out"),
				Jurisdictions: jurisdictions, Bases: bases, Kinds: kinds, RPZ: rpz, ValidDays: days,
			})
			if err != nil {
				return err
			}
			dir, out := flag(c, "dir"), flag(c, "out")
			return show(c, granted, func(w io.Writer) error {
				fmt.Fprintf(w, "wrote %s\nread charter.json, then sign:\n", out)
				fmt.Fprintf(w, "  %d root keys:           cordon-hotline authority sign --key %s %s\n", granted.Root, filepath.Join(dir, "root-N"), granted.Sign[0])
				if len(granted.Before) > 0 {
					fmt.Fprintf(w, "  and %d of the root keys before, the same way: %s\n", granted.NeedBefore, strings.Join(granted.Before, ", "))
				}
				fmt.Fprintf(w, "  %d accreditation keys:  cordon-hotline authority sign --key %s %s\n", granted.Accreditation, filepath.Join(dir, "accreditation-N"), granted.Sign[1])
				first := filepath.Join(out, "1.root.json")
				if granted.Sign[0] != first {
					_, err := fmt.Fprintf(w, "then send %s to the hotline; operators and auditors keep the %s they have pinned\n", out, first)
					return err
				}
				_, err := fmt.Fprintf(w, "then send %s to the hotline; operators and auditors pin %s\n", out, first)
				return err
			})
		}),
	}, "the authority's directory")
	f := c.Flags()
	f.String("request", "", "the hotline's request.json")
	f.String("out", "", "where the files go; for a renewal, the directory of the earlier accreditation")
	f.StringSliceVar(&jurisdictions, "jurisdiction", nil, "jurisdictions granted, two capital letters each, with commas")
	f.StringSliceVar(&bases, "basis", nil, "legal bases granted: law,order,voluntary")
	f.StringSliceVar(&kinds, "kind", nil, "kinds of entries granted: url,prefix,host,domain")
	f.BoolVar(&rpz, "rpz", false, "grant RPZ out: names may then leave operators' memory in zone transfers")
	f.IntVar(&days, "valid-days", 365, "days the accreditation is good for")
	return required(c, "request", "out", "jurisdiction", "basis", "kind")
}

func authoritySignCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "sign --key DIR/root-1 FILE...",
		Short:   "Add one root or accreditation signature to metadata",
		Example: `  cordon-hotline authority sign --key authority/root-1 accredited/1.root.json`,
		Args:    cobra.MinimumNArgs(1),
		RunE: does(func(c *cobra.Command, args []string) error {
			done, err := publish.SignMetadata(publish.Config{}, flag(c, "key"), args...)
			if err != nil {
				return err
			}
			return show(c, done, func(w io.Writer) error {
				for _, f := range done {
					again := ""
					if f.Again {
						again = " (this key had signed before)"
					}
					if f.NeedBefore > 0 {
						fmt.Fprintf(w, "%s: %d of %d signatures of today's keys, %d of %d of the keys before%s\n", f.File, f.Have, f.Need, f.HaveBefore, f.NeedBefore, again)
						continue
					}
					fmt.Fprintf(w, "%s: %d of %d signatures%s\n", f.File, f.Have, f.Need, again)
				}
				return nil
			})
		}),
	}
	c.Flags().String("key", "", "the directory of one root or accreditation key")
	return required(c, "key")
}

func initCommand() *cobra.Command {
	var o publish.InitOptions
	c := withDir(&cobra.Command{
		Use:     "init --dir HOTLINE",
		Short:   "Make a hotline's directory: service keys, list keys, an empty list, and request.json for the authority",
		Args:    cobra.NoArgs,
		Example: "  cordon-hotline init --dir hotline --id hotline-one --name \"Hotline One\" --list hotline-one/main --canary canary.hotline-one.test \\\n    --officer officer-1/officer.pub --officer officer-2/officer.pub --officer officer-3/officer.pub",
		RunE: does(func(c *cobra.Command, _ []string) error {
			o.Dir, o.Officers = flag(c, "dir"), flags(c, "officer")
			if _, err := publish.Init(publish.Config{}, o); err != nil {
				return err
			}
			request := filepath.Join(o.Dir, "request.json")
			return show(c, struct {
				Dir     string `json:"dir"`
				Request string `json:"request"`
			}{o.Dir, request}, line("made hotline %s in %s\nsend %s to the accreditation authority", o.ID, o.Dir, request))
		}),
	}, "the hotline's new directory")
	f := c.Flags()
	f.StringVar(&o.ID, "id", "", "the hotline's id, such as hotline-one")
	f.StringVar(&o.Name, "name", "", "the hotline's name for people")
	f.StringVar(&o.List, "list", "", "the list, such as hotline-one/main")
	f.StringVar(&o.Canary, "canary", "", "a harmless host of the hotline's own, listed for testing")
	f.StringArray("officer", nil, "an officer's officer.pub; give it for each, at least three")
	f.IntVar(&o.Threshold, "threshold", 2, "officers who must sign a version")
	return required(c, "id", "name", "list", "canary", "officer")
}

func acceptCommand() *cobra.Command {
	return withDir(&cobra.Command{
		Use:     "accept --dir HOTLINE DIR2",
		Short:   "Take the authority's signed accreditation in",
		Example: `  cordon-hotline accept --dir hotline accredited`,
		Args:    cobra.ExactArgs(1),
		RunE: on(func(h *publish.Hotline, c *cobra.Command, args []string) error {
			done, err := h.Accept(args[0])
			if err != nil {
				return err
			}
			ch := done.Charter
			return show(c, struct {
				Hotline       string   `json:"hotline"`
				Jurisdictions []string `json:"jurisdictions"`
				ValidTo       string   `json:"valid_to"`
				Resign        string   `json:"resign"`
			}{string(ch.Hotline), ch.Jurisdictions, ch.ValidTo.Format("2006-01-02"), done.Resign}, func(w io.Writer) error {
				fmt.Fprintf(w, "hotline %s is accredited for %s until %s", ch.Hotline, strings.Join(ch.Jurisdictions, ", "), ch.ValidTo.Format("2006-01-02"))
				if done.Resign != "" {
					_, err := fmt.Fprintf(w, "\n%s\n", done.Resign)
					return err
				}
				_, err := fmt.Fprintf(w, "; publish or refresh carries it out\n")
				return err
			})
		}),
	}, "the hotline's directory")
}

func operatorCommand() *cobra.Command {
	add := withDir(&cobra.Command{
		Use:     "add --dir HOTLINE CLUSTER.pub",
		Short:   "Give an operator the list's keys from the next version on",
		Example: `  cordon-hotline operator add --dir hotline cluster.pub`,
		Args:    cobra.ExactArgs(1),
		RunE: on(func(h *publish.Hotline, c *cobra.Command, args []string) error {
			o, err := h.AddOperator(args[0])
			if err != nil {
				return err
			}
			return show(c, o, line("operator %s (%s) gets the keys with the next version: sign and publish it", o.Name, o.Cluster))
		}),
	}, "the hotline's directory")
	list := withDir(&cobra.Command{
		Use:     "list --dir HOTLINE",
		Short:   "List the operators that get keys",
		Example: `  cordon-hotline operator list --dir hotline`,
		Args:    cobra.NoArgs,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, _ []string) error {
			all, err := h.Operators()
			if err != nil {
				return err
			}
			return show(c, all, func(w io.Writer) error {
				for _, o := range all {
					fmt.Fprintf(w, "%s\t%s\n", o.Cluster, o.Name)
				}
				return nil
			})
		}),
	}, "the hotline's directory")
	remove := withDir(&cobra.Command{
		Use:     "remove --dir HOTLINE CLUSTER|NAME",
		Short:   "Take an operator out; the next version has new keys that it does not get",
		Example: `  cordon-hotline operator remove --dir hotline isp.example`,
		Args:    cobra.ExactArgs(1),
		RunE: on(func(h *publish.Hotline, c *cobra.Command, args []string) error {
			o, epoch, err := h.RemoveOperator(args[0])
			if err != nil {
				return err
			}
			return show(c, struct {
				publish.Operator
				Epoch uint32 `json:"epoch"`
			}{o, epoch}, line("operator %s (%s) is taken out; the next version has the keys of epoch %d, which it does not get\nwhat it holds of earlier versions it keeps", o.Name, o.Cluster, epoch))
		}),
	}, "the hotline's directory")
	return group("operator", "Say which operators get the list's keys", add, list, remove, operatorAPICommand())
}

func operatorAPICommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:   "api --dir HOTLINE CLUSTER|NAME [--url https://ADDRESS:PORT ...] [--ca FILE]",
		Short: "Say where an operator's control nodes take urgent withdrawals and openings, so that they arrive at once",
		Example: `  cordon-hotline operator api --dir hotline isp.example --url https://192.0.2.10:7443 --url https://192.0.2.11:7443 --ca ca.crt
  cordon-hotline operator api --dir hotline isp.example        # no address: it finds withdrawals in the repository`,
		Args: cobra.ExactArgs(1),
		RunE: on(func(h *publish.Hotline, c *cobra.Command, args []string) error {
			o, err := h.SetAPI(args[0], flags(c, "url"), flag(c, "ca"))
			if err != nil {
				return err
			}
			if len(o.API) == 0 {
				return show(c, o, line("operator %s has no address: it finds withdrawals in the repository, where it looks every few seconds", o.Name))
			}
			return show(c, o, line("withdrawals and openings are posted to operator %s at %s", o.Name, strings.Join(o.API, ", ")))
		}),
	}, "the hotline's directory")
	c.Flags().StringArray("url", nil, "a control node's API; give it for each, one is enough")
	c.Flags().String("ca", "", "the operator's ca.crt; without it, their certificates are of a public authority")
	return c
}

func rekeyCommand() *cobra.Command {
	return withDir(&cobra.Command{
		Use:     "rekey --dir HOTLINE",
		Short:   "Make new list keys for the next version, when keys may have leaked",
		Example: `  cordon-hotline rekey --dir hotline`,
		Args:    cobra.NoArgs,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, _ []string) error {
			epoch, err := h.NewEpoch()
			if err != nil {
				return err
			}
			return show(c, struct {
				Epoch uint32 `json:"epoch"`
			}{epoch}, line("the next version has the keys of epoch %d: sign and publish it", epoch))
		}),
	}, "the hotline's directory")
}
