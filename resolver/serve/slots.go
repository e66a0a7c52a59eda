package serve

import (
	"context"

	"github.com/cordon-project/cordon/resolver/wire"
)

// slow asks the Handler when there is room for one more question that waits for an upstream; answer is called once if so.
func (s *Server) slow(asking context.Context, query []byte, from wire.Client, answer func(resp []byte)) bool {
	if !s.takeSlot() {
		return false
	}
	s.config.Handler.Slow(asking, query, from, func(resp []byte) {
		defer s.giveSlot()
		answer(resp)
	})
	return true
}

// takeSlot takes one of Config.Slots, which giveSlot gives back.
func (s *Server) takeSlot() bool {
	if s.taken.Add(1) > int64(s.config.Slots) {
		s.taken.Add(-1)
		s.counts.busy.Add(1)
		return false
	}
	s.work.Add(1)
	return true
}

func (s *Server) giveSlot() {
	s.taken.Add(-1)
	s.work.Done()
}
