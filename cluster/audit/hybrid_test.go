package audit_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

// cosigned is a checkpoint of c1, and what c2 gives for it: its Ed25519 line and its ML-DSA line, each with its newline.
func cosigned(t *testing.T, l *audittest.Log) (note, ed, pq []byte, cp audit.Checkpoint) {
	t.Helper()
	size, root := l.Tree().Head()
	cp = audit.Checkpoint{Origin: l.Desc.Origin, Size: size, Root: root}
	note, err := l.Signer(cp.Origin, audittest.C1).Sign(cp, l.Now)
	if err != nil {
		t.Fatal(err)
	}
	ed, pq = lines(t, l.Signer(cp.Origin, audittest.C2), cp, l.Now)
	return note, ed, pq, cp
}

func lines(t *testing.T, s *audit.Signer, cp audit.Checkpoint, at time.Time) (ed, pq []byte) {
	t.Helper()
	b, err := s.Cosign(cp, at)
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.IndexByte(b, '\n') + 1
	if i == 0 || bytes.Count(b, []byte("\n")) != 2 {
		t.Fatalf("cosigned with %q, want two lines", b)
	}
	return b[:i], b[i:]
}

func TestBothCosignaturesOfAMemberAreNeeded(t *testing.T) {
	l := audittest.New("hybrid")
	q := l.Desc.Quorum()
	signed, ed, pq, cp := cosigned(t, l)
	edLater, pqLater := lines(t, l.Signer(q.Origin, audittest.C2), cp, l.Now.Add(time.Second))
	grown := cp
	grown.Size++
	_, pqOther := lines(t, l.Signer(q.Origin, audittest.C2), grown, l.Now)
	stranger := l.Signer(q.Origin, audittest.C2)
	stranger, err := stranger.WithMLDSA(audittest.MLDSAKey("stranger"))
	if err != nil {
		t.Fatal(err)
	}
	_, pqStranger := lines(t, stranger, cp, l.Now)
	_, pqC3 := lines(t, l.Signer(q.Origin, audittest.C3), cp, l.Now)
	renamed := bytes.Replace(pqC3, []byte("/c3 "), []byte("/c2 "), 1)
	for _, c := range []struct {
		name  string
		lines [][]byte
		ok    bool
	}{
		{"both", [][]byte{ed, pq}, true},
		{"both in another order", [][]byte{pq, ed}, true},
		{"both in one answer", [][]byte{append(slices.Clone(ed), pq...)}, true},
		{"both a second later", [][]byte{edLater, pqLater}, true},
		{"Ed25519 alone", [][]byte{ed}, false},
		{"ML-DSA alone", [][]byte{pq}, false},
		{"of two times", [][]byte{edLater, pq}, false},
		{"of two times, the other way", [][]byte{ed, pqLater}, false},
		{"ML-DSA of another tree", [][]byte{ed, pqOther}, false},
		{"ML-DSA of a stranger's key", [][]byte{ed, pqStranger}, false},
		{"ML-DSA of another member", [][]byte{ed, pqC3}, false},
		{"another member's ML-DSA under this one's name", [][]byte{ed, renamed}, false},
		{"one byte of ML-DSA changed", [][]byte{ed, bytes.Replace(pq, pq[300:304], []byte("AAAA"), 1)}, false},
	} {
		b, err := q.Assemble(signed, c.lines...)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		_, by, fresh, err := q.Open(b)
		if want := []string{"c1", "c2"}; c.ok && (err != nil || !slices.Equal(by, want) || fresh.Before(l.Now)) {
			t.Errorf("%s: %v, %v at %v, want %v", c.name, err, by, fresh, want)
		}
		if !c.ok && !errors.Is(err, audit.ErrQuorum) {
			t.Errorf("%s: %v, %v, want %v", c.name, err, by, audit.ErrQuorum)
		}
	}
	if _, _, _, err := q.Open(append(append(slices.Clone(signed), ed...), bytes.Replace(pq, pq[300:304], []byte("AAAA"), 1)...)); !errors.Is(err, audit.ErrSignature) {
		t.Errorf("a wrong ML-DSA line put into the note: %v, want %v", err, audit.ErrSignature)
	}
}

// A member without an ML-DSA key counts with Ed25519 alone, beside one that has both.
func TestAMemberWithoutTheSecondKeyCountsWithItsOne(t *testing.T) {
	l := audittest.New("hybrid")
	l.Desc.Members[1].MLDSA = nil
	q := l.Desc.Quorum()
	signed, ed, _, _ := cosigned(t, l)
	b, err := q.Assemble(signed, ed)
	if err != nil {
		t.Fatal(err)
	}
	if _, by, _, err := q.Open(b); err != nil || len(by) != 2 {
		t.Errorf("%v, %v, want two", err, by)
	}
	back, err := audit.ParseCluster(l.Desc.Encode())
	if err != nil || back.ID() != l.Desc.ID() || len(back.Members[1].MLDSA) != 0 {
		t.Errorf("cluster file with an empty mldsa: %v", err)
	}
}

func TestStandardVerifiersTakeBothLines(t *testing.T) {
	l := audittest.New("hybrid")
	signed, ed, pq, cp := cosigned(t, l)
	m := l.Desc.Members[1]
	for _, c := range []struct {
		line []byte
		key  func() (string, error)
	}{
		{ed, func() (string, error) { return audit.CosignatureKey(cp.Origin, m.Name, m.Key) }},
		{pq, func() (string, error) { return audit.MLDSAKey(cp.Origin, m.Name, m.MLDSA) }},
	} {
		vkey, err := c.key()
		if err != nil {
			t.Fatal(err)
		}
		v, err := fnote.NewVerifierForCosignatureV1(vkey)
		if err != nil {
			t.Fatal(err)
		}
		n, err := note.Open(append(slices.Clone(signed), c.line...), note.VerifierList(v))
		if err != nil || len(n.Sigs) != 1 {
			t.Fatalf("%s...: %v", vkey[:40], err)
		}
		if at, err := fnote.CoSigV1Timestamp(n.Sigs[0]); err != nil || !at.Equal(l.Now) {
			t.Errorf("time %v, %v, want %v", at, err, l.Now)
		}
	}
}

func TestASecondKeyThatIsNoneIsRefused(t *testing.T) {
	for name, change := range map[string]func(*audit.Cluster){
		"too short":         func(c *audit.Cluster) { c.Members[0].MLDSA = c.Members[0].MLDSA[:1311] },
		"another member's":  func(c *audit.Cluster) { c.Members[0].MLDSA = c.Members[1].MLDSA },
		"an Ed25519 key":    func(c *audit.Cluster) { c.Members[0].MLDSA = c.Members[0].Key },
		"a letter too many": func(c *audit.Cluster) { c.Members[0].MLDSA = append(slices.Clone(c.Members[0].MLDSA), 0) },
	} {
		c := audittest.New("hybrid").Desc
		change(&c)
		if err := c.Check(); !errors.Is(err, audit.ErrFormat) {
			t.Errorf("%s: %v, want %v", name, err, audit.ErrFormat)
		}
	}
	l := audittest.New("hybrid")
	if _, err := l.Signer(l.Desc.Origin, audittest.C1).WithMLDSA(l.Members[audittest.C1]); !errors.Is(err, audit.ErrFormat) {
		t.Errorf("an Ed25519 key as the second one: %v, want %v", err, audit.ErrFormat)
	}
	s, err := l.Signer(l.Desc.Origin, audittest.C1).WithMLDSA(broken{l.MLDSA[audittest.C1]})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Cosign(audit.Checkpoint{Origin: l.Desc.Origin, Size: 1}, l.Now); err == nil || !strings.Contains(err.Error(), "no") {
		t.Errorf("a key that fails: %v, want its error", err)
	}
}

type broken struct{ crypto.Signer }

func (broken) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("no")
}

// The largest cluster's checkpoint stays in its bound.
func TestACheckpointOfTheMostMembersFits(t *testing.T) {
	l := audittest.New("most")
	l.Desc.Members, l.Signers = nil, nil
	for i := range audit.MaxMembers {
		name := string(rune('a'+i)) + strings.Repeat("x", 63)
		l.Members[name], l.MLDSA[name] = audittest.Key(name), audittest.MLDSAKey(name)
		l.Desc.Members = append(l.Desc.Members, audit.MemberKey{Name: name, Key: l.Members[name].Public().(ed25519.PublicKey), MLDSA: audittest.MLDSAPublic(l.MLDSA[name])})
		l.Signers = append(l.Signers, name)
	}
	b := l.Checkpoint()
	if _, by, _, err := l.Desc.Quorum().Open(b); err != nil || len(by) != audit.MaxMembers {
		t.Errorf("%d bytes: %v, signed by %d", len(b), err, len(by))
	}
	t.Logf("%d members: %d bytes of %d", audit.MaxMembers, len(b), audit.MaxCheckpoint)
}

// BenchmarkCheckpoint is one member's cosignatures, and opening a checkpoint of three members.
func BenchmarkCheckpoint(b *testing.B) {
	for name, hybrid := range map[string]bool{"ed25519": false, "hybrid": true} {
		l := audittest.New("bench")
		size, root := l.Tree().Head()
		cp := audit.Checkpoint{Origin: l.Desc.Origin, Size: size, Root: root}
		s, err := audit.NewSigner(cp.Origin, audittest.C2, l.Members[audittest.C2])
		if err != nil {
			b.Fatal(err)
		}
		if hybrid {
			s = l.Signer(cp.Origin, audittest.C2)
		} else {
			for i := range l.Desc.Members {
				l.Desc.Members[i].MLDSA = nil
			}
		}
		signed, q := l.Checkpoint(), l.Desc.Quorum()
		b.Run(name+"/cosign", func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Cosign(cp, l.Now); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/open", func(b *testing.B) {
			for b.Loop() {
				if _, _, _, err := q.Open(signed); err != nil {
					b.Fatal(err)
				}
			}
			if hybrid {
				b.ReportMetric(float64(len(signed)), "bytes")
			}
		})
	}
}
