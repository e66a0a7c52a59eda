package brake

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/cordon-project/cordon/resolver/canon"
)

// Bounds of a popularity file.
const (
	MaxPopular        = 5_000_000
	maxPopularityFile = 192 << 20 // 5 million names of 36 bytes; real ones have 15
	maxPopularityHead = 4 << 10
	maxSigners        = 16
)

// StaleAfter is the age from which a popularity file gives a note. It never holds or frees anything by its age.
const StaleAfter = 90 * 24 * time.Hour

// Sentinels of reading a popularity file.
var (
	ErrPopularity = errors.New("not a popularity file")
	ErrSignature  = errors.New("no known key has signed it")
	ErrNames      = errors.New("the names are not those that were signed")
)

const popularityMagic = "cordon-popularity/1"

// Popularity is a verified popularity file: names that many people use, most popular first, and hosts that carry many others.
// POPULARITY.md has the format. It is immutable; a nil one has no names.
type Popularity struct {
	date    time.Time
	signers []string
	hash    [32]byte // of the signed text
	popular []byte   // a name a line
	shared  []byte
	n, m    int
}

// Date is the day the file was made.
func (p *Popularity) Date() time.Time {
	if p == nil {
		return time.Time{}
	}
	return p.date
}

// Signers are the names of the keys that have signed it.
func (p *Popularity) Signers() []string {
	if p == nil {
		return nil
	}
	return p.signers
}

// Hash is the SHA-256 of the signed text, which holds that of the names. Zero for a nil file.
func (p *Popularity) Hash() [32]byte {
	if p == nil {
		return [32]byte{}
	}
	return p.hash
}

// Counts are the number of popular names and of shared hosts.
func (p *Popularity) Counts() (popular, shared int) {
	if p == nil {
		return 0, 0
	}
	return p.n, p.m
}

// Stale says that the file has grown old at now, or "".
func (p *Popularity) Stale(now time.Time) string {
	if p == nil || now.Sub(p.date) <= StaleAfter {
		return ""
	}
	return fmt.Sprintf("the popularity file is of %s, %d days old: make a new one", p.date.Format(time.DateOnly), int(now.Sub(p.date).Hours()/24))
}

// Popular are the popular names, most popular first.
func (p *Popularity) Popular() iter.Seq[string] {
	if p == nil {
		return names(nil)
	}
	return names(p.popular)
}

// Shared are the hosts that carry many others.
func (p *Popularity) Shared() iter.Seq[string] {
	if p == nil {
		return names(nil)
	}
	return names(p.shared)
}

func names(b []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range bytes.Lines(b) {
			if !yield(string(line[:len(line)-1])) {
				return
			}
		}
	}
}

// LoadPopularity reads the file at path; see ReadPopularity. It holds the whole file in memory, about 15 MB for a million names.
func LoadPopularity(path string, keys []string, now time.Time) (*Popularity, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read popularity file: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPopularityFile+1))
	if err != nil {
		return nil, fmt.Errorf("read popularity file %s: %w", path, err)
	}
	p, err := ReadPopularity(b, keys, now)
	if err != nil {
		return nil, fmt.Errorf("popularity file %s: %w", path, err)
	}
	return p, nil
}

// ReadPopularity verifies a popularity file: the signature of one of keys ("name+hash+base64", CheckKey), then every byte of the names.
// A file of another day than now or before is refused. It keeps b, which must not change. Errors wrap ErrPopularity, ErrSignature or ErrNames.
func ReadPopularity(b []byte, keys []string, now time.Time) (*Popularity, error) {
	if len(b) > maxPopularityFile {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrPopularity, maxPopularityFile)
	}
	head, body, err := splitPopularity(b)
	if err != nil {
		return nil, err
	}
	var verifiers []note.Verifier
	for _, k := range keys {
		v, err := note.NewVerifier(k)
		if err != nil {
			return nil, fmt.Errorf("%w: a key that was given is none: %w", ErrSignature, err)
		}
		verifiers = append(verifiers, v)
	}
	opened, err := note.Open(head, note.VerifierList(verifiers...))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	p := &Popularity{hash: sha256.Sum256([]byte(opened.Text))}
	for _, s := range opened.Sigs {
		p.signers = append(p.signers, s.Name)
	}
	sum, err := p.readHead(opened.Text)
	if err != nil {
		return nil, err
	}
	if p.date.After(now.Add(24 * time.Hour)) {
		return nil, fmt.Errorf("%w: it is of %s, which is still to come", ErrPopularity, p.date.Format(time.DateOnly))
	}
	if sha256.Sum256(body) != sum {
		return nil, ErrNames
	}
	return p, p.readBody(body)
}

// splitPopularity cuts the signed note from the names: the note is text, an empty line, signatures; another empty line ends it.
func splitPopularity(b []byte) (head, body []byte, err error) {
	if !bytes.HasPrefix(b, []byte(popularityMagic+"\n")) {
		return nil, nil, fmt.Errorf("%w: it does not begin with the line %s", ErrPopularity, popularityMagic)
	}
	start := b[:min(len(b), maxPopularityHead)]
	_, rest, text := bytes.Cut(start, []byte("\n\n"))
	sigs, _, signed := bytes.Cut(rest, []byte("\n\n"))
	if !text || !signed || bytes.Count(sigs, []byte("\n")) >= maxSigners {
		return nil, nil, fmt.Errorf("%w: its head is not a signed note of at most %d bytes", ErrPopularity, maxPopularityHead)
	}
	end := len(start) - len(rest) + len(sigs) + 1
	return b[:end], b[end+1:], nil
}

// readHead reads the signed text: five lines, nothing else.
func (p *Popularity) readHead(text string) (sum [32]byte, err error) {
	lines := strings.Split(text, "\n")
	bad := func(line int) error { return fmt.Errorf("%w: line %d of its head", ErrPopularity, line) }
	if len(lines) != 6 || lines[5] != "" {
		return sum, fmt.Errorf("%w: its head has not five lines", ErrPopularity)
	}
	value := func(i int, key string) string {
		v, ok := strings.CutPrefix(lines[i], key+" ")
		if !ok {
			return ""
		}
		return v
	}
	if p.date, err = time.Parse(time.DateOnly, value(1, "date")); err != nil {
		return sum, bad(2)
	}
	for i, f := range []struct {
		key string
		to  *int
	}{{"popular", &p.n}, {"shared", &p.m}} {
		n, err := strconv.Atoi(value(2+i, f.key))
		if err != nil || n < 0 || n > MaxPopular || strconv.Itoa(n) != value(2+i, f.key) {
			return sum, bad(3 + i)
		}
		*f.to = n
	}
	if hexSum := value(4, "sha256"); len(hexSum) != 64 || strings.ToLower(hexSum) != hexSum {
		return sum, bad(5)
	} else if _, err := hex.Decode(sum[:], []byte(hexSum)); err != nil {
		return sum, bad(5)
	}
	return sum, nil
}

// readBody checks every name and finds where the shared hosts begin.
func (p *Popularity) readBody(body []byte) error {
	at, lines := 0, 0
	for line := range bytes.Lines(body) {
		if lines == p.n {
			p.popular = body[:at]
		}
		lines++
		at += len(line)
		name, ended := bytes.CutSuffix(line, []byte("\n"))
		if c, err := canon.Host(string(name)); !ended || err != nil || c != string(name) {
			return fmt.Errorf("%w: name %d is not canonical", ErrPopularity, lines)
		}
	}
	if lines != p.n+p.m {
		return fmt.Errorf("%w: %d names, signed are %d and %d", ErrPopularity, lines, p.n, p.m)
	}
	if p.m == 0 {
		p.popular = body
	}
	p.shared = body[len(p.popular):]
	return nil
}

// CheckKey says whether s can be a key that popularity files are verified with.
func CheckKey(s string) error {
	if _, err := note.NewVerifier(s); err != nil || len(s) > 256 {
		return errors.New("it is not a key; copy the line of popularity.vkey, NAME+HASH+KEY")
	}
	return nil
}

// VerifierKey is the public key as configurations name it.
func VerifierKey(name string, key ed25519.PublicKey) (string, error) {
	k, err := note.NewEd25519VerifierKey(name, key)
	if err == nil {
		err = CheckKey(k)
	}
	return k, err
}

// SignPopularity makes a popularity file of names that ReadNames gave. name is the key's.
func SignPopularity(popular, shared []string, date time.Time, name string, key crypto.Signer) ([]byte, error) {
	if len(popular) > MaxPopular || len(shared) > MaxPopular {
		return nil, fmt.Errorf("%w: more than %d names", ErrPopularity, MaxPopular)
	}
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("sign popularity file: not an Ed25519 key")
	}
	vkey, err := VerifierKey(name, public)
	if err != nil {
		return nil, err
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, err
	}
	var body bytes.Buffer
	for _, list := range [][]string{popular, shared} {
		for _, n := range list {
			body.WriteString(n)
			body.WriteByte('\n')
		}
	}
	text := fmt.Sprintf("%s\ndate %s\npopular %d\nshared %d\nsha256 %x\n", popularityMagic, date.UTC().Format(time.DateOnly), len(popular), len(shared), sha256.Sum256(body.Bytes()))
	head, err := note.Sign(&note.Note{Text: text}, signer{v, key})
	if err != nil {
		return nil, fmt.Errorf("sign popularity file: %w", err)
	}
	return append(append(head, '\n'), body.Bytes()...), nil
}

// signer is a note.Signer of an Ed25519 key.
type signer struct {
	note.Verifier
	key crypto.Signer
}

func (s signer) Sign(msg []byte) ([]byte, error) { return s.key.Sign(nil, msg, crypto.Hash(0)) }

// ReadNames reads names as popularity lists are handed round: one a line, or "rank,name", "#" begins a comment. They come out
// canonical, in order, each once; addresses are left out and counted. Its error is a *LineError, or r's.
func ReadNames(r io.Reader) (out []string, addresses int, err error) {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, maxLine), maxLine)
	seen := map[string]bool{}
	line := 0
	for in.Scan() {
		line++
		text, _, _ := strings.Cut(in.Text(), "#")
		if rank, name, ok := strings.Cut(text, ","); ok {
			if _, err := strconv.ParseUint(strings.TrimSpace(rank), 10, 32); err != nil {
				return nil, 0, &LineError{line, errors.New("it is neither a name nor rank,name")}
			}
			text = name
		}
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		name, err := canon.Host(text)
		if err != nil {
			return nil, 0, &LineError{line, err}
		}
		if name[0] == '[' || strings.Trim(name, "0123456789.") == "" {
			addresses++
			continue
		}
		if !seen[name] {
			if len(out) >= MaxPopular {
				return nil, 0, &LineError{line, fmt.Errorf("more than %d names", MaxPopular)}
			}
			seen[name] = true
			out = append(out, name)
		}
	}
	if errors.Is(in.Err(), bufio.ErrTooLong) {
		return nil, 0, &LineError{line + 1, errLong}
	}
	return out, addresses, in.Err()
}
