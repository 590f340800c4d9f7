package api

import (
	"bufio"
	"log/slog"
	"net/http"
)

// stream writes an answer that is too long to hold. Until its first 64 KiB are full nothing is sent, so an error up to
// then is an ordinary error answer. After that an error breaks the connection off: a client must never take half a
// report for a whole one.
type stream struct {
	buf  *bufio.Writer
	sent bool
}

type startedWriter struct {
	w http.ResponseWriter
	s *stream
}

func (w startedWriter) Write(p []byte) (int, error) {
	w.s.sent = true
	return w.w.Write(p)
}

func (s *server) stream(w http.ResponseWriter, r *http.Request, contentType, fileName string,
	write func(out *bufio.Writer) error,
) error {
	w.Header().Set("Content-Type", contentType)
	if fileName != "" {
		w.Header().Set("Content-Disposition", `attachment; filename="`+fileName+`"`)
	}
	out := &stream{}
	out.buf = bufio.NewWriterSize(startedWriter{w, out}, 64<<10)
	err := write(out.buf)
	if err == nil {
		err = out.buf.Flush()
	}
	if err == nil || !out.sent {
		return err
	}
	info := infoOf(r.Context())
	s.log.LogAttrs(r.Context(), slog.LevelError, "answer broken off", slog.String("request_id", info.requestID),
		slog.String("tenant", info.tenant), slog.Any("error", err))
	panic(http.ErrAbortHandler)
}
