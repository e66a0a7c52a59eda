package unbound

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

const (
	startWithin  = 10 * time.Second // from the start to the first answer; 50 ms on an idle machine
	startEvery   = 20 * time.Millisecond
	watchEvery   = time.Second // and as long for the answer
	missedProbes = 3           // in a row, and it is asked over its control socket
	patience     = 5           // times Every, for the answer there
	endWithin    = 3 * time.Second
	countEvery   = 5  // probes
	enoughMisses = 10 // since the last judgement, for another
	blindTimes   = 2  // judgements in a row with nearly nothing found
)

var errAnchorChanged = errors.New("the trust anchor has changed")

// once runs one process, from its start until it has ended; the error says why it did. up is called when it first answers.
//
// The process is recognised by a word of its own that its configuration has it give as its identity (id.server, RFC 4892): whoever else
// may have taken the address does not know it.
func (r *Resolver) once(ctx context.Context, up func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	program, err := find(r.config.Program)
	if err != nil {
		return err
	}
	anchor, err := os.Stat(r.config.TrustAnchor)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAnchor, err)
	}
	credential, err := runAs(r.config.User)
	if err != nil {
		return err
	}
	word := rand.Text()
	path, err := r.write(word, credential)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	r.mu.Lock()
	r.state.Starts++
	r.mu.Unlock()
	p := start(program, []string{"-d", "-p", "-c", path}, filepath.Dir(path), credential)
	defer p.end(endWithin)
	if err := r.ready(ctx, p, word); err != nil {
		return err
	}
	p.said.stop()
	r.answering(p.cmd.Process.Pid)
	up()
	return r.watch(ctx, p, word, anchor)
}

// ready waits until the process answers.
func (r *Resolver) ready(ctx context.Context, p *process, word string) error {
	tick := time.NewTicker(startEvery)
	defer tick.Stop()
	late := time.After(startWithin)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.done:
			return r.whyRefused(p)
		case <-late:
			return fmt.Errorf("%w on %s within %v of its start", ErrSilent, r.config.Listen, startWithin)
		case <-tick.C:
		}
		if probe(ctx, r.config.Listen, word, startEvery*10) == nil {
			return nil
		}
	}
}

// watch returns when the process has ended, has missed too many probes, or must be started again.
func (r *Resolver) watch(ctx context.Context, p *process, word string, anchor os.FileInfo) error {
	tick := time.NewTicker(r.config.Every)
	defer tick.Stop()
	missed := 0
	r.blind = 0
	for i := 1; ; i++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.done:
			return fmt.Errorf("%w: %s", ErrEnded, p.why())
		case <-tick.C:
		}
		if err := probe(ctx, r.config.Listen, word, r.config.Every); err == nil {
			missed = 0
		} else if missed++; missed >= missedProbes {
			// Its socket may overflow in a flood, and that is no reason to take it away from those who ask. Whoever turns to the
			// control socket in between two questions is alive.
			if _, err := counts(ctx, r.config.Dir, patience*r.config.Every); err != nil {
				return fmt.Errorf("%w on %s (%d times in a row)", ErrSilent, r.config.Listen, missed)
			}
			missed = 0
		}
		if i%countEvery != 0 {
			continue
		}
		if c, err := counts(ctx, r.config.Dir, r.config.Every); err == nil {
			r.count(ctx, c)
		}
		// The file is missing for a moment while a package is being upgraded: no reason to end what runs.
		if now, err := os.Stat(r.config.TrustAnchor); err == nil && (now.ModTime() != anchor.ModTime() || now.Size() != anchor.Size()) {
			return errAnchorChanged
		}
	}
}

// count takes what the running process has counted, and judges whether it finds anything: a firewall, a wrong clock or a wrong trust
// anchor leave it running, with an answer to every probe and none to anything else.
func (r *Resolver) count(ctx context.Context, c Counts) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.past.plus(c)
	r.state.Counts = all
	misses := (all.Queries - all.Hits) - (r.judged.Queries - r.judged.Hits)
	found := all.Found - r.judged.Found
	if misses < enoughMisses {
		return // later, with those that come: an edge of whom little is asked is judged, too
	}
	r.judged = all
	switch {
	case found*20 >= misses:
		r.blind = 0
		if r.state.Err != nil {
			r.state.Err, r.state.Since = nil, time.Now()
			r.config.Log.InfoContext(ctx, "unbound gets answers from other servers again")
		}
	case r.state.Err == nil:
		if r.blind++; r.blind >= blindTimes {
			r.state.Err, r.state.Since = ErrBlind, time.Now()
			r.config.Log.ErrorContext(ctx, "no recursion: names that are not listed get SERVFAIL unless cached", slog.Any("error", ErrBlind))
		}
	}
}

func (c Counts) plus(d Counts) Counts {
	return Counts{
		Queries: c.Queries + d.Queries, Hits: c.Hits + d.Hits, Found: c.Found + d.Found, Asked: c.Asked + d.Asked, ServFail: c.ServFail + d.ServFail,
		Bogus: c.Bogus + d.Bogus, Secure: c.Secure + d.Secure, Unwanted: c.Unwanted + d.Unwanted,
	}
}
