// Package sim holds no code of the product: its tests run the real stages on a broker in memory, on virtual time and a
// virtual network, while a seed decides what happens and what fails, and judge what comes out by an oracle that knows
// nothing but records. See DESIGN.md.
package sim
