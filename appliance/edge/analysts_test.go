package edge

import (
	"bytes"
	"crypto/sha256"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cordon-project/cordon/appliance/analysts"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/resolver"
)

// TestAnEdgeExemptsTheFileThatTheOfficersSignedAndNoOther, whenever it comes.
func TestAnEdgeExemptsTheFileThatTheOfficersSignedAndNoOther(t *testing.T) {
	signed, err := analysts.Write([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/29")})
	if err != nil {
		t.Fatal(err)
	}
	other, err := analysts.Write([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/29")})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	var now *resolver.Exemption
	clock := int64(3_999_999_999)
	a := &exempting{path: filepath.Join(t.TempDir(), "analysts.txt"), exempt: func(x *resolver.Exemption) { now = x }, clock: func() time.Time { return time.Unix(clock, 0) }, log: slog.New(slog.NewTextHandler(&log, nil))}
	order := &audit.Exemption{Hash: sha256.Sum256(signed), Count: 1, Until: 4_000_000_000, Number: 3}
	step := func(what string, in *audit.Exemption, file []byte, want uint64) {
		t.Helper()
		if file != nil {
			if err := os.WriteFile(a.path, file, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		a.follow(t.Context(), in)
		if a.number() != want || (now != nil) != (want != 0) {
			t.Errorf("%s: order %d is in effect with %+v, want order %d", what, a.number(), now, want)
		}
		if now != nil && (now.Until != uint32(in.Until) || len(now.Prefixes) != 1 || now.Prefixes[0].String() != "192.0.2.0/29") {
			t.Errorf("%s: %+v", what, now)
		}
	}
	step("nothing", nil, nil, 0)
	step("no file", order, nil, 0)
	step("no file, still", order, nil, 0)
	if n := strings.Count(log.String(), "analysts are not exempt here"); n != 1 {
		t.Errorf("said %d times, want once:\n%s", n, log.String())
	}
	step("another file with the same prefixes", order, other, 0)
	step("the file", order, signed, 3)
	step("the same again", order, nil, 3)
	if clock = order.Until + 1; a.number() != 0 {
		t.Error("it is said to be in effect when its time is over")
	}
	clock = order.Until
	next := *order
	next.Hash, next.Number = sha256.Sum256(other), 4
	step("another order, the file is the old one", &next, nil, 0)
	step("its file", &next, other, 4)
	step("ended", nil, nil, 0)
	wide := []byte(strings.Replace(string(signed), "192.0.2.0/29", "0.0.0.0/0", 1))
	open := *order
	open.Hash, open.Number = sha256.Sum256(wide), 5
	step("officers who would exempt everybody", &open, wide, 0)
	if strings.Contains(log.String(), "192.0.2.") {
		t.Errorf("the log has a prefix:\n%s", log.String())
	}
	if (&exempting{log: a.log, exempt: a.exempt}).number() != 0 {
		t.Error("an edge without a file exempts somebody")
	}
}

// An edge on whose network no analysts are has no part in an exemption: that is told once, and nobody is called for it.
func TestAnEdgeThatNamesNoAnalystsSaysSoWithoutAlarm(t *testing.T) {
	var log bytes.Buffer
	a := &exempting{exempt: func(*resolver.Exemption) { t.Error("the exemption was touched") }, clock: time.Now, log: slog.New(slog.NewTextHandler(&log, nil))}
	order := &audit.Exemption{Count: 1, Until: 4_000_000_000, Number: 3}
	for range 2 {
		a.follow(t.Context(), order)
	}
	if text := log.String(); strings.Count(text, "level=INFO") != 1 || strings.Count(text, "\n") != 1 || !strings.Contains(text, "edge.yaml names no file of their prefixes (analysts)") {
		t.Errorf("want one line, of level INFO:\n%s", text)
	}
	if a.number() != 0 {
		t.Errorf("order %d is in effect without a file", a.number())
	}
}

// The edge's following waits for this file: a pipe that nobody writes into must not hold it up.
func TestWhatIsNoPlainFileOfAnalystsHoldsNothingUp(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"a pipe":   func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"a device": func(path string) error { return os.Symlink("/dev/zero", path) },
	} {
		path := filepath.Join(t.TempDir(), "analysts.txt")
		if err := put(path); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		a := &exempting{path: path, exempt: func(*resolver.Exemption) { t.Errorf("%s exempts somebody", name) }, clock: time.Now, log: slog.New(slog.NewTextHandler(&log, nil))}
		done := make(chan struct{})
		go func() {
			defer close(done)
			a.follow(t.Context(), &audit.Exemption{Count: 1, Until: 4_000_000_000, Number: 3})
		}()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Errorf("%s holds the edge up", name)
			if f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0); err == nil { // whoever waits for a writer goes on
				f.Close()
			}
			<-done
		}
		if !strings.Contains(log.String(), "is not a plain file") {
			t.Errorf("%s: the log does not say what is wrong:\n%s", name, log.String())
		}
	}
}
