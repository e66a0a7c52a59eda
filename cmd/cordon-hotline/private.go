package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/listsync/lookup"
	"github.com/cordon-project/cordon/listsync/publish"
	conns "github.com/cordon-project/cordon/resolver/limit"
)

// Private lookups: turning them on, who may ask, and the service that answers.

func privateCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:   "private --dir HOTLINE --on --url https://HOST | --off",
		Short: "Turn private lookups on or off, from the next version on",
		Long: `Accredited auditors ask whether a name is listed so that nobody learns the name: their tool blinds it, this hotline's service (cordon-hotline answer)
evaluates it with a key, and the tool compares the result with a column of the version. The first version with a column costs a tenth of a millisecond
of processor time an entry; later ones cost that for new entries only. The key stays in the directory (keys/private.json); who has it can test guesses against every column.`,
		Example: `  cordon-hotline private --dir hotline --on --url https://lookup.hotline-one.example`,
		Args:    cobra.NoArgs,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, _ []string) error {
			if isSet(c, "on") == isSet(c, "off") || isSet(c, "on") != (flag(c, "url") != "") {
				return usage("give --on with --url, or --off")
			}
			st, err := h.SetPrivate(isSet(c, "on"), flag(c, "url"))
			if err != nil {
				return err
			}
			return show(c, st, func(w io.Writer) error {
				if !st.On {
					_, err := fmt.Fprintf(w, "private lookups are off; %s\n", st.Note)
					return err
				}
				_, err := fmt.Fprintf(w, "private lookups are on at %s, public key %s; %s\nlet it answer with: cordon-hotline answer --dir %s --listen ADDRESS:PORT --cert FILE --key FILE\n", st.URL, st.Key, st.Note, flag(c, "dir"))
				return err
			})
		}),
	}, hotlineDir)
	c.Flags().Bool("on", false, "make a column with each version")
	c.Flags().Bool("off", false, "make none any more; the key stays")
	c.Flags().String("url", "", "where the service answers: https, or http for a loopback address; officers sign it")
	return c
}

func auditorCommand() *cobra.Command {
	add := withDir(&cobra.Command{
		Use: "add --dir HOTLINE NAME", Short: "Give an auditor a token for private lookups, told once", Args: cobra.ExactArgs(1),
		Example: `  cordon-hotline auditor add --dir hotline review-board`,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, args []string) error {
			token, err := h.AddAuditor(args[0])
			if err != nil {
				return err
			}
			return show(c, map[string]string{"name": args[0], "token": token}, line("%s\nthis is the token of %s; it is told once, only its hash is kept. It is good for %d questions a day", token, args[0], lookup.Daily))
		}),
	}, hotlineDir)
	all := withDir(&cobra.Command{
		Use: "list --dir HOTLINE", Short: "List who has a token", Args: cobra.NoArgs,
		Example: `  cordon-hotline auditor list --dir hotline`,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, _ []string) error {
			names, err := h.AuditorNames()
			if err != nil {
				return err
			}
			return show(c, names, func(w io.Writer) error {
				for _, n := range names {
					fmt.Fprintln(w, n)
				}
				return nil
			})
		}),
	}, hotlineDir)
	remove := withDir(&cobra.Command{
		Use: "remove --dir HOTLINE NAME", Short: "End an auditor's token, at once", Args: cobra.ExactArgs(1),
		Example: `  cordon-hotline auditor remove --dir hotline review-board`,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, args []string) error {
			if err := h.RemoveAuditor(args[0]); err != nil {
				return err
			}
			return show(c, map[string]string{"removed": args[0]}, line("the token of %s is good for nothing any more", args[0]))
		}),
	}, hotlineDir)
	return group("auditor", "Who may ask the service of private lookups", add, all, remove)
}

func answerCommand() *cobra.Command {
	c := withDir(&cobra.Command{
		Use:   "answer --dir HOTLINE --listen ADDRESS:PORT [--cert FILE --key FILE]",
		Short: "Answer private lookups until it is stopped",
		Long: `Answer blinded questions of auditors who have a token, and hand out the columns of published versions. It learns nothing of what is asked and writes
nothing down. Without a certificate it listens on a loopback address only, for a proxy in front of it. It reads the directory and changes nothing in it, so
other commands go on beside it. Budgets are kept in memory and begin anew when it is started.`,
		Example: `  cordon-hotline answer --dir hotline --listen 192.0.2.10:443 --cert lookup.crt --key lookup.key`,
		Args:    cobra.NoArgs,
		RunE: on(func(h *publish.Hotline, c *cobra.Command, _ []string) error {
			conf, at, err := h.OpenPrivate()
			if err != nil {
				return err
			}
			base := ""
			if u, err := url.Parse(at); err == nil {
				base = strings.TrimSuffix(u.Path, "/")
			}
			ln, err := listen(flag(c, "listen"), flag(c, "cert"), flag(c, "key"))
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "answering at %s%s; officers have signed %s\n", ln.Addr(), base, at)
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return serve(ctx, ln, lookup.NewService(conf).Handler(base))
		}),
	}, hotlineDir)
	c.Flags().String("listen", "", "address and port")
	c.Flags().String("cert", "", "certificate chain of the service (PEM)")
	c.Flags().String("key", "", "its key (PEM)")
	return required(c, "listen")
}

// Connections of the service: in all, and from one household unless a proxy on this machine has them.
const (
	maxAnswerConns        = 512
	maxAnswerPerHousehold = 32
)

// listen opens the service's address: plain only where nobody else can listen.
func listen(addr, cert, key string) (net.Listener, error) {
	bad := func(err error, do, format string, a ...any) error {
		return &publish.Fault{Code: publish.CodeUsage, Err: err, Do: do, What: fmt.Sprintf(format, a...)}
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, bad(err, "write it as ADDRESS:PORT", "cannot listen on %q", addr)
	}
	var conf *tls.Config
	switch ip := net.ParseIP(host); {
	case (cert == "") != (key == ""):
		return nil, bad(nil, "give both", "--cert and --key belong together")
	case cert != "":
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, &publish.Fault{Code: publish.CodeInput, Err: err, What: "cannot use the certificate: " + err.Error(), Do: "name PEM files of one certificate and its key"}
		}
		conf = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}}
	case ip == nil || !ip.IsLoopback():
		return nil, bad(nil, "give --cert and --key, or listen on a loopback address for a proxy in front of it", "%s is not a loopback address, and tokens are not sent in the open", host)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, &publish.Fault{Code: publish.CodeFailure, Err: err, What: err.Error(), Do: "choose another port, or stop who has it"}
	}
	each := maxAnswerPerHousehold
	if at, ok := ln.Addr().(*net.TCPAddr); ok && at.IP.IsLoopback() {
		each = maxAnswerConns
	}
	ln = conns.New(maxAnswerConns, each).Listener(ln)
	if conf != nil {
		ln = tls.NewListener(ln, conf)
	}
	return ln, nil
}

// serve answers until ctx ends.
func serve(ctx context.Context, ln net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 10 * time.Minute, IdleTimeout: time.Minute,
		MaxHeaderBytes: 8 << 10, ErrorLog: log.New(io.Discard, "", 0),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		server.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
