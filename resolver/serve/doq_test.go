package serve

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/cordon-project/cordon/resolver/wire"
)

func TestDoQErrorsHaveTheirCodes(t *testing.T) {
	h := &fakeHandler{}
	s := startSecured(t, Config{Handler: h, MaxQuery: 100, Idle: time.Second})
	keepalive := "\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x01" + "\x00\x00\x01\x00\x01" + "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x04\x00\x0b\x00\x00"
	for name, tt := range map[string]struct {
		message string
		want    quic.ApplicationErrorCode
	}{
		"an id":             {framed("i" + question('f')[1:]), doqProtocolError},
		"half a question":   {framed(question('f'))[:10], doqProtocolError},
		"two questions":     {framed(question('f')) + framed(question('f')), doqProtocolError},
		"nothing":           {"", doqProtocolError},
		"no query":          {framed(question('n')), doqProtocolError},
		"a TCP keepalive":   {framed(keepalive), doqProtocolError},
		"too long question": {framed("\x00\x00f" + strings.Repeat("q", 99)), doqExcessiveLoad},
	} {
		c := s.dialQUIC(t)
		got, err := doq(c, tt.message)
		var closed *quic.ApplicationError
		var reset *quic.StreamError
		switch {
		case errors.As(err, &closed) && closed.ErrorCode == tt.want && tt.want == doqProtocolError:
		case errors.As(err, &reset) && quic.ApplicationErrorCode(reset.ErrorCode) == tt.want && tt.want == doqExcessiveLoad:
		default:
			t.Errorf("%s: got %q, %v, want code %d", name, got, err, tt.want)
		}
	}
	// A client that does not finish a question loses that stream, and others go on.
	c := s.dialQUIC(t)
	str, err := c.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(str, framed(question('f'))); err != nil { // no FIN
		t.Fatal(err)
	}
	_, err = io.ReadAll(str)
	var reset *quic.StreamError
	if !errors.As(err, &reset) || reset.ErrorCode != doqExcessiveLoad {
		t.Errorf("an unfinished question: %v", err)
	}
	if got, err := doq(c, framed(question('f'))); err != nil || got != framed(answered('F')) {
		t.Errorf("after it: %q, %v", got, err)
	}
	if _, err := c.OpenUniStream(); err == nil {
		t.Error("a client may open unidirectional streams")
	}
}

func TestZeroRTTIsRefused(t *testing.T) {
	s := startSecured(t, Config{Handler: &fakeHandler{}})
	conf := s.client("doq")
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for i, resumed := range []bool{false, true, false} {
		if i == 2 { // as eight hours later
			s.secure.nextTickets()
			s.secure.nextTickets()
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		c, err := quic.DialAddrEarly(ctx, s.QUICAddrs()[0].String(), conf, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := doq(c, framed(question('f'))); err != nil || got != framed(answered('F')) {
			t.Errorf("%q, %v", got, err)
		}
		if state := c.ConnectionState(); state.Used0RTT || state.TLS.DidResume != resumed {
			t.Errorf("connection %d: 0-RTT is %v, resumed is %v, want %v", i, state.Used0RTT, state.TLS.DidResume, resumed)
		}
		_ = c.CloseWithError(0, "")
		cancel()
	}
}

// FuzzDoQStream: a stream is one question of the length it says, with id 0, or it has a code.
func FuzzDoQStream(f *testing.F) {
	f.Add([]byte(framed(question('f'))))
	f.Add([]byte(framed(question('f')) + "x"))
	f.Add([]byte{0, 200, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		query, code := readDoQ(bytes.NewReader(b), 100)
		if (code == doqNoError) != (len(query) >= wire.HeaderLen) {
			t.Errorf("code %d and a question of %d bytes", code, len(query))
		}
		if code == doqNoError && (framed(string(query)) != string(b) || query[0]|query[1] != 0 || len(query) > 100) {
			t.Errorf("%x was read as %x", b, query)
		}
	})
}
