package edge

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/resolver/match"
)

// TestAnEdgeServesWhatIsOnAReadOnlyDisk: kernels mount a disk read-only that has failed, and an edge that starts again then must not be an outage.
func TestAnEdgeServesWhatIsOnAReadOnlyDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root mounts")
	}
	var mu sync.Mutex
	var receipts []audit.SignedReceipt
	f, e := follow(t)
	c, _ := controlNode(t, e.control(&receipts, &mu))
	f.controls = []*api.Client{c}
	if err := f.pull(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.dir.Join("lists", "tmp-left"), []byte("half"), 0o600); err != nil { // by a crash
		t.Fatal(err)
	}
	f.dir.Close()

	if err := unix.Mount(f.dir.Join(), f.dir.Join(), "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(f.dir.Join(), unix.MNT_DETACH) })
	if err := unix.Mount("", f.dir.Join(), "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir.Join(), "x"), nil, 0o600); err == nil {
		t.Fatal("the disk takes files")
	}
	dir, err := appliance.Claim(f.dir.Join(), "id", "edge", "e1")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if _, err := appliance.Claim(f.dir.Join(), "id", "edge", "e1"); err == nil || !strings.Contains(err.Error(), "in use by another running process") {
		t.Errorf("second process: %v", err)
	}
	shelf, err := openShelf(dir, f.shelf.key, f.log)
	if err != nil {
		t.Fatal(err)
	}
	again := &follower{
		cluster: f.cluster, quorum: f.quorum, name: f.name, dir: dir, key: f.key, shelf: shelf,
		maxStale: f.maxStale, swap: func(*match.Set) {}, clock: f.clock, log: f.log,
	}
	if ok, err := again.restore(t.Context()); !ok || err != nil {
		t.Fatalf("restore: %v, %v", ok, err)
	}
	if got, want := again.active.set.StateID(), e.log.State(e.log.InForce); got != want {
		t.Errorf("restored state %v, want %v", got, want)
	}
}
