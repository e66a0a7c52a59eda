// Package soak asks an edge at a fixed rate for as long as one likes, while its list changes all the time, and says what it noticed.
//
// In come the shipped programs and a number of names; out comes whether each question was answered, right, and what memory did. A hotline's
// officers sign a new version every few seconds, three control nodes agree on it, the edge takes it over from a delta; each version takes some
// names in and others out, while questions for names that stay (listed and unlisted) never stop. Everything is on loopback.
package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cordon-project/cordon/bench/load"
	"github.com/cordon-project/cordon/bench/operator"
	"github.com/cordon-project/cordon/resolver/upstream/devupstream"
)

// Config says how long and how hard. All fields but Log are needed.
type Config struct {
	Names  int           // on the list
	Change int           // of them that each version takes in, and out
	Rate   float64       // questions a second
	Time   time.Duration // of asking
	Every  time.Duration // from one version to the next
	Bin    string        // directory of cordon and cordon-hotline
	Dir    string        // where everything is made; an empty directory
	Log    io.Writer

	// EdgeCPU are the processors of the edge, as taskset(1) takes them: questions and all else then run on this process' own, control nodes behind
	// the questions. Empty: all run anywhere.
	EdgeCPU string
}

// Run makes everything, asks, and ends what it started.
func Run(ctx context.Context, c Config) (_ *Result, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	up, err := devupstream.Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		return nil, err
	}
	var work errgroup.Group
	work.Go(func() error { return up.Run(ctx) })
	defer func() { cancel(); err = errors.Join(err, work.Wait()) }()

	s := &soak{Config: c}
	s.operator = &operator.Operator{Dir: c.Dir, Bin: c.Bin, Upstream: up.Addr().String(), EdgeCPU: c.EdgeCPU, Logf: s.logf}
	if err := s.write("first", s.stay(), s.changing(0)); err != nil {
		return nil, err
	}
	if err := s.operator.Make(ctx, s.path("first"), 2*c.Names+10*c.Change); err != nil {
		return nil, err
	}
	if err := s.operator.Start(ctx); err != nil {
		return nil, errors.Join(err, s.operator.Stop())
	}
	defer func() { err = errors.Join(err, s.operator.Stop()) }()
	if err := s.operator.Wait(ctx); err != nil {
		return nil, err
	}
	if s.edge, err = s.operator.DNS(); err != nil {
		return nil, err
	}
	return s.run(ctx)
}

// warming is how many questions a second come before the counting begins.
const warming = 2000

type soak struct {
	Config
	operator *operator.Operator
	edge     netip.AddrPort
	result   Result
}

func (s *soak) logf(format string, a ...any) {
	if s.Log != nil {
		fmt.Fprintf(s.Log, format+"\n", a...)
	}
}

func (s *soak) path(name string) string { return filepath.Join(s.Dir, name) }

// run asks, and publishes beside it until the questions are over.
func (s *soak) run(ctx context.Context) (*Result, error) {
	questions, listed, err := s.questions()
	if err != nil {
		return nil, err
	}
	// Each question once first: a cold cache asked by one client at full rate is another measurement, and that client's share of waiting
	// questions would bound it.
	if _, err := load.Run(ctx, load.Config{
		Server: s.edge.String(), Over: "udp", Rate: warming, Time: time.Duration(len(questions)) * time.Second / warming, Conns: 16, Questions: questions,
	}); err != nil {
		return nil, err
	}
	asking, done := context.WithCancel(ctx)
	defer done()
	begin := time.Now()
	var work errgroup.Group
	work.Go(func() error {
		defer done()
		r, err := load.Run(ctx, load.Config{
			Server: s.edge.String(), Over: "udp", Rate: s.Rate, Time: s.Time, Conns: 16, Questions: questions,
			Wrong: func(i int, answer []byte) bool { return bytes.Contains(answer, censored) != listed[i] },
		})
		if r != nil {
			s.result.Load = *r
		}
		return err
	})
	work.Go(func() error { return s.publish(ctx, asking) })
	work.Go(func() error { s.watch(asking); return nil })
	if err := work.Wait(); err != nil {
		return nil, err
	}
	if s.result.Changes, err = operator.Changes(s.operator.Output()); err != nil {
		return nil, err
	}
	s.result.Changes = slices.DeleteFunc(s.result.Changes, func(c operator.Change) bool { return c.Active.Before(begin) })
	if s.result.Steps, err = operator.Steps(s.operator.Output()); err != nil {
		return nil, err
	}
	return &s.result, nil
}

// censored is the option of a name that is stopped under a law (Extended DNS Error 16, RFC 8914).
var censored = []byte{0, 15, 0, 2, 0, 16}

// publish brings a version after the other into force, until asking ends.
func (s *soak) publish(ctx, asking context.Context) error {
	for n := 1; ; n++ {
		next := time.Now().Add(s.Every)
		if err := s.write("add", s.changing(n)); err != nil {
			return err
		}
		if err := s.write("remove", s.changing(n-1)); err != nil {
			return err
		}
		if err := s.operator.Change(ctx, s.path("add"), s.path("remove")); err != nil {
			return err
		}
		published := time.Now()
		if err := s.inForce(ctx, s.changing(n)[0]); err != nil {
			return fmt.Errorf("version %d: %w", n+1, err)
		}
		if asking.Err() != nil {
			return nil
		}
		s.result.Versions++
		s.result.Slowest = max(s.result.Slowest, time.Since(published))
		select {
		case <-asking.Done():
			return nil
		case <-time.After(time.Until(next)):
		}
	}
}

// inForce returns when the edge stops a name.
func (s *soak) inForce(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	q, err := load.Read(strings.NewReader(name+" A\n"), false)
	if err != nil {
		return err
	}
	in := make([]byte, 1500)
	for ctx.Err() == nil {
		c, err := net.Dial("udp", s.edge.String())
		if err != nil {
			return err
		}
		_ = c.SetDeadline(time.Now().Add(time.Second))
		_, err = c.Write(q[0])
		n := 0
		if err == nil {
			n, err = c.Read(in)
		}
		c.Close()
		if err == nil && bytes.Contains(in[:n], censored) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("a new name is not stopped: %w", ctx.Err())
}

// watch notes the edge's memory each second.
func (s *soak) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if anon, _, ok := s.operator.Memory(); ok {
			s.result.Memory = append(s.result.Memory, anon)
		}
	}
}

// stay are the names that are on every version, and changing those of the nth.
func (s *soak) stay() []string { return names("stays", s.Names-s.Change) }

func (s *soak) changing(n int) []string { return names(fmt.Sprintf("v%d", n), s.Change) }

func names(what string, n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("www.%s-%d.test", what, i))
	}
	return out
}

func (s *soak) write(file string, parts ...[]string) error {
	var text strings.Builder
	for _, p := range parts {
		text.WriteString(strings.Join(p, "\n") + "\n")
	}
	return os.WriteFile(s.path(file), []byte(text.String()), 0o600)
}

// questions are those of a busy network: few names of many, one in twenty listed.
func (s *soak) questions() (questions [][]byte, listed []bool, err error) {
	var lines strings.Builder
	on := s.stay()
	for i := range 10000 {
		stopped := i%20 == 0
		listed = append(listed, stopped)
		if stopped {
			fmt.Fprintf(&lines, "%s A\n", on[i*7919%len(on)])
		} else {
			fmt.Fprintf(&lines, "www.open-%d.test A\n", i%3000)
		}
	}
	questions, err = load.Read(strings.NewReader(lines.String()), false)
	return questions, listed, err
}
