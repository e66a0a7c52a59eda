package command

import (
	"bytes"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/strict"
	"github.com/cordon-project/cordon/listsync/publiclog"
)

// Limits on what a body may hold; the 64 KiB of the whole bound them too.
const (
	maxItems = 256 // verdicts, receipts
	maxTime  = 1 << 36
)

var (
	encMode = strict.Encoding
	decMode = strict.Decoding(strict.Options(4096, 64))
	// peekMode reads version and kind of a command whose other fields this
	// build may not know.
	peekMode = func() cbor.DecMode {
		o := strict.Options(4096, 64)
		o.ExtraReturnErrors = cbor.ExtraDecErrorNone
		return strict.Decoding(o)
	}()
)

// wire is the envelope.
type wire struct {
	V int             `cbor:"v"`
	K Kind            `cbor:"k"`
	T int64           `cbor:"t"`
	B cbor.RawMessage `cbor:"b"`
}

// Encode returns the command's one encoding. ErrTooLarge and ErrFormat (a
// field outside its bounds) are its errors.
func Encode(c Command) ([]byte, error) {
	if c.Body == nil {
		return nil, fmt.Errorf("encode command: no body: %w", ErrFormat)
	}
	kind := c.Body.kind()
	if c.Time < 0 || c.Time > maxTime {
		return nil, fmt.Errorf("encode command %s: time %d: %w", kind, c.Time, ErrFormat)
	}
	if err := c.Body.check(); err != nil {
		return nil, fmt.Errorf("encode command %s: %w", kind, err)
	}
	body, err := encMode.Marshal(c.Body)
	if err != nil {
		return nil, fmt.Errorf("encode command %s: %w: %v", kind, ErrFormat, err)
	}
	b, err := encMode.Marshal(wire{V: Version, K: kind, T: c.Time, B: body})
	if err != nil {
		return nil, fmt.Errorf("encode command %s: %w: %v", kind, ErrFormat, err)
	}
	if len(b) > MaxSize {
		return nil, fmt.Errorf("encode command %s of %d bytes, at most %d: %w", kind, len(b), MaxSize, ErrTooLarge)
	}
	return b, nil
}

// Decode reads one command strictly: every byte string is either refused or
// is exactly what Encode writes for the command returned. ErrUnknown,
// ErrFormat and ErrTooLarge are its errors. The command keeps no reference to b.
func Decode(b []byte) (Command, error) {
	if len(b) > MaxSize {
		return Command{}, fmt.Errorf("decode command of %d bytes, at most %d: %w", len(b), MaxSize, ErrTooLarge)
	}
	var head struct {
		V uint64 `cbor:"v"`
		K Kind   `cbor:"k"`
	}
	if err := peekMode.Unmarshal(b, &head); err != nil {
		return Command{}, fmt.Errorf("decode command: %w: %v", ErrFormat, err)
	}
	if head.V != Version {
		return Command{}, fmt.Errorf("decode command of version %d: %w", head.V, ErrUnknown)
	}
	read, ok := bodies[head.K]
	if !ok {
		return Command{}, fmt.Errorf("decode command of kind %q: %w", clip(string(head.K)), ErrUnknown)
	}
	var w wire
	if err := decMode.Unmarshal(b, &w); err != nil {
		return Command{}, fmt.Errorf("decode command %s: %w: %v", head.K, ErrFormat, err)
	}
	body, err := read(w.B)
	if err != nil {
		return Command{}, fmt.Errorf("decode command %s: %w", head.K, err)
	}
	c := Command{Time: w.T, Body: body}
	again, err := Encode(c)
	if err != nil {
		return Command{}, fmt.Errorf("decode command: %w", err)
	}
	if !bytes.Equal(again, b) {
		return Command{}, fmt.Errorf("decode command %s: not the canonical encoding: %w", head.K, ErrFormat)
	}
	return c, nil
}

// bodies are the kinds this version knows.
var bodies = map[Kind]func(cbor.RawMessage) (Body, error){
	KindPublish:  read[Publish],
	KindWithdraw: read[Withdraw],
	KindMember:   read[Member],
	KindReject:   read[Reject],
	KindReceipts: read[Receipts],
	KindAssert:   read[Assert],
	KindTick:     read[Tick],
	KindHold:     read[Hold],
	KindPolicy:   readOrder(KindPolicy),
	KindApprove:  readOrder(KindApprove),
	KindSuppress: readOrder(KindSuppress),
	KindBypass:   readOrder(KindBypass),
	KindReturn:   read[Return],
	KindAdmin:    read[Admin],

	KindCertificate: readOrder(KindCertificate),
	KindExempt:      readOrder(KindExempt),
	KindPin:         readOrder(KindPin),
	KindOpen:        read[Open],
	KindFork:        read[Fork],
}

func readOrder(as Kind) func(cbor.RawMessage) (Body, error) {
	return func(raw cbor.RawMessage) (Body, error) {
		o := Order{As: as}
		if err := decMode.Unmarshal(raw, &o); err != nil {
			return nil, fmt.Errorf("%w: %v", ErrFormat, err)
		}
		return o, nil
	}
}

func read[B Body](raw cbor.RawMessage) (Body, error) {
	var b B
	if err := decMode.Unmarshal(raw, &b); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrFormat, err)
	}
	return b, nil
}

// check holds what the sizes of a body's parts must be, before anyone works on it.
func (p Publish) check() error {
	if err := text(string(p.List), maxID); err != nil {
		return err
	}
	if len(p.Verdicts) > maxItems || len(p.PublicProof) > publiclog.MaxProof || len(p.Metadata) == 0 {
		return fmt.Errorf("publish: metadata, verdicts or proof: %w", ErrFormat)
	}
	return nil
}

func (w Withdraw) check() error {
	if len(w.Statement) == 0 {
		return fmt.Errorf("withdraw: no statement: %w", ErrFormat)
	}
	return nil
}

func (f Fork) check() error {
	for _, s := range []string{f.Hotline, f.Node} {
		if err := text(s, maxID); err != nil {
			return err
		}
	}
	if len(f.Log) > 2*audit.MaxForkNote || len(f.First) > audit.MaxForkNote || len(f.Second) > audit.MaxForkNote {
		return fmt.Errorf("fork: %w", ErrTooLarge)
	}
	return nil
}

func (o Open) check() error {
	if len(o.Statement) == 0 {
		return fmt.Errorf("open: no statement: %w", ErrFormat)
	}
	return nil
}

func (m Member) check() error {
	for _, s := range []string{m.Action, m.Role, m.Name, m.By} {
		if err := text(s, maxID); err != nil {
			return err
		}
	}
	if len(m.Key) != 0 && len(m.Key) != 32 {
		return fmt.Errorf("member: key of %d bytes: %w", len(m.Key), ErrFormat)
	}
	return text(m.Recipient, maxRecipient)
}

func (r Reject) check() error {
	for _, s := range []string{r.Hotline, string(r.List), r.Stage, r.Reason, r.Node} {
		if err := text(s, maxID); err != nil {
			return err
		}
	}
	if len(r.Object) != 32 || len(r.Verdicts) > maxItems || r.Reason == "" {
		return fmt.Errorf("reject: object, verdicts or reason: %w", ErrFormat)
	}
	return text(r.Detail, MaxDetail)
}

func (r Receipts) check() error {
	if len(r.Items) == 0 || len(r.Items) > maxItems {
		return fmt.Errorf("receipts: %d of them: %w", len(r.Items), ErrFormat)
	}
	return nil
}

func (a Assert) check() error {
	if len(a.Root) != 32 || len(a.Checkpoint) == 0 {
		return fmt.Errorf("checkpoint_assert: root or checkpoint: %w", ErrFormat)
	}
	return nil
}

func (Tick) check() error { return nil }

func (h Hold) check() error {
	for _, s := range []string{h.Hotline, string(h.List), h.Brake, h.Node} {
		if err := text(s, maxID); err != nil {
			return err
		}
	}
	if len(h.Edge) != 32 || len(h.Metadata) != 32 || len(h.Verdicts) > maxItems || h.Brake == "" {
		return fmt.Errorf("hold: hashes, verdicts or brake: %w", ErrFormat)
	}
	return nil
}

func (o Order) check() error {
	if _, known := orders[o.As]; !known || len(o.Statement) == 0 {
		return fmt.Errorf("order of kind %q, or without a statement: %w", clip(string(o.As)), ErrFormat)
	}
	return nil
}

// orders are the kinds that Order may be of.
var orders = map[Kind]struct{}{KindPolicy: {}, KindApprove: {}, KindSuppress: {}, KindBypass: {}, KindExempt: {}, KindCertificate: {}, KindPin: {}}

func (r Return) check() error {
	if len(r.Statement) == 0 || len(r.Verdicts) > maxItems {
		return fmt.Errorf("return: statement or verdicts: %w", ErrFormat)
	}
	return nil
}

func (a Admin) check() error {
	for _, s := range []string{a.Act, a.By, a.Node} {
		if err := text(s, maxID); err != nil {
			return err
		}
	}
	if len(a.D) == 0 {
		return fmt.Errorf("admin: says nothing: %w", ErrFormat)
	}
	return nil
}

const (
	maxID        = 128
	maxRecipient = 4096
	// MaxDetail bounds the sentence of a refusal.
	MaxDetail = 512
)

// text accepts printable ASCII: words and sentences of this project, never content.
func text(s string, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("text of %d bytes, at most %d: %w", len(s), limit, ErrFormat)
	}
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] > 0x7e {
			return fmt.Errorf("text with byte %#x: %w", s[i], ErrFormat)
		}
	}
	return nil
}

func clip(s string) string { return s[:min(len(s), 64)] }
