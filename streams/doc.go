// Package streams is the Kafka runtime: it moves records between topics exactly once and keeps the state that package
// processors decides on. Read topology.go first; DESIGN.md in this folder says what is guaranteed.
package streams
