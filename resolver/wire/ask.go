package wire

// Ask is one question on its way through a worker.
type Ask struct {
	Query []byte // a whole message, only read
	From  Client
	Resp  []byte // behind it the answer is appended; unchanged with Done: nothing is to be sent
	Done  bool   // false: it must wait for an upstream
	Later Later  // who takes the answer then
}

// Later takes an answer that was waited for.
type Later interface {
	// Answer is called once, from any goroutine; nil: nothing is to be sent. resp may be read until it returns.
	Answer(resp []byte)
	// Flush is called once behind Answer, when all answers that came together were given: it sends what Answer has put off.
	Flush()
}
