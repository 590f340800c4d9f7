// Package demo shows Kasi at work. It plays everybody around the product (an insurer, 1,000 customers, their payrolls,
// the grant agency and the bank) and talks to it as outside parties do, over Kafka and HTTP only; nothing here knows
// what the engine will decide. Month is November 2025 with simulated customers, Real a replay of real bank
// transactions. The bank keeps its own ledger, and both runs end by comparing it with what the product says, to the
// cent.
package demo
