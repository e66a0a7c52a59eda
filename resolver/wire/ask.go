package wire

// Ask is one question on its way through a worker.
type Ask struct {
	Query []byte // a whole message, only read
	From  Client
	Resp  []byte // behind it the answer is appended; unchanged with Done: nothing is to be sent
	Done  bool   // false: it must wait for an upstream
}
