package listsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust"
)

// lists follows a hotline's list versions.
type lists struct {
	Config
	*memory
	tracker
	turns
}

// Patience with one repository before the next one is asked beside it, and the pace at which a large file may come meanwhile.
const (
	listGrace = 10 * time.Second
	listPace  = 1 << 20 // bytes a second
)

// errBehind is a mirror that has not caught up: no refusal, and no reason to be silent about it when nobody else is ahead.
var errBehind = errors.New("mirror is behind")

// poll asks every repository: one that stands still must not hide the others. It succeeds when one of them could be followed and the
// hotline's own offers nothing that had to be refused.
func (l *lists) poll(ctx context.Context) error {
	var failures []error
	followed := false
	for i, repo := range l.Repositories {
		accepted, ok := l.Proposer.Accepted(l.Hotline)
		if !ok {
			return fmt.Errorf("follow hotline %s: %w", l.Hotline, errNotPinned)
		}
		switch err := l.take(ctx, repo, func(more func(time.Duration)) error { return l.follow(ctx, repo, accepted, i > 0, more) }); {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			followed = true
		case followed && errors.Is(err, errBehind):
		default:
			failures = append(failures, err)
		}
	}
	err := errors.Join(failures...)
	if followed && !errors.Is(err, errOffer) {
		return nil
	}
	return err
}

// errNotPinned is a hotline that is configured here and that the cluster does not know yet: it waits.
var errNotPinned = errors.New("it waits to be pinned: cluster.json does not name it, and no two officers have added it yet (cordon pin)")

// errOffer marks metadata that the first repository, the hotline's own, offers and that does not verify.
var errOffer = errors.New("what the hotline offers is refused")

func (l *lists) follow(ctx context.Context, repo *fetch.Repository, accepted Accepted, mirror bool, more func(time.Duration)) error {
	m, err := repo.Metadata(ctx, accepted.Roots.Version())
	if err != nil {
		return l.unread(ctx, mirror, fmt.Errorf("read metadata: %w", err))
	}
	m = accepted.Roots.Complete(m)
	hash := m.Hash()
	if refused := l.standing(hash); refused != nil {
		return refused
	}
	v, err := trust.Verify(accepted.Roots.Newest(), accepted.High, m, l.Clock())
	if err == nil {
		err = checkCanon(v, accepted)
	}
	if err != nil {
		repo.Forget() // one spoiled read must not stick
		if hash == accepted.Metadata {
			return fmt.Errorf("the hotline has renewed nothing: %w", err) // expired meanwhile; what is in force stays
		}
		if mirror && errors.Is(err, trust.ErrRollback) {
			return fmt.Errorf("%w: %w", errBehind, err)
		}
		return l.refuse(ctx, hash, Refusal{Object: hash, Reason: trust.Reason(err)}, mirror, err)
	}
	if hash == accepted.Metadata && allInForce(v, accepted) {
		return l.watchLog(ctx, repo, v)
	}
	if !l.myTurn(hash, l.Proposer.Leading()) {
		return nil
	}
	for _, t := range v.Lists {
		more(time.Duration(t.Edge.Length+t.Audit.Length) * time.Second / listPace)
		if err := l.publish(ctx, repo, m, v, t, mirror); err != nil {
			return err
		}
	}
	return nil
}

// unread passes a failed read on. One that failed because of what came, not because of the network, is a refusal like any other; there is
// nothing whole that could name it in the log, so it is recorded once a day for each reason.
func (l *lists) unread(ctx context.Context, mirror bool, err error) error {
	reason := trust.Reason(err)
	if reason == "other" || ctx.Err() != nil {
		return err
	}
	object := hashOf(fmt.Appendf(nil, "cordon/unread/v1\n%s\n%s\n%d", l.Hotline, reason, l.Clock().Unix()/86400))
	return l.record(ctx, Refusal{Object: object, Reason: reason}, mirror, err)
}

// checkCanon refuses new lists that were made for other canonicalisation rules than this build's. One that is in force stays so through
// any update of this build.
func checkCanon(v *trust.Verified, a Accepted) error {
	for _, t := range v.Lists {
		if a.inForce(t.List, t.Seq) {
			continue
		}
		if err := t.CheckCanon(); err != nil {
			return err
		}
	}
	return nil
}

func allInForce(v *trust.Verified, a Accepted) bool {
	for _, t := range v.Lists {
		if !a.inForce(t.List, t.Seq) {
			return false
		}
	}
	return true
}

func (l *lists) publish(ctx context.Context, repo *fetch.Repository, m trust.Metadata, v *trust.Verified, t trust.ListTarget, mirror bool) error {
	what := fmt.Sprintf("list %s seq %d", t.List, t.Seq)
	proof, err := l.publicLog(ctx, repo, m, v, t, mirror)
	if err != nil {
		return err
	}
	if err := l.stage(ctx, repo, t); errors.Is(err, errFile) {
		// Not remembered against the metadata: this place may lie where another has the signed file.
		return l.record(ctx, Refusal{List: t.List, Seq: t.Seq, Object: t.Edge.SHA256, Reason: trust.Reason(err)}, mirror, err)
	} else if err != nil {
		return fmt.Errorf("fetch %s: %w", what, err)
	}
	err = l.Proposer.Publish(ctx, m, t.List, proof)
	if errors.Is(err, ErrHeld) {
		return nil // the cluster says so itself; the next poll finds out whether it has been approved
	}
	if err != nil {
		return l.keep(m.Hash(), fmt.Errorf("publish %s: %w", what, err))
	}
	l.Log.InfoContext(ctx, "list version agreed", slog.Any("list", t.List), slog.Uint64("seq", t.Seq))
	return nil
}

// errFile marks a file that is not what the metadata signed: the publication is broken, not the network.
var errFile = errors.New("file is not what was signed")

// stage brings the list's files into the local store: the deltas, for the edges too, and what they do not lead to. A delta saves work and
// nothing else, so a version needs none: one that is gone or damaged is left out.
func (l *lists) stage(ctx context.Context, repo *fetch.Repository, t trust.ListTarget) error {
	for _, d := range t.Deltas {
		err := l.stageFiles(ctx, repo, []trust.File{d.File})
		switch {
		case err == nil:
		case errors.Is(err, errFile), errors.Is(err, fetch.ErrTruncated), errors.Is(err, fetch.ErrNotFound):
			l.Log.WarnContext(ctx, "a delta of the version cannot be had: whoever needs it fetches all of the list",
				slog.Any("list", t.List), slog.Uint64("seq", t.Seq), slog.Uint64("from", d.From), slog.Any("error", err))
		default:
			return err
		}
	}
	if accepted, ok := l.Proposer.Accepted(l.Hotline); ok {
		if err := l.Files.FromDeltas(ctx, accepted.base(t.List), t); err != nil && !errors.Is(err, fetch.ErrNoDeltas) {
			l.Log.WarnContext(ctx, "deltas do not lead to the version: fetching all of it",
				slog.Any("list", t.List), slog.Uint64("seq", t.Seq), slog.Any("error", err))
		}
	}
	files := []trust.File{t.Edge, t.Audit}
	for _, k := range t.Keys {
		if k.Cluster == l.Cluster {
			files = append(files, k.File)
		}
	}
	return l.stageFiles(ctx, repo, files)
}

func (l *lists) stageFiles(ctx context.Context, repo *fetch.Repository, files []trust.File) error {
	for _, f := range files {
		if l.Files.Has(f.SHA256) {
			continue
		}
		err := repo.Stage(ctx, f, l.Files)
		if errors.Is(err, fetch.ErrHash) || errors.Is(err, fetch.ErrTooLarge) {
			return fmt.Errorf("%w: %s: %w", errFile, f.Path, err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// refuse has a refusal of metadata recorded, and remembers it for as long as the same is offered.
func (l *lists) refuse(ctx context.Context, offered [32]byte, r Refusal, mirror bool, why error) error {
	err := l.record(ctx, r, mirror, why)
	if l.known(r.Object) {
		l.keep(offered, fmt.Errorf("%w: %w", ErrRefused, err))
	}
	return err
}

// record has the log say once what was refused, and returns the refusal in full for this node's own status.
func (l *lists) record(ctx context.Context, r Refusal, mirror bool, why error) error {
	r.Hotline, r.Detail = l.Hotline, details[r.Reason]
	if !l.known(r.Object) {
		if err := l.Proposer.Refuse(ctx, r); err != nil {
			return fmt.Errorf("record refusal (%s): %w", r.Reason, err)
		}
		l.note(r.Object)
	}
	err := fmt.Errorf("refused (%s): %w", r.Reason, why)
	if !mirror {
		err = fmt.Errorf("%w: %w", errOffer, err)
	}
	return err
}

// details are the sentences of the log for each reason. They are fixed: a leaf is public for ever, and nothing that is not verified may choose its words.
var details = map[string]string{
	"signature":   "signed by nobody whom the accreditation names",
	"threshold":   "too few of the officers have signed",
	"expired":     "expired, or not yet valid",
	"rollback":    "older than what was accepted before",
	"scope":       "scope is not csam",
	"charter":     "outside of what the charter allows",
	"format":      "not in the form that the format demands",
	"too_large":   "larger than signed, or than anything of its kind may be",
	"path":        "outside of the delegated path",
	"key_roles":   "a key is used in two roles, or unfit for its role",
	"canon":       "made for other canonicalisation rules than this node's",
	"hash":        "content does not match its signed hash",
	"development": "signed with development keys",
	"minimum":     "below a minimum of thresholds, keys or lifetimes",
	"public_log":  "no valid proof that it is in the hotline's public log",
	"split_view":  "the hotline's public log was rewritten: two signed checkpoints cannot be one history",
}
