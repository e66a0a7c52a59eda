package trust_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

func TestTwoCountsOfOneLegalBasisAreNotSigned(t *testing.T) {
	l := trusttest.Files(mainID, 1).Target
	l.Bases = append(l.Bases, l.Bases[0])
	if b, err := trust.NewList(trust.ListSpec{Hotline: "north", Version: 1, Expires: now.Add(time.Hour), Lists: []trust.ListTarget{l}}); !errors.Is(err, trust.ErrFormat) {
		t.Errorf("got %d bytes, %v; want %v", len(b), err, trust.ErrFormat)
	}
}
