package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/sinks/clickhouse/chtest"
	"github.com/kasi-collections/kasi/streams/kafkatest"
)

// asKasi makes the test binary behave as the kasi binary, so that the scenarios meet the product as a process of its
// own, from outside.
const asKasi = "KASI_TEST_AS_KASI"

func TestMain(m *testing.M) { os.Exit(chtest.Main(m, runIfKasi)) }

func runIfKasi() {
	if os.Getenv(asKasi) == "1" {
		main()
		os.Exit(0)
	}
}

// product is a running `kasi up`, met only through HTTP, Kafka, the command line and ClickHouse's ports.
type product struct {
	t                               testing.TB
	http, kafka, clickhouse, native string
	engine                          []string // the flags that name its Kafka and its ClickHouse
	// where the analyst reads, and the password; empty: those of `command`'s environment
	database, analyst string
	env               []string // more environment of its processes
	client            *kgo.Client
	process           *exec.Cmd
	cluster           *kafkatest.Cluster // its Kafka, where that is brokers on this machine
	input             io.Reader          // standard input of the commands of shell
	results           int
}

const (
	testKey  = "key1"
	otherKey = "key2"
)

// command is the kasi command line in a process of its own.
func command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asKasi+"=1", "KASI_API_KEYS=demo="+testKey+",other="+otherKey,
		"KASI_CLICKHOUSE_PASSWORD=test-kasi", "KASI_ANALYST_PASSWORD=test-analyst")
	return cmd
}

// command is the command line with what this product's environment adds.
func (p *product) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := command(ctx, args...)
	cmd.Env = append(cmd.Env, p.env...)
	return cmd
}

// start runs `kasi up` with a manual calendar on free ports and waits for its ready line. Its Kafka and its ClickHouse
// are what the environment asks for; on a Kafka other than the embedded one, tests take turns.
func start(t testing.TB, date string) *product {
	t.Helper()
	p := embeddedProduct(t)
	if k := kafkatest.External(t); k != nil {
		p.kafka, p.cluster = k.Brokers[0], k.Cluster
		p.engine = append(p.engine, "--kafka-brokers", strings.Join(k.Brokers, ","), "--replication",
			strconv.Itoa(int(k.Replication)), "--partitions", "4")
	}
	if h := chtest.External(t); h != nil {
		p.clickhouse, p.native, p.database, p.analyst = h.HTTPAddr, h.NativeAddr, h.Database(t), h.AnalystPassword
		p.engine = append(p.engine, "--clickhouse-addr", p.native, "--clickhouse-database", p.database)
		p.env = []string{"KASI_CLICKHOUSE_PASSWORD=" + h.KasiPassword, "KASI_ANALYST_PASSWORD=" + h.AnalystPassword}
	}
	p.up(t.TempDir(), date)
	return p
}

// startEmbedded is start on the embedded engines, whatever the environment asks for.
func startEmbedded(t testing.TB, date string) *product {
	t.Helper()
	p := embeddedProduct(t)
	p.up(t.TempDir(), date)
	return p
}

func embeddedProduct(t testing.TB) *product {
	t.Helper()
	p := &product{t: t, http: freePort(t), kafka: freePort(t), clickhouse: freePort(t), native: freePort(t)}
	p.engine = []string{"--kafka", p.kafka, "--clickhouse-http", p.clickhouse, "--clickhouse-native", p.native}
	return p
}

func (p *product) up(dir, date string) {
	t := p.t
	t.Helper()
	p.process = p.command(context.Background(), append([]string{
		"up", "--calendar", "manual", "--date", date, "--data-dir", dir, "--http", p.http,
		"--log-level", "warn", "--updates-per-minute", "0", "--queries-per-minute", "0",
	}, p.engine...)...)
	out, err := p.process.StdoutPipe()
	require.NoError(t, err)
	log, err := os.Create(filepath.Join(dir, "up.log"))
	require.NoError(t, err)
	p.process.Stderr = log
	require.NoError(t, p.process.Start())
	t.Cleanup(func() {
		p.down()
		if b, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("log of kasi up:\n%s", b)
		}
	})
	ready := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		ready <- line
	}()
	select {
	case line := <-ready:
		if !strings.HasPrefix(line, "kasi is ready") {
			b, _ := os.ReadFile(log.Name())
			require.FailNow(t, "kasi up did not get ready", "%s\n%s", line, b)
		}
	case <-time.After(60 * time.Second):
		require.FailNow(t, "kasi up said nothing for a minute")
	}
	p.client, err = kgo.NewClient(kgo.SeedBrokers(p.kafka))
	require.NoError(t, err)
}

// down stops the product as Ctrl-C does and waits for its end.
func (p *product) down() {
	if p.process == nil {
		return
	}
	if p.client != nil {
		p.client.Close()
	}
	_ = p.process.Process.Signal(syscall.SIGINT)
	done := make(chan struct{})
	go func() { _ = p.process.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		_ = p.process.Process.Kill()
		p.t.Error("kasi up did not stop within 10 s of Ctrl-C")
	}
	p.process = nil
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// advance runs `kasi calendar advance --to date`.
func (p *product) advance(date string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := p.command(ctx, "calendar", "advance", "--to", date, "--kafka-brokers", p.kafka).CombinedOutput()
	require.NoError(p.t, err, string(out))
}

// send produces one JSON record as an outside party would, with the client's own partitioner and key.
func (p *product) send(topic, key string, record map[string]any) {
	p.t.Helper()
	b, err := json.Marshal(record)
	require.NoError(p.t, err)
	require.NoError(p.t, p.client.ProduceSync(context.Background(), &kgo.Record{
		Topic: topic, Key: []byte(key),
		Value: b,
	}).FirstErr())
}

// credit feeds one deposit, booked at nine in the morning in Johannesburg.
func (p *product) credit(customer, date string, cents int, description string) {
	p.t.Helper()
	p.send("kasi.feed.transactions.v1", customer, map[string]any{
		"transaction_id": customer + "-" + date + "-" + description, "tenant_id": "demo", "customer_id": customer,
		"booked_at":    date + "T09:00:00+02:00",
		"amount_cents": cents, "direction": "CREDIT", "description": description,
	})
}

// debit is what the tests read of kasi.debits.v1.
type debit struct {
	DebitID      string `json:"debit_id"`
	PolicyNumber string `json:"policy_number"`
	CustomerID   string `json:"customer_id"`
	AmountCents  int    `json:"amount_cents"`
	ActionDate   string `json:"action_date"`
	Attempt      int    `json:"attempt"`
	PeriodMonth  string `json:"period_month"`
	Currency     string `json:"currency"`
	Rail         string `json:"rail"`
}

// debits reads kasi.debits.v1 from the beginning to its end, in order of action date and attempt.
func (p *product) debits() []debit {
	p.t.Helper()
	var out []debit
	for _, r := range p.read("kasi.debits.v1") {
		var d debit
		require.NoError(p.t, json.Unmarshal(r.Value, &d))
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b debit) int {
		return strings.Compare(a.ActionDate+a.PolicyNumber, b.ActionDate+b.PolicyNumber)
	})
	return out
}

// read returns every committed record of a topic.
func (p *product) read(topic string) []*kgo.Record {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ends, err := kadm.NewClient(p.client).ListCommittedOffsets(ctx, topic)
	require.NoError(p.t, err)
	cl, err := kgo.NewClient(kgo.SeedBrokers(p.kafka), kgo.ConsumeTopics(topic),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	require.NoError(p.t, err)
	defer cl.Close()
	at := map[int32]int64{}
	var out []*kgo.Record
	for behind(ends[topic], at) {
		f := cl.PollFetches(ctx)
		require.NoError(p.t, f.Err())
		f.EachRecord(func(r *kgo.Record) {
			at[r.Partition] = r.Offset + 1
			if !r.Attrs.IsControl() {
				out = append(out, r)
			}
		})
	}
	return out
}

func behind(ends map[int32]kadm.ListedOffset, at map[int32]int64) bool {
	for part, end := range ends {
		if at[part] < end.Offset {
			return true
		}
	}
	return false
}

// answer sends the bank's result of a debit, effective on its action date.
func (p *product) answer(d debit, status, code string) {
	p.t.Helper()
	p.results++
	r := map[string]any{
		"result_id": fmt.Sprintf("R%d", p.results), "debit_id": d.DebitID, "status": status,
		"effective_date": d.ActionDate,
	}
	if code != "" {
		r["reason_code"], r["reason_scheme"] = code, "ZA"
	}
	p.send("kasi.rail.results.v1", "", r)
}

// call makes one HTTP request with the key of tenant demo and returns status and body.
func (p *product) call(method, path, contentType, body string) (int, string) {
	p.t.Helper()
	return p.callAs(testKey, method, path, contentType, body)
}

func (p *product) callAs(key, method, path, contentType, body string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequest(method, "http://"+p.http+path, strings.NewReader(body))
	require.NoError(p.t, err)
	req.Header.Set("X-API-Key", key)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(p.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(p.t, err)
	return res.StatusCode, string(b)
}

// importCSV posts a policy file and returns the answer.
func (p *product) importCSV(csv string) (int, string) {
	p.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("file", "policies.csv")
	require.NoError(p.t, err)
	_, err = io.WriteString(part, csv)
	require.NoError(p.t, err)
	require.NoError(p.t, w.Close())
	return p.call("POST", "/v1/policies/import", w.FormDataContentType(), b.String())
}

// policy imports one policy of customer "C"+number.
func (p *product) policy(number, premium string) {
	p.t.Helper()
	code, body := p.importCSV("customer_id,external_customer_ref,policy_number,product_code,collection_amount\nC" +
		number + ",EXT-" + number + "," + number + ",FUNERAL_01," + premium + "\n")
	require.Equal(p.t, 200, code, body)
	require.True(p.t, strings.HasPrefix(body, `{"imported":1,"failed":0,"errors":[],"import_id":"`), body)
}

// execute starts a period and expects so many policies to be queued.
func (p *product) execute(period string, queued int) {
	p.t.Helper()
	code, body := p.call("POST", "/v1/collections/execute", "application/json", `{"period_month":"`+period+`"}`)
	require.Equal(p.t, 202, code, body)
	var got struct {
		ExecutionID string `json:"execution_id"`
		Status      string `json:"status"`
		Queued      int    `json:"policies_queued"`
	}
	require.NoError(p.t, json.Unmarshal([]byte(body), &got))
	require.Equal(p.t, "processing", got.Status)
	require.Equal(p.t, queued, got.Queued)
	require.NotEmpty(p.t, got.ExecutionID)
}

// report is the CSV report of a period without its header, one string a row.
func (p *product) report(period string) []string {
	p.t.Helper()
	code, body := p.call("GET", "/v1/reports/collections?period_month="+period, "", "")
	require.Equal(p.t, 200, code, body)
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(body, "\r\n", "\n"), "\n"), "\n")
	require.Equal(p.t, "period_month,customer_id,external_customer_ref,policy_number,product_code,"+
		"collection_amount_due,collection_amount_collected,shortfall,"+
		"collection_status,first_attempt_date,last_attempt_date,number_of_attempts,last_failure_reason", lines[0])
	return lines[1:]
}
