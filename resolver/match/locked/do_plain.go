//go:build !goexperiment.runtimesecret

package locked

// Erases says whether Do erases, which is a matter of how the program was built.
const Erases = false

// Do calls f and erases what it leaves behind in registers and on the stack, and the heap memory it took, as soon as the garbage collector finds
// that nobody uses it any more. In a program built without GOEXPERIMENT=runtimesecret it calls f. Not for hot code.
func Do(f func()) { f() }

// Erase finds what Do left on the heap and erases it now. It costs a garbage collection: for after keys were read, not for every use of one.
func Erase() {}

// EraseSoon is Erase within about a second, once for however many ask for it: for what may happen often.
func EraseSoon() {}
