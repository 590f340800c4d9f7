// Package feed reads files of real bank transactions and pushes them to Kafka the way any outside bank feed would: with
// an ordinary client, as the JSON of CONTRACT 8, in date order, with the manual calendar following day by day.
package feed
