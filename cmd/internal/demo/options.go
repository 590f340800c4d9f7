// Package demo shows Kasi at work. It plays everybody around the product (an insurer, 1,000 customers, their payrolls,
// the grant agency and the bank) and talks to it as outside parties do, over Kafka and HTTP only; nothing here knows
// what the engine will decide. Month is November 2025 with simulated customers, Real a replay of real bank
// transactions. The bank keeps its own book, and both runs end by comparing it with what the product says, to the
// cent.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"cloud.google.com/go/civil"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors/rules"
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
	// ClickHouseURL is ClickHouse's HTTP address, such as http://127.0.0.1:8123, asked as AnalystUser (empty means
	// analyst).
	ClickHouseURL, AnalystUser, AnalystPassword string
	Advancer                                    Advancer
	// Patience bounds how long a call is repeated that found nobody, was cut off or was answered with 503: an operator's,
	// whose product is being restarted. 0 means not at all.
	Patience time.Duration
	// Calendar knows the banking days; nil means the one built in.
	Calendar *rules.Calendar
	// Out gets the result, Progress what is shown on the way; nil means Out. Terminal tells that Progress is a terminal,
	// for bars instead of lines.
	Out, Progress io.Writer
	Terminal      bool
}

// withDefaults fills what may be left out, and refuses what may not.
func (p Product) withDefaults() (Product, error) {
	if p.Tenant == "" {
		p.Tenant = "demo"
	}
	if p.AnalystUser == "" {
		p.AnalystUser = "analyst"
	}
	if p.Calendar == nil {
		p.Calendar = rules.Default().Calendar
	}
	if p.Progress == nil {
		p.Progress = p.Out
	}
	var missing []error
	for _, need := range []struct {
		name   string
		absent bool
	}{
		{"BaseURL", p.BaseURL == ""},
		{"Brokers", len(p.Brokers) == 0},
		{"ClickHouseURL", p.ClickHouseURL == ""},
		{"Advancer", p.Advancer == nil},
		{"Out", p.Out == nil},
	} {
		if need.absent {
			missing = append(missing, fmt.Errorf("demo: %s is not set", need.name))
		}
	}
	return p, errors.Join(missing...)
}

func (p Product) analyst() *analyst {
	return &analyst{
		url: p.ClickHouseURL, user: p.AnalystUser, password: p.AnalystPassword, patience: p.Patience,
		http: &http.Client{Timeout: time.Minute},
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
	// From is the first business day (the calendar stands there, opened), To the last; zero values mean 2025-11-01 and
	// 2025-12-03.
	From, To civil.Date
	Rough
	// Dir gets policies.csv, report.csv and settlement.csv; empty means no files.
	Dir string
}

func (o Options) withDefaults() (Options, error) {
	var err error
	if o.Product, err = o.Product.withDefaults(); err != nil {
		return o, err
	}
	if o.Policies == 0 {
		o.Policies = 1000
	}
	if o.Policies < minPolicies {
		return o, fmt.Errorf("demo: %d policies: a month takes at least %d", o.Policies, minPolicies)
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if !o.From.IsValid() {
		o.From = civil.Date{Year: 2025, Month: time.November, Day: 1}
	}
	if !o.To.IsValid() {
		o.To = o.From.AddMonths(1).AddDays(2)
	}
	if o.From.Day != 1 || o.To.Before(o.From.AddMonths(1).AddDays(2)) {
		return o, fmt.Errorf("demo: from %s to %s: the month starts on a 1st and ends on the 3rd of the next month or later",
			o.From, o.To)
	}
	return o, nil
}
