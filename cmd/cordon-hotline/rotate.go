package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/listsync/publish"
)

// The commands that change keys: authority rotate, change.

func authorityRotateCommand() *cobra.Command {
	var o publish.RotateOptions
	c := withDir(&cobra.Command{
		Use:     "rotate --dir DIR",
		Short:   "Change the authority's keys or thresholds; each hotline's next accreditation carries it out",
		Args:    cobra.NoArgs,
		Example: "  cordon-hotline authority rotate --dir authority --replace root-2 --replace accreditation-1",
		RunE: does(func(c *cobra.Command, _ []string) error {
			o.Dir = flag(c, "dir")
			done, err := publish.RotateAuthority(publish.Config{}, o)
			if err != nil {
				return err
			}
			return show(c, done, func(w io.Writer) error {
				for _, dir := range done.New {
					fmt.Fprintf(w, "made the key in %s: carry it to a safe place of its own\n", dir)
				}
				if len(done.Retired) > 0 {
					fmt.Fprintf(w, "retired %s: keep what is not lost until every hotline has its next accreditation\n", strings.Join(done.Retired, ", "))
				}
				_, err := fmt.Fprintf(w, "%d root keys (%d must sign), %d accreditation keys (%d must sign) from each hotline's next accreditation on:\nrun authority accredit for each, with --out of its earlier one\n",
					done.Root, done.RootThreshold, done.Accreditation, done.AccreditationThreshold)
				return err
			})
		}),
	}, "the authority's directory")
	f := c.Flags()
	f.StringArrayVar(&o.Replace, "replace", nil, "a key by its name, such as root-2: a new one takes its place")
	f.StringArrayVar(&o.Add, "add", nil, "root or accreditation: one key more")
	f.StringArrayVar(&o.Drop, "drop", nil, "a key by its name: none takes its place")
	f.IntVar(&o.RootThreshold, "root-threshold", 0, "root keys that must sign, at least 3")
	f.IntVar(&o.AccreditationThreshold, "accreditation-threshold", 0, "accreditation keys that must sign, at least 2")
	return c
}

func changeCommand() *cobra.Command {
	var o publish.ChangeOptions
	c := withDir(&cobra.Command{
		Use:     "change --dir HOTLINE",
		Short:   "Ask the authority for other officers, another threshold or new service keys",
		Args:    cobra.NoArgs,
		Example: "  cordon-hotline change --dir hotline --remove officer-1 --add officer-4/officer.pub",
		RunE: on(func(h *publish.Hotline, c *cobra.Command, _ []string) error {
			r, err := h.Change(o)
			if err != nil {
				return err
			}
			return show(c, r, func(w io.Writer) error {
				var names []string
				for _, p := range r.Officers {
					names = append(names, p.Name)
				}
				_, err := fmt.Fprintf(w, "wrote %s: officers %s, %d of whom sign\nsend it to the accreditation authority; until its answer is taken in (accept) nothing changes\n",
					filepath.Join(h.Dir(), "request.json"), strings.Join(names, ", "), r.Threshold)
				return err
			})
		}),
	}, "the hotline's directory")
	f := c.Flags()
	f.StringArrayVar(&o.Add, "add", nil, "a further officer's officer.pub")
	f.StringArrayVar(&o.Remove, "remove", nil, "an officer by name, who leaves or whose key is lost or stolen")
	f.IntVar(&o.Threshold, "threshold", 0, "officers who must sign a version")
	f.BoolVar(&o.ServiceKeys, "service-keys", false, "new snapshot, timestamp and public log keys")
	return c
}
