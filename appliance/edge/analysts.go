package edge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cordon-project/cordon/appliance/analysts"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/resolver"
)

// exempting keeps what a resolver exempts equal to what is in force, as far as this edge has the file for it.
type exempting struct {
	path   string // "": none
	exempt func(*resolver.Exemption)
	clock  func() time.Time
	log    *slog.Logger

	mu    sync.Mutex // guards the rest
	want  audit.Exemption
	shown uint64 // number of the order that the resolver has; 0: none
	said  string // the last complaint, so that it is said once
}

// follow takes in what is in force. Called again with the same, it looks for the file anew.
func (a *exempting) follow(ctx context.Context, in *audit.Exemption) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if in == nil {
		in = &audit.Exemption{}
	}
	a.want = *in
	a.apply(ctx)
}

const analystsEvery = 2 * time.Second

// run looks for a file that is not there yet, until ctx ends.
func (a *exempting) run(ctx context.Context) {
	tick := time.NewTicker(analystsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		a.mu.Lock()
		a.apply(ctx)
		a.mu.Unlock()
	}
}

// apply makes the resolver's exemption what is wanted, under mu. Without the very file that the officers signed nobody is exempt.
func (a *exempting) apply(ctx context.Context) {
	if a.want.Number == a.shown {
		return
	}
	if a.shown != 0 {
		a.exempt(nil)
		a.shown = 0
	}
	if a.want.Number == 0 {
		a.said = ""
		return
	}
	prefixes, err := a.read()
	if err != nil {
		if a.said != err.Error() {
			a.said = err.Error()
			level := slog.LevelError
			if errors.Is(err, errNoAnalysts) {
				level = slog.LevelInfo
			}
			a.log.Log(ctx, level, "analysts are not exempt here, though the officers decided so", slog.Uint64("order", a.want.Number), slog.Any("error", err))
		}
		return
	}
	a.exempt(&resolver.Exemption{Prefixes: prefixes, Until: uint32(a.want.Until)})
	a.shown, a.said = a.want.Number, ""
	a.log.InfoContext(ctx, "analysts are exempt", slog.Uint64("order", a.want.Number), slog.Int("prefixes", len(prefixes)), slog.Time("until", time.Unix(a.want.Until, 0).UTC()))
}

// errNoAnalysts is an edge on whose network no analysts are: it has no part in an exemption.
var errNoAnalysts = errors.New("edge.yaml names no file of their prefixes (analysts)")

func (a *exempting) read() ([]netip.Prefix, error) {
	if a.path == "" {
		return nil, errNoAnalysts
	}
	f, err := os.OpenFile(a.path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe in its place must hold nothing up
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a plain file", a.path)
	}
	b, err := io.ReadAll(io.LimitReader(f, analysts.MaxSize+1))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(b); !bytes.Equal(sum[:], a.want.Hash[:]) {
		return nil, fmt.Errorf("%s is not the file that they signed", a.path)
	}
	return analysts.Read(b)
}

// number is the order that is in effect here; 0: none.
func (a *exempting) number() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.shown != 0 && a.clock().Unix() > a.want.Until {
		return 0
	}
	return a.shown
}
