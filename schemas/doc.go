// Package schemas is what travels and what is stored: event types, money, ids, periods and the topic table. It does no
// I/O and reads no clock, and every other package imports it. SPEC section 8 is the source of the field names.
package schemas
