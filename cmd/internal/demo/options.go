// Package demo shows Kasi at work. It plays everybody around the product (an insurer, 1,000 customers, their payrolls,
// the grant agency and the bank) and talks to it as outside parties do, over Kafka and HTTP only; nothing here knows
// what the engine will decide. Month is November 2025 with simulated customers, Real a replay of real bank
// transactions. The bank keeps its own book, and both runs end by comparing it with what the product says, to the
// cent.
package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"cloud.google.com/go/civil"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/feed"
	"github.com/kasi-collections/kasi/streams/records"
)

// Advancer moves Kasi's manual calendar through every cut-off up to and including the day, and returns when the debits
// that they caused can be read from Kafka. It need not wait for ClickHouse: where a figure is read from there, the
// demonstration waits by itself, and a sink that may fall a few days behind takes over more at a time.
type Advancer interface {
	Advance(ctx context.Context, to civil.Date) error
}

// Product says where a running Kasi is and how it is spoken to.
type Product struct {
	// BaseURL of the REST API without /v1, such as http://127.0.0.1:8080, and the tenant's key.
	BaseURL, APIKey string
	// Tenant that the key belongs to; empty means demo.
	Tenant  string
	Brokers []string
	KgoOpts []kgo.Opt // TLS, SASL
	// ClickHouseURL is ClickHouse's HTTP address, such as http://127.0.0.1:8123.
	ClickHouseURL, AnalystPassword string
	Advancer                       Advancer
	// Patience bounds how long a call is repeated that found nobody, was cut off or was answered with 503: an operator's,
	// whose product is being restarted. 0 means not at all.
	Patience time.Duration
	// Out gets the result, Progress what is shown on the way; nil means Out. Terminal tells that Progress is a terminal,
	// for bars instead of lines.
	Out, Progress io.Writer
	Terminal      bool
}

// withDefaults fills what may be left out, and refuses what may not.
func (p Product) withDefaults() (Product, error) {
	p.Tenant = cmp.Or(p.Tenant, "demo")
	if p.Progress == nil {
		p.Progress = p.Out
	}
	var missing []error
	for _, need := range []struct {
		name   string
		absent bool
	}{
		{"BaseURL", p.BaseURL == ""}, {"Brokers", len(p.Brokers) == 0}, {"ClickHouseURL", p.ClickHouseURL == ""},
		{"Advancer", p.Advancer == nil}, {"Out", p.Out == nil},
	} {
		if need.absent {
			missing = append(missing, fmt.Errorf("demo: %s is not set", need.name))
		}
	}
	return p, errors.Join(missing...)
}

// source is the product's Kafka.
func (p Product) source() records.Source { return records.Source{Brokers: p.Brokers, Opts: p.KgoOpts} }

// parties are those who speak to the product: the insurer over HTTP, the feeds and the bank over Kafka.
type parties struct {
	insurer *insurer
	push    *feed.Producer
	debits  *tail
}

// parties opens them, and refuses data that holds collections of the period already.
func (p Product) parties(ctx context.Context, period schemas.Period) (s parties, err error) {
	s.insurer = newInsurer(p.BaseURL, p.APIKey, p.Patience)
	before, err := s.insurer.report(ctx, period)
	if err != nil {
		return s, err
	}
	if len(before) > 0 {
		return s, fmt.Errorf("demo: %s holds %d collections already: the month is played on an empty data directory", period,
			len(before))
	}
	if s.debits, err = newTail(ctx, p.source(), schemas.TopicDebits, true); err != nil {
		return s, err
	}
	s.push, err = feed.NewProducer(p.Brokers, p.KgoOpts...)
	return s, err
}

func (s parties) close() {
	if s.debits != nil {
		s.debits.cl.Close()
	}
	if s.push != nil {
		s.push.Close()
	}
}

// minPolicies is how many policies a month takes at least: some are changed and cancelled on the way.
const minPolicies = 40

// Options of the November run.
type Options struct {
	Product
	// Policies is the number of rows of policies.csv, 40 or more; 0 means 1,000. Some customers hold two.
	Policies int
	// Seed decides everything that is left to chance; 0 means 1. The same seed gives the same month.
	Seed uint64
	Rough
	// Dir gets policies.csv, report.csv and settlement.csv; empty means no files.
	Dir string
}

func (o Options) withDefaults() (Options, error) {
	var err error
	if o.Product, err = o.Product.withDefaults(); err != nil {
		return o, err
	}
	o.Policies, o.Seed = cmp.Or(o.Policies, 1000), cmp.Or(o.Seed, 1)
	if o.Policies < minPolicies {
		return o, fmt.Errorf("demo: %d policies: a month takes at least %d", o.Policies, minPolicies)
	}
	return o, nil
}
