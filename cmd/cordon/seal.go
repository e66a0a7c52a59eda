package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/identity"
)

func sealCommand() *cobra.Command {
	var p identity.SealPlan
	c := &cobra.Command{
		Use:   "seal",
		Short: "Seal a node's key files to this machine's TPM, so that a stolen disk is no stolen key",
		Long: `Seal every key file that a node's YAML file names to the TPM 2.0 of this machine, open each again to be sure, have the YAML file name
the sealed files, and remove the plain ones. Run it on the node's own machine, before the node's first start or while it is stopped.

Keep the directory that cordon init made, offline: the keys in it are what you seal again when a TPM fails or is cleared, or a machine is replaced.
What was once written to a disk can often be read from it: copy a new node's directory to memory (/dev/shm), seal there, and move the result.`,
		Example: `  cordon seal --config e1/edge.yaml
  cordon seal --config c1/control.yaml --pcr 7      # opens only as long as the machine starts as it does now (Secure Boot)`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if p.Device != "" && !filepath.IsAbs(p.Device) {
				return usage(c, fmt.Errorf("--tpm %q is not an absolute path, like /dev/tpmrm0", p.Device))
			}
			for _, n := range p.PCRs {
				if n > 23 {
					return usage(c, fmt.Errorf("--pcr %d: a TPM has PCRs 0 to 23", n))
				}
			}
			if err := appliance.Harden(); err != nil {
				return err
			}
			sealed, err := identity.SealNode(p)
			for _, s := range sealed {
				fmt.Fprintf(stdout, "Sealed %s: %s\n", s.Key, s.File)
			}
			if err != nil {
				return appliance.BadInput(err)
			}
			gone := "The plain files are removed"
			if p.Keep {
				gone = "The plain files are still there: remove them"
			}
			fmt.Fprintf(stdout, "%s names the sealed files now. %s; keep the directory of cordon init offline, for the day this TPM fails.\n", p.Config, gone)
			return nil
		},
	}
	c.Flags().StringVar(&p.Device, "tpm", "", "the TPM: a device, or the socket of a software TPM (default /dev/tpmrm0)")
	c.Flags().UintSliceVar(&p.PCRs, "pcr", nil, "open only while this PCR is what it is now (several times for several; default: in any state)")
	c.Flags().Lookup("pcr").DefValue = ""
	c.Flags().BoolVar(&p.Keep, "keep", false, "leave the plain key files where they are")
	configFlag(c, &p.Config)
	return c
}
