package publish

import (
	"context"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
)

// Refreshed says what a refresh has renewed.
type Refreshed struct {
	Timestamp int64     `json:"timestamp"` // version
	Snapshot  int64     `json:"snapshot"`  // version
	Renewed   bool      `json:"renewed"`   // whether the snapshot is a new one
	Expires   time.Time `json:"expires"`   // the earliest end of anything published
	Notes     []string  `json:"notes"`
}

// Refresh renews the timestamp, and the snapshot when it ends soon or when a new accreditation has been accepted, and collects cosignatures of the
// public log that are missing. It needs no officer and signs nothing else: run it from a timer, a few times a day.
func (h *Hotline) Refresh() (*Refreshed, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	if _, err := s.accredited(); err != nil {
		return nil, err
	}
	note := s.refreshLog(context.Background())
	p, err := s.published()
	if err == nil && p.seq == 0 {
		return nil, sentence(CodeInput, nil, "sign and publish the first version", "nothing is published yet")
	}
	if err != nil {
		return nil, fault(CodeInput, err, "put the repository back from a mirror", "cannot use the repository %s", s.repository())
	}
	m, err := s.online(p.list, false)
	if err != nil {
		return nil, err
	}
	v, err := s.verify(m)
	if err != nil {
		return nil, err
	}
	if err := s.place(m, v); err != nil {
		return nil, fault(CodeFailure, err, "check the disk and run refresh again", "cannot write the repository %s", s.repository())
	}
	r := &Refreshed{Timestamp: v.High.Timestamp, Snapshot: v.High.Snapshot, Renewed: v.High.Snapshot != s.st.Snapshot, Expires: v.Expires, Notes: []string{}}
	s.st.Timestamp, s.st.Snapshot = v.High.Timestamp, v.High.Snapshot
	if err := s.saveState(); err != nil {
		return nil, err
	}
	e, err := openEnvelope(p.list)
	if err != nil {
		return nil, err
	}
	_, made, err := s.epoch(s.st.Epoch)
	if err != nil {
		return nil, err
	}
	keysEnd := made.Add(epochAge)
	for _, end := range []struct {
		what, do string
		at       time.Time
		early    time.Duration
	}{
		{"the list's own metadata", "have officers sign the list anew", e.head.Expires, listRenew},
		{"the life of the list's keys", "have officers sign the list anew, which makes new ones", keysEnd, epochAge - epochRenew},
		{"the accreditation", "ask the authority for a new one", s.acc.targetsEnv.head.Expires, 30 * 24 * time.Hour},
		{"the root", "ask the authority for a new one", s.acc.root.head.Expires, 30 * 24 * time.Hour},
	} {
		if end.at.Equal(keysEnd) && len(r.Notes) > 0 {
			continue // the list ends too, and signing it anew mends both
		}
		if end.at.Sub(s.now) < end.early {
			r.Notes = append(r.Notes, end.what+" ends on "+day(end.at)+": "+end.do)
		}
	}
	if note != "" {
		r.Notes = append(r.Notes, note)
	}
	return r, nil
}

// officersOf gives the accredited officers as trust wants them.
func (a *accreditation) officersOf() (trust.Officers, error) {
	o := trust.Officers{Threshold: a.officers.Threshold}
	for _, id := range a.officers.KeyIDs {
		var pub [32]byte
		if err := decodeKey(a.keys[id].Value.Public, pub[:]); err != nil {
			return o, err
		}
		o.Keys = append(o.Keys, trust.OfficerKey{ID: id, Public: pub[:]})
	}
	return o, nil
}
