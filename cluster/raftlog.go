package cluster

import (
	"context"
	"io"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// raftLogger carries Raft's own messages of level warn and above into log, one level lower each: Raft calls every broken connection an error
// and tries again; what a person must look at is in Status and is logged by the node itself.
func raftLogger(log *slog.Logger) hclog.Logger {
	l := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Level: hclog.Off, Output: io.Discard})
	l.RegisterSink(raftSink{log})
	return l
}

type raftSink struct{ log *slog.Logger }

// Accept is one message of Raft's, with arguments as key and value in turn.
func (s raftSink) Accept(name string, level hclog.Level, msg string, args ...any) {
	var to slog.Level
	switch level {
	case hclog.Warn:
		to = slog.LevelInfo
	case hclog.Error:
		to = slog.LevelWarn
	default:
		return
	}
	attrs := make([]any, 0, len(args)+1)
	attrs = append(attrs, slog.String("part", name))
	for i := 0; i+1 < len(args); i += 2 {
		key, ok := args[i].(string)
		if !ok {
			continue
		}
		attrs = append(attrs, slog.Any(key, plainArg(args[i+1])))
	}
	s.log.Log(context.Background(), to, "raft: "+msg, attrs...)
}

// plainArg resolves hclog's lazily formatted arguments.
func plainArg(v any) any {
	f, ok := v.(hclog.Format)
	if !ok || len(f) == 0 {
		return v
	}
	return f[0]
}
