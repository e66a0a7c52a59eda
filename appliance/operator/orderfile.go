package operator

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/identity"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Submit hands in the order of a file.
func (o *Operator) Submit(ctx context.Context, path string) (Decision, error) {
	raw, d, err := readOrder(path)
	if err != nil {
		return Decision{}, err
	}
	if len(d.Signers) < order.Threshold {
		return Decision{}, fmt.Errorf("%w: %s is signed by %s alone; another officer signs it with: cordon countersign --officer DIR %s",
			ErrRefused, path, strings.Join(d.Signers, ""), path)
	}
	return o.handIn(ctx, raw, d)
}

// ShowOrder reads the order of a file, for a person who is about to sign it. It verifies nothing.
func ShowOrder(path string) (Decision, error) {
	_, d, err := readOrder(path)
	d.File = path
	return d, err
}

// Countersign adds an officer's signature to the order of a file, in place.
func Countersign(path, officerDir string) (Decision, error) {
	raw, d, err := readOrder(path)
	if err != nil {
		return Decision{}, err
	}
	officer, err := identity.LoadOfficer(officerDir)
	if err != nil {
		return Decision{}, appliance.BadInput(err)
	}
	if slices.Contains(d.Signers, officer.Name) {
		return Decision{}, appliance.BadInput(fmt.Errorf("%s has signed %s already; another officer must", officer.Name, path))
	}
	if raw, err = order.Countersign(raw, officer.Name, officer.Key); err != nil {
		return Decision{}, appliance.BadInput(err)
	}
	if err := renameio.WriteFile(path, raw, 0o644); err != nil {
		return Decision{}, fmt.Errorf("write order: %w", err)
	}
	d, err = decisionOf(raw)
	d.File = path
	return d, err
}

func readOrder(path string) ([]byte, Decision, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, Decision{}, appliance.BadInput(fmt.Errorf("read order: %w", err))
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, order.MaxSize+1))
	if err != nil {
		return nil, Decision{}, appliance.BadInput(fmt.Errorf("read order %s: %w", path, err))
	}
	d, err := decisionOf(raw)
	if err != nil {
		return nil, Decision{}, appliance.BadInput(fmt.Errorf("%s is not an order that cordon wrote: %w", path, err))
	}
	return raw, d, nil
}

func decisionOf(raw []byte) (Decision, error) {
	o, signers, err := order.Decode(raw)
	if err != nil {
		return Decision{}, err
	}
	return Decision{
		Kind: string(o.Body.Kind()), Number: o.Number, Text: o.Describe(), Reason: o.Reason, Expires: time.Unix(o.Expires, 0).UTC(), Signers: signers,
	}, nil
}

// writeNew never replaces an order that may wait for somebody.
func writeNew(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return appliance.BadInput(fmt.Errorf("%s is there already and may wait for a signature; name another file with --out, or remove it", filepath.Clean(path)))
	} else if err != nil {
		return fmt.Errorf("write order: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write order %s: %w", path, err)
	}
	return nil
}

// parseEntries reads entry ids: 32 hex digits each.
func parseEntries(texts []string) ([]match.EntryID, error) {
	var out []match.EntryID
	for _, text := range texts {
		b, err := hex.DecodeString(strings.TrimSpace(text))
		if err != nil || len(b) != len(match.EntryID{}) {
			return nil, fmt.Errorf("%q is not an entry id: 32 hexadecimal digits, as cordon which and cordon held print them: %w", text, trust.ErrFormat)
		}
		out = append(out, match.EntryID(b))
	}
	return order.SortEntries(out), nil
}

func parseHash(text string) (sum [32]byte, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(sum) {
		return sum, fmt.Errorf("%q is not a SHA-256 in hex", text)
	}
	return [32]byte(b), nil
}
