// Package e2e holds whole stories with the real binaries: a hotline's tool, three control processes, two edge processes, an auditor's
// tool, on loopback, with other people's clients asking. It has no code of its own beside its tests.
package e2e
