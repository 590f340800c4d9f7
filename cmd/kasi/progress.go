package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// isTerminal tells whether w is one, so that bars and colours stay out of pipes and files.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
