package upstream

import "testing"

// TestAnIDIsGivenBackByWhoHasIt: one whose reply has come gives back nothing of who got the same id since.
func TestAnIDIsGivenBackByWhoHasIt(t *testing.T) {
	s := &stream{pending: make(map[uint16]chan []byte)}
	first, second := make(chan []byte, 1), make(chan []byte, 1)
	id, err := s.enter(first)
	if err != nil {
		t.Fatal(err)
	}
	delete(s.pending, id) // as read does with the reply
	s.pending[id] = second
	if s.leave(id, first); s.pending[id] != second {
		t.Error("the second question's reply would find nobody")
	}
	if s.leave(id, second); len(s.pending) != 0 {
		t.Error("the id is still taken")
	}
}
