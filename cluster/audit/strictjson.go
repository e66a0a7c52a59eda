package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

const maxJSONDepth = 8

// strictJSON decodes one JSON value into v and refuses what encoding/json forgives: duplicate keys,
// keys in another case, unknown keys, missing keys, null, bytes after the value, invalid UTF-8, depth.
func strictJSON(b []byte, limit int, what string, v any) error {
	if len(b) > limit {
		return fmt.Errorf("parse %s of %d bytes, at most %d: %w", what, len(b), limit, ErrTooLarge)
	}
	if !utf8.Valid(b) {
		return fmt.Errorf("parse %s: invalid UTF-8: %w", what, ErrFormat)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := walkJSON(dec, reflect.TypeOf(v).Elem(), 0); err != nil {
		return fmt.Errorf("parse %s: %w: %v", what, ErrFormat, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("parse %s: bytes after the end: %w", what, ErrFormat)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("parse %s: %w: %v", what, ErrFormat, err)
	}
	return nil
}

// walkJSON reads one value's tokens and holds objects to the exact keys of the struct they decode into.
func walkJSON(dec *json.Decoder, t reflect.Type, depth int) error {
	if depth > maxJSONDepth {
		return errors.New("nested too deep")
	}
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	switch tok {
	case nil:
		return errors.New("null")
	case json.Delim('['):
		elem := reflect.TypeOf("")
		if t.Kind() == reflect.Slice {
			elem = t.Elem()
		}
		for dec.More() {
			if err := walkJSON(dec, elem, depth+1); err != nil {
				return err
			}
		}
		_, err := dec.Token()
		return err
	case json.Delim('{'):
		return walkObject(dec, t, depth)
	}
	return nil
}

func walkObject(dec *json.Decoder, t reflect.Type, depth int) error {
	if t.Kind() != reflect.Struct {
		return errors.New("an object where none belongs")
	}
	want := make(map[string]reflect.Type)
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		want[name] = t.Field(i).Type
	}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return err
		}
		key, _ := tok.(string)
		ft, ok := want[key]
		if !ok {
			return fmt.Errorf("key %q is unknown or there twice", key)
		}
		delete(want, key)
		if err := walkJSON(dec, ft, depth+1); err != nil {
			return err
		}
	}
	for key := range want {
		return fmt.Errorf("key %q is missing", key)
	}
	_, err := dec.Token()
	return err
}
