// Package schemas is what travels and what is stored: event types, money, ids, periods and the topic table. It does no
// I/O and reads no clock, and every other package imports it. The Go types of events are their catalogue: all else that
// has to know an event's fields is written from them (DESIGN.md).
package schemas

//go:generate go run ./catalog
