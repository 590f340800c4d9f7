// Package embedded runs the real ClickHouse server out of libchdb: no installation, one directory, HTTP and native
// port.
//
// Guarantee: what ClickHouse has acknowledged is there after a crash or a kill -9 of the server process or of ours. A
// power cut may take the last rows, because there is no fsync by default.
//
// The server is a child process of our own binary, so a fault in it cannot take us with it. When it dies, it is started
// again on the same ports. When we die, it dies. DESIGN.md beside this file names the traps and says what happens on
// each failure.
package embedded
