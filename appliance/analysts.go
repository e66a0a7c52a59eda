package appliance

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/resolver"
)

// The file of analysts' prefixes; cluster/audit/LEAF.md says what is in it.
const (
	analystsHead = "cordon/analysts/v1\n"
	analystsSalt = "salt "
	maxAnalysts  = 8 << 10 // 64 prefixes of at most 44 bytes, and the head
)

// An office has a few addresses: longer prefixes would exempt subscribers.
const (
	minAnalystsIPv4 = 24
	minAnalystsIPv6 = 48
)

// WriteAnalysts makes the one text of a set of prefixes, with a salt of its own that keeps its hash from being guessed.
func WriteAnalysts(prefixes []netip.Prefix) ([]byte, error) {
	sorted := slices.Clone(prefixes)
	slices.SortFunc(sorted, comparePrefixes)
	var salt [32]byte
	_, _ = rand.Read(salt[:]) // never fails
	b := []byte(analystsHead + analystsSalt + hex.EncodeToString(salt[:]) + "\n")
	for _, p := range sorted {
		b = append(p.AppendTo(b), '\n')
	}
	if _, err := readAnalysts(b); err != nil {
		return nil, badInput(err)
	}
	return b, nil
}

// comparePrefixes: IPv4 before IPv6, then by address, then the shorter first.
func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(cmp.Compare(a.Addr().BitLen(), b.Addr().BitLen()), a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// readAnalysts reads what WriteAnalysts makes, and nothing else.
func readAnalysts(b []byte) ([]netip.Prefix, error) {
	text, ok := strings.CutPrefix(string(b), analystsHead+analystsSalt)
	salt, rest, end := strings.Cut(text, "\n")
	if raw, err := hex.DecodeString(salt); !ok || !end || err != nil || len(raw) != 32 || hex.EncodeToString(raw) != salt || len(b) > maxAnalysts {
		return nil, errors.New("this is no file of analysts' prefixes; cordon analysts writes one")
	}
	var out []netip.Prefix
	for line := range strings.Lines(rest) {
		p, err := netip.ParsePrefix(strings.TrimSuffix(line, "\n"))
		switch {
		case err != nil || !strings.HasSuffix(line, "\n") || p.String()+"\n" != line || p != p.Masked() || p.Addr().Is4In6():
			return nil, fmt.Errorf("%q is no prefix; write one like 192.0.2.0/29 or 2001:db8::/56", clipText(strings.TrimSuffix(line, "\n")))
		case p.Addr().Is4() && p.Bits() < minAnalystsIPv4, p.Addr().Is6() && p.Bits() < minAnalystsIPv6:
			return nil, fmt.Errorf("%v is more than an office; at least /%d of IPv4 and /%d of IPv6", p, minAnalystsIPv4, minAnalystsIPv6)
		case len(out) > 0 && comparePrefixes(out[len(out)-1], p) >= 0:
			return nil, fmt.Errorf("%v is there twice, or not in its place", p)
		}
		out = append(out, p)
	}
	if len(out) == 0 || len(out) > order.MaxExempt {
		return nil, fmt.Errorf("%d prefixes, 1 to %d can be exempted", len(out), order.MaxExempt)
	}
	return out, nil
}

// Exempt lets lists not be enforced towards the prefixes of a file, or with no file ends that.
func (o *Operator) Exempt(ctx context.Context, r OrderRequest, file []byte) (Decision, error) {
	st, err := o.Newest(ctx)
	if err != nil {
		return Decision{}, err
	}
	if file == nil {
		if st.Node.Orders.Exempt == nil {
			return Decision{}, badInput(errors.New("nobody is exempt: lists are enforced towards everybody"))
		}
		return o.decide(ctx, r, st, order.Exempt{Lift: true})
	}
	prefixes, err := readAnalysts(file)
	if err != nil {
		return Decision{}, badInput(fmt.Errorf("--file: %w", err))
	}
	return o.decide(ctx, r, st, order.Exempt{Hash: sha256.Sum256(file), Count: uint64(len(prefixes))})
}

// analysts keeps what a resolver exempts equal to what is in force, as far as this edge has the file for it.
type analysts struct {
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
func (a *analysts) follow(ctx context.Context, in *audit.Exemption) {
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
func (a *analysts) run(ctx context.Context) {
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
func (a *analysts) apply(ctx context.Context) {
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

func (a *analysts) read() ([]netip.Prefix, error) {
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
	b, err := io.ReadAll(io.LimitReader(f, maxAnalysts+1))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(b); !bytes.Equal(sum[:], a.want.Hash[:]) {
		return nil, fmt.Errorf("%s is not the file that they signed", a.path)
	}
	return readAnalysts(b)
}

// number is the order that is in effect here; 0: none.
func (a *analysts) number() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.shown != 0 && a.clock().Unix() > a.want.Until {
		return 0
	}
	return a.shown
}
