package main

import (
	"context"
	"net"
	"net/http"
	"testing"
)

// Strangers who connect and say nothing get so far and no further.
func TestTheServiceOfPrivateLookupsHasRoomForSoManyConnections(t *testing.T) {
	ln, err := listen("127.0.0.1:0", "", "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, ln, http.NotFoundHandler()) }()
	var all []net.Conn
	for range maxAnswerConns + 1 {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	last := all[maxAnswerConns]
	_, _ = last.Write([]byte("GET / HTTP/1.1\r\nHost: x.test\r\n\r\n")) // may be closed already
	if n, err := last.Read(make([]byte, 1)); err == nil {
		t.Errorf("one connection more than %d: %d bytes came, want it closed", maxAnswerConns, n)
	}
	for _, c := range all {
		c.Close()
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
