package e2e

import (
	"bufio"
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"encoding"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// checkMemory looks, as root on a live node could, for the list keys and the node's own keys in all memory that a process may write. They
// are in secret memory, which even root does not read this way, and nowhere else: no copy of a library, no stack, no buffer.
func (w *world) checkMemory(node string) {
	w.t.Helper()
	fd, err := unix.MemfdSecret(unix.O_CLOEXEC)
	if err != nil || os.Geteuid() != 0 {
		w.t.Logf("not looked at: only root reads the memory of a hardened process, and this is about a kernel with secret memory (%v)", err)
		return
	}
	unix.Close(fd)
	secrets := w.listKeys()
	for name, b := range w.nodeKeys(node) {
		secrets[name] = b
	}
	pid := w.procs[node].cmd.Process.Pid
	// What must be found shows that the search works: the name in the node's own configuration.
	if _, found := w.searchMemory(pid, map[string][]byte{"name": []byte("isp.example")}); len(found) == 0 {
		w.t.Fatalf("memory of %s: the search does not even find its configuration", node)
	}
	// Signing makes copies that the next garbage collection erases; collections come at least every two minutes.
	w.await("no key outside of secret memory in "+node, func() error {
		secret, found := w.searchMemory(pid, secrets)
		if secret < 3 {
			return fmt.Errorf("%d secret mappings, want three or more: list keys, age identity, signing key", secret)
		}
		if len(found) > 0 {
			return fmt.Errorf("found %q", found)
		}
		return nil
	})
}

// listKeys are the hotline's K_match of all epochs, and what is as good as it: the states of SHA-256 that HMAC makes of it, where the processor has
// the instructions that keep them in registers. K_gate is not among them: every lookup hands it to SipHash over its stack, so it is found on the
// stack of whoever asked last (docs/security.md).
func (w *world) listKeys() map[string][]byte {
	out := map[string][]byte{}
	files, err := filepath.Glob(w.join("hotline", "keys", "epoch-*.json"))
	if err != nil || len(files) == 0 {
		w.t.Fatalf("no keys of the hotline: %v", err)
	}
	for _, f := range files {
		var k struct{ Match string }
		if err := json.Unmarshal(w.get(f), &k); err != nil {
			w.t.Fatal(err)
		}
		b, err := hex.DecodeString(k.Match)
		if err != nil || len(b) != 32 {
			w.t.Fatalf("K_match of %s: %v", f, err)
		}
		name := filepath.Base(f)
		out["K_match of "+name] = b
		if info, _ := os.ReadFile("/proc/cpuinfo"); bytes.Contains(info, []byte(" sha_ni ")) {
			for form, b := range hmacStates(b) {
				out[form+" of "+name] = b
			}
		}
	}
	return out
}

// hmacStates are the two states of SHA-256 behind a padded key, as the library writes them down, as it has them in memory, and as the processor's
// instructions want them.
func hmacStates(key []byte) map[string][]byte {
	out := map[string][]byte{}
	for name, with := range map[string]byte{"inner state": 0x36, "outer state": 0x5c} {
		pad := bytes.Repeat([]byte{with}, sha256.BlockSize)
		for i := range key {
			pad[i] ^= key[i]
		}
		h := sha256.New()
		h.Write(pad)
		b, _ := h.(encoding.BinaryMarshaler).MarshalBinary()
		written := b[4:36] // behind the magic
		var words, registers []byte
		for i := range 8 {
			words = binary.LittleEndian.AppendUint32(words, binary.BigEndian.Uint32(written[4*i:]))
		}
		for _, i := range []int{5, 4, 1, 0} { // F E B A
			registers = append(registers, words[4*i:4*i+4]...)
		}
		out[name+", written"], out[name+", in words"], out[name+", in a register"] = written, words, registers
	}
	return out
}

// nodeKeys are a node's age identity and signing key, as their files write them and as bytes.
func (w *world) nodeKeys(node string) map[string][]byte {
	out := map[string][]byte{}
	files, _ := filepath.Glob(w.join("isp", node, "*.agekey"))
	for _, f := range append(files, w.join("isp", node, "node.key")) {
		var lines []byte
		for line := range bytes.Lines(w.get(f)) {
			if !bytes.HasPrefix(line, []byte("#")) && !bytes.HasPrefix(line, []byte("-")) {
				lines = append(lines, bytes.TrimSpace(line)...)
			}
		}
		name := filepath.Base(f)
		out["text of "+name] = lines
		if strings.HasSuffix(f, ".agekey") {
			out["scalar of "+name] = bech32(string(lines))
		} else if der, err := base64.StdEncoding.DecodeString(string(lines)); err == nil && len(der) > 32 {
			seed := der[len(der)-32:]
			h := sha512.Sum512(seed) // what Ed25519 signs with: scalar and prefix (RFC 8032 section 5.1.5)
			h[0], h[31] = h[0]&248, h[31]&127|64
			out["seed of "+name], out["scalar of "+name], out["prefix of "+name] = seed, h[:32], h[32:]
			second, err := hkdf.Key(sha256.New, seed, nil, "cordon/node-key/ml-dsa-44/v1", 32) // LEAF.md, Checkpoint
			if err != nil {
				w.t.Fatal(err)
			}
			out["ML-DSA seed of "+name] = second
		} else {
			w.t.Fatalf("%s: %v", f, err)
		}
	}
	return out
}

// bech32 is the data of an age identity's text, without looking at its checksum.
func bech32(text string) []byte {
	_, data, _ := strings.Cut(strings.ToLower(text), "1")
	var out []byte
	var bits, n uint
	for _, c := range data[:len(data)-6] {
		bits, n = bits<<5|uint(strings.IndexRune("qpzry9x8gf2tvdw0s3jn54khce6mua7l", c)), n+5
		if n >= 8 {
			n -= 8
			out = append(out, byte(bits>>n))
		}
	}
	return out
}

// searchMemory reads all writable memory of a process. It counts secret mappings, which cannot be read, and gives the names of what it finds.
func (w *world) searchMemory(pid int, want map[string][]byte) (secret int, found []string) {
	w.t.Helper()
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		w.t.Fatal(err)
	}
	defer maps.Close()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		w.t.Fatal(err)
	}
	defer mem.Close()
	for s := bufio.NewScanner(maps); s.Scan(); {
		var from, to uint64
		var mode string
		if _, err := fmt.Sscanf(s.Text(), "%x-%x %s", &from, &to, &mode); err != nil {
			w.t.Fatalf("%q: %v", s.Text(), err)
		}
		if strings.Contains(s.Text(), "secretmem") {
			secret++
		}
		if !strings.Contains(mode, "w") {
			continue
		}
		b := make([]byte, to-from)
		n, _ := mem.ReadAt(b, int64(from)) // nothing of secret memory
		for name, secret := range want {
			if bytes.Contains(b[:n], secret) {
				found = append(found, name+" at "+strings.Fields(s.Text())[0])
			}
		}
	}
	return secret, found
}
