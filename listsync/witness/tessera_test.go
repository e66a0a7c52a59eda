package witness

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
)

// TestTesserasWitnessClientIsServed has a log of Tessera's ask two of our witnesses by its own client, as it grows.
func TestTesserasWitnessClientIsServed(t *testing.T) {
	log := logParty(t, "log.example/one", 1)
	l := mustLog(t, log.vkey)
	text := ""
	for i := range 2 {
		hand, err := NewSigner(fmt.Sprintf("w%d.example/w", i), seed(byte(60+i)))
		if err != nil {
			t.Fatal(err)
		}
		k, err := OpenKeeper(KeeperConfig{Dir: t.TempDir(), Hand: hand, Clock: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		if err := k.SetLogs([]Log{l}); err != nil {
			t.Fatal(err)
		}
		s := httptest.NewServer(k)
		t.Cleanup(s.Close)
		text += fmt.Sprintf("witness w%d %s %s\n", i, k.Keys()[0], s.URL)
	}
	text += "group both all w0 w1\nquorum both\n"
	group, err := tessera.NewWitnessGroupFromPolicy([]byte(text)) // it reads our policy, too
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	driver, err := posix.New(ctx, posix.Config{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(log.signer).WithCheckpointInterval(100*time.Millisecond).WithBatching(1, time.Millisecond).
		WithWitnesses(group, &tessera.WitnessOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	defer shutdown(ctx)
	policy := mustPolicy(t, text)
	awaiter := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 10*time.Millisecond)
	for n := range 3 {
		_, b, err := awaiter.Await(ctx, appender.Add(ctx, tessera.NewEntry(fmt.Appendf(nil, "leaf %d", n))))
		if err != nil {
			t.Fatal(err)
		}
		if c, co, err := policy.Open(b, l); err != nil || len(co.By) != 2 || c.Size < uint64(n+1) {
			t.Fatalf("after leaf %d: %+v %v %v\n%s", n, c, co, err, b)
		}
	}
}
