package load

import (
	"bytes"
	"errors"
	"io"
	"net/http"
)

// posts is one client of DNS over HTTPS (RFC 8484): each question is a POST of its own, all over one connection.
type posts struct {
	client *http.Client
	url    string
}

func newPosts(client *http.Client, server string) *posts {
	return &posts{client, "https://" + server + "/dns-query"}
}

func (p *posts) Close() error {
	p.client.CloseIdleConnections()
	return nil
}

func (p *posts) ask(message []byte, done func([]byte)) error {
	go func() {
		if answer, err := p.post(message); err == nil {
			done(answer)
		}
	}()
	return nil
}

func (p *posts) post(message []byte) ([]byte, error) {
	r, err := p.client.Post(p.url, "application/dns-message", bytes.NewReader(message)) // the id stays 0 (RFC 8484 4.1)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(r.Body, 65536))
	switch {
	case err != nil:
		return nil, err
	case r.StatusCode != http.StatusOK || len(answer) < 12:
		return nil, errors.New("no answer: " + r.Status)
	}
	return answer, nil
}
