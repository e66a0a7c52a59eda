package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/source"
	"github.com/cordon-project/cordon/listsync/publiclog"
)

func publicLogCommand() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:   "publiclog --trust FILE REPOSITORY BUNDLE|https://NODE:PORT",
		Short: "Hold a hotline's public log, as you read it yourself, against an operator's",
		Example: `  cordon-audit publiclog --trust trust.json https://lists.hotline-one.example bundle.tar
  cordon-audit publiclog --trust trust.json ./copy-of-the-repository https://192.0.2.1:7443`,
		Long: `REPOSITORY is the hotline's own, by its address or as a copy in a directory: read it from a place of your own choice, not through the operator.

publiclog verifies the operator's log and then reads the hotline's public log from its first leaf. It passes when the witnesses of the trust file
(log_witnesses) have cosigned it, when it is the log that the operator was shown, grown, and when both have the same versions: each one in the public log
is in force at the operator or was, is refused there and the operator's log says so, or is newer than the bundle; each one at the operator is in the
public log. A list that was shown to one operator only fails here, whoever made it.

Exit codes: 0 they say the same, 5 they do not, 3 one of them cannot be read.`,
		Args: exactly(2),
		RunE: func(c *cobra.Command, args []string) error {
			read, err := source.Repository(args[0])
			if no, ok := errors.AsType[*source.Error](err); ok {
				return unreadable(no.Err, no.Do)
			}
			_, tf, err := readTrust(f.trust)
			if err != nil {
				return unreadable(err, "--trust names the trust file that the operator publishes for auditors (trust.json)")
			}
			r, err := f.verify(c.Context(), args[1], audit.Options{Now: time.Now()})
			if err != nil {
				return err
			}
			for _, name := range []string{audit.CheckLog, audit.CheckReplay, audit.CheckMetadata} {
				if got, ok := r.Check(name); !ok || !got.Pass {
					if err := r.WriteText(c.ErrOrStderr()); err != nil {
						return unwritten("output", err)
					}
					return errFail
				}
			}
			ctx, cancel := context.WithTimeout(c.Context(), f.timeout) // of the repository's own: it may be as slow as it likes
			defer cancel()
			walk, err := r.WalkPublicLog(ctx, tf, read, source.ErrNotFound)
			switch {
			case errors.Is(err, source.ErrNotFound):
				return unreadable(err, "check the address: log/checkpoint must be below it")
			case errors.Is(err, audit.ErrNoPublicLog):
				return unreadable(err, "name the repository of a hotline that this operator follows; the operator may not have taken in a new charter yet")
			case errors.Is(err, publiclog.ErrProof):
				return unreadable(fmt.Errorf("the public log in %s is damaged: %w", args[0], err), "read it from another place")
			case err != nil:
				return unreadable(err, "ask again, or another place")
			}
			if f.json {
				err = walk.WriteJSON(c.OutOrStdout())
			} else {
				err = walk.WriteText(c.OutOrStdout())
			}
			if err == nil && !walk.Pass {
				return errFail
			}
			if err == nil && !r.Pass {
				_, err = fmt.Fprintln(c.ErrOrStderr(), "not all other checks pass: run cordon-audit verify")
			}
			return unwritten("output", err)
		},
	}
	f.add(c)
	return c
}
