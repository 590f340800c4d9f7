package storm

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/civil"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/feed"
	"github.com/kasi-collections/kasi/streams/retry"
)

// PatientOpts let the driver's own clients outlast a broker that is started again.
var PatientOpts = []kgo.Opt{
	kgo.RequestRetries(1000), kgo.RetryTimeout(patience),
	kgo.MetadataMinAge(250 * time.Millisecond),
	kgo.RetryBackoffFn(func(int) time.Duration { return 250 * time.Millisecond }),
}

// Advancer moves the calendar with the command line, and again where that fails or is killed.
type Advancer struct {
	Kasi    func(args ...string) *exec.Cmd
	Brokers []string
	// Running, where set, hears of the process that moves the calendar, and of nil when it has ended; Repeated of each
	// time that it is started again.
	Running  func(*os.Process)
	Repeated func()
}

// Advance implements demo.Advancer.
func (a *Advancer) Advance(ctx context.Context, to civil.Date) error {
	for began := time.Now(); ; {
		cmd := a.Kasi("calendar", "advance", "--to", to.String(), "--kafka-brokers", strings.Join(a.Brokers, ","))
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			return err
		}
		if a.Running != nil {
			a.Running(cmd.Process)
		}
		stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		stop()
		if a.Running != nil {
			a.Running(nil)
		}
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(began) > patience {
			return fmt.Errorf("kasi calendar advance --to %s: %w\n%s", to, err, out.String())
		}
		if a.Repeated != nil {
			a.Repeated()
		}
		if err := retry.Pause(ctx, again); err != nil {
			return err
		}
	}
}

// Fed is what the feeds had acknowledged, by customer and id.
type Fed struct {
	mu  sync.Mutex
	ids map[[2]string]struct{}
}

// NewFed has heard of nothing yet.
func NewFed() *Fed { return &Fed{ids: map[[2]string]struct{}{}} }

// Add hears of transactions that Kafka has acknowledged.
func (f *Fed) Add(txs []schemas.Transaction) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, tx := range txs {
		f.ids[[2]string{tx.CustomerID, tx.TransactionID}] = struct{}{}
	}
}

// Len is how many there are.
func (f *Fed) Len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.ids)
}

func (f *Fed) rows() [][]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	rows := make([][]string, 1, len(f.ids)+1)
	rows[0] = []string{"tenant_id", "customer_id", "transaction_id"}
	for id := range f.ids {
		rows = append(rows, []string{tenant, id[0], id[1]})
	}
	return rows
}

// heartbeat feeds some transactions of customers without a policy all the time, so that every partition always has
// something to do and a stage that does nothing is one that is not back.
type heartbeat struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

const (
	heartbeatEvery     = 500 * time.Millisecond
	heartbeatCustomers = 16
)

func startHeartbeat(brokers []string, acknowledged *Fed) (*heartbeat, error) {
	push, err := feed.NewProducer(brokers, PatientOpts...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	b := &heartbeat{cancel: cancel}
	b.done.Go(func() {
		defer push.Close()
		at := time.Date(2025, time.November, 1, 8, 0, 0, 0, schemas.Johannesburg)
		for n := 0; retry.Pause(ctx, heartbeatEvery) == nil; n++ {
			var txs []schemas.Transaction
			for c := range heartbeatCustomers {
				txs = append(txs, schemas.Transaction{
					TransactionID: "BEAT-" + strconv.Itoa(n), TenantID: tenant, CustomerID: "BEAT" + strconv.Itoa(c),
					BookedAt:    at.Add(time.Duration(n) * time.Second),
					AmountCents: schemas.Cents(100 + n), Direction: schemas.Debit, Currency: "ZAR", Description: "PREPAID AIRTIME",
				})
			}
			// Not cancelled: what is sent is waited for, so that it counts as acknowledged.
			if push.Transactions(context.Background(), txs...) == nil && push.Flush(context.Background()) == nil {
				acknowledged.Add(txs)
			}
		}
	})
	return b, nil
}

func (b *heartbeat) stop() { b.cancel(); b.done.Wait() }

// Answers tells whether a GET is answered with 200 within three seconds.
func Answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// WaitFor looks again and again until it is so.
func WaitFor(ctx context.Context, what string, so func() bool) error {
	for began := time.Now(); !so(); {
		if err := retry.Pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
		if time.Since(began) > patience {
			return fmt.Errorf("waited %s for %s", patience, what)
		}
	}
	return nil
}
