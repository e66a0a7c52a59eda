package publish

import (
	"errors"
	"fmt"
)

// Code is the exit code of the command that met a fault. The numbers never change.
type Code int

// The exit codes of cordon-hotline.
const (
	CodeOK      Code = 0
	CodeFailure Code = 1 // the machine said no: disk, permission, a second command
	CodeUsage   Code = 2 // a flag or an argument is wrong
	CodeInput   Code = 3 // a file that came in, or the directory, is not what it should be
	CodeHeld    Code = 4 // a brake holds: a check, or a signature that is still missing
	CodeVerify  Code = 5 // a signature, hash or version does not verify
)

// Sentinels for choices a caller makes, tested with errors.Is.
var (
	// ErrHeld: a brake holds the list. CheckReport says which.
	ErrHeld = errors.New("held by a brake")
	// ErrUnsigned: fewer officers have signed than the threshold asks for.
	ErrUnsigned = errors.New("signatures missing")
	// ErrNothingToSign: the entries are what is published already, and that is still fresh.
	ErrNothingToSign = errors.New("nothing to sign")
	// ErrNotAccredited: no authority has accredited this hotline yet.
	ErrNotAccredited = errors.New("not accredited")
	// ErrLocked: another command works in the directory.
	ErrLocked = errors.New("directory in use")
	// ErrRows: an import has bad rows; the *RowErrors in the chain lists them.
	ErrRows = errors.New("bad rows")
	// ErrToken: a PKCS#11 token, or its helper, has not signed.
	ErrToken = errors.New("token")
	// ErrForeign: the directory exists and is not (or already is) what the command was to make of it.
	ErrForeign = errors.New("foreign directory")
)

// Fault is an error for a person: what happened and where, and what to do about it.
type Fault struct {
	Code Code
	What string // one sentence, lower case, names the file or thing
	Do   string // what to do, an imperative; empty when there is nothing to do
	Err  error  // the cause or a sentinel, for errors.Is; not printed when What says it
}

func (f *Fault) Error() string {
	if f.Do == "" {
		return f.What
	}
	return f.What + "; " + f.Do
}

// Unwrap gives the cause or sentinel.
func (f *Fault) Unwrap() error { return f.Err }

// ExitCode is the exit code that err stands for: 0 for nil, that of the *Fault in its chain, else 1.
func ExitCode(err error) int {
	if err == nil {
		return int(CodeOK)
	}
	if f, ok := errors.AsType[*Fault](err); ok {
		return int(f.Code)
	}
	return int(CodeFailure)
}

// fault makes a Fault whose sentence ends in the cause.
func fault(code Code, err error, do, format string, a ...any) error {
	what := fmt.Sprintf(format, a...)
	if err != nil {
		what += ": " + err.Error()
	}
	return &Fault{Code: code, What: what, Do: do, Err: err}
}

// sentence makes a Fault whose sentence stands alone; is is a sentinel and not printed.
func sentence(code Code, is error, do, format string, a ...any) error {
	return &Fault{Code: code, What: fmt.Sprintf(format, a...), Do: do, Err: is}
}
