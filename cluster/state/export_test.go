package state

// SetRoom makes the log as small as a test can fill.
func (s *State) SetRoom(bytes int, leaves uint64) {
	s.room = room{bytes, leaves}
	s.publishView()
}

// Weight is what bounds the snapshot's length.
func (s *State) Weight() int { return s.weight() }

const MaxOpenings = maxOpenings
