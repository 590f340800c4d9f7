package app

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"cloud.google.com/go/civil"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/api"
	"github.com/kasi-collections/kasi/api/docs"
	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/explain"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/processors/settlement"
	"github.com/kasi-collections/kasi/schemas"
	chsink "github.com/kasi-collections/kasi/sinks/clickhouse"
	"github.com/kasi-collections/kasi/streams"
	"github.com/kasi-collections/kasi/streams/calendar"
	"github.com/kasi-collections/kasi/streams/commands"
	apikeys "github.com/kasi-collections/kasi/streams/keys"
	"github.com/kasi-collections/kasi/streams/letters"
	"github.com/kasi-collections/kasi/streams/once"
	"github.com/kasi-collections/kasi/streams/retry"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/tenants"
	"github.com/kasi-collections/kasi/streams/topics"
)

// Role is all that is known of one role of the product. Its stages, consumer groups and topics follow from its name
// (streams.Topology). Every role needs Kafka.
type Role struct {
	// Name is what `kasi run` takes, and what metrics and /readyz call the role. About says what it does, for help texts.
	Name, About string
	// ClickHouse tells that the role cannot work without ClickHouse. The others must not even notice that it is away.
	ClickHouse bool
	run        func(context.Context, job) error
}

// Roles are the processes that make up the product, in the order in which a stack starts them.
var Roles = []Role{
	{"ticker", "moves the business calendar", false, runTicker},
	{"intake", "checks what comes from outside and puts it on the timeline", false, runIntake},
	{"collect", "detects income and decides when to debit", false, runCollect},
	{"settle", "makes the statements", true, runSettle},
	{"sink", "takes the events to ClickHouse", true, runSink},
	{"webhooks", "tells tenants of events", false, runWebhooks},
	{"api", "serves the REST API", true, runAPI},
}

// RoleNames are the names of all roles, in their order.
func RoleNames() []string {
	names := make([]string, len(Roles))
	for i, r := range Roles {
		names[i] = r.Name
	}
	return names
}

// named are the rows of these roles.
func named(names []string) (rows []Role) {
	for _, r := range Roles {
		if slices.Contains(names, r.Name) {
			rows = append(rows, r)
		}
	}
	return rows
}

// job is what a role runs with. It calls ready when it serves.
type job struct {
	Env
	cfg   config.Config
	kafka stage.Config
	rules *rules.Rules
	log   *slog.Logger
	ready func()
}

// Run runs one role until ctx ends. ready is called when it serves.
func (e Env) Run(ctx context.Context, role string, cfg config.Config, log *slog.Logger, ready func()) error {
	rows := named([]string{role})
	if len(rows) == 0 {
		return fmt.Errorf("unknown role %q; the roles are %v", role, RoleNames())
	}
	rules, err := Rules(cfg)
	if err != nil {
		return err
	}
	serves := ready
	if e.Metrics != nil {
		serves = func() { e.Metrics.Ready(role); ready() }
	}
	return rows[0].run(ctx, job{e, cfg, e.Streams(cfg, role, log), rules, log, serves})
}

func runTicker(ctx context.Context, j job) (err error) {
	t := calendar.Ticker{Manual: j.cfg.Calendar == "manual"}
	if j.cfg.Date != "" {
		if t.Start, err = civil.ParseDate(j.cfg.Date); err != nil {
			return err
		}
	}
	if j.cfg.CatchUpTo != "" {
		if t.CatchUpTo, err = civil.ParseDate(j.cfg.CatchUpTo); err != nil {
			return err
		}
	}
	return calendar.RunTicker(ctx, j.kafka, j.rules, t, j.ready)
}

func runIntake(ctx context.Context, j job) error {
	go j.sendSettings(ctx)
	return streams.Run(ctx, j.kafka, "intake", streams.Needs{}, j.ready)
}

// settingsEvery is how often intake looks whether a tenant's settings have reached every partition.
const settingsEvery = 10 * time.Second

// sendSettings sends settings of tenants again that a command was killed over, until ctx ends.
func (j job) sendSettings(ctx context.Context) {
	r := tenants.Follow(ctx, j.kafka)
	for ctx.Err() == nil {
		cl, n, err := topics.Open(j.kafka)
		if err == nil {
			cl.Close()
			var healed []string
			if healed, err = r.Heal(ctx, n); len(healed) > 0 {
				j.log.Warn("settings of tenants had not reached every partition and were sent again", "tenants", healed)
			}
		}
		if err != nil && ctx.Err() == nil {
			j.log.Warn("settings of tenants: cannot see whether every partition has them; trying again", "err", err)
		}
		_ = retry.Pause(ctx, settingsEvery)
	}
}

func runCollect(ctx context.Context, j job) error {
	return streams.Run(ctx, j.deciding(), "collect", streams.Needs{Engine: engine(j.rules)}, j.ready)
}

func engine(r *rules.Rules) *processors.Engine { return processors.NewEngine(r) }

// RulesHash is the hash of the data by which the roles decide: all have one, so that there is one for an operator to
// accept.
func RulesHash(cfg config.Config) (string, error) {
	r, err := Rules(cfg)
	if err != nil {
		return "", err
	}
	return engine(r).Hash(), nil
}

// deciding is the configuration of a stage whose state depends on the rules.
func (j job) deciding() stage.Config {
	j.kafka.Rules, j.kafka.AcceptRules = engine(j.rules).Hash(), j.cfg.AcceptedRules()
	return j.kafka
}

func runSettle(ctx context.Context, j job) error {
	db, err := clickhouse.Open(j.ClickHouse)
	if err != nil {
		return err
	}
	defer db.Close()
	needs := streams.Needs{
		Rules: j.rules, Ledger: chsink.Ledger{Conn: db}, Payouts: settlement.Payouts(j.cfg.Payouts),
	}
	return streams.Run(ctx, j.deciding(), "settle", needs, j.ready)
}

func runSink(ctx context.Context, j job) error {
	cl, _, err := topics.Open(j.kafka)
	if err != nil {
		return err
	}
	defer cl.Close()
	sink := chsink.Config{
		Brokers: j.Brokers, ClickHouse: j.ClickHouse, Cluster: schemas.Cluster(j.cfg.Cluster), Log: j.log,
		KgoOpts: append(slices.Clone(j.KgoOpts), kgo.ClientID("kasi-sink-"+j.cfg.Instance)),
		SetAside: func(ctx context.Context, r *kgo.Record, ours bool, why string) error {
			return j.setAside(ctx, cl, "sink", r, ours, why)
		},
	}
	if j.Metrics != nil {
		sink.Observer = j.Metrics
	}
	return chsink.Run(ctx, sink, j.ready)
}

// setAside makes a dead letter of a record that a role cannot take in, and says so.
func (j job) setAside(ctx context.Context, cl *kgo.Client, role string, r *kgo.Record, ours bool, why string) error {
	refused := &schemas.Reject{Class: letters.ClassStray, Message: why}
	if ours {
		refused.Class = letters.ClassUnstorable
	}
	dead := letters.Of(r, role, schemas.TopicDeadLetters, refused)
	if err := cl.ProduceSync(ctx, dead).FirstErr(); err != nil {
		return err
	}
	j.log.Error("a record was set aside as a dead letter", "topic", r.Topic, "partition", r.Partition, "offset", r.Offset,
		"class", refused.Class, "why", why)
	if j.Metrics != nil {
		j.Metrics.Refused(role, refused.Class)
	}
	return nil
}

func runAPI(ctx context.Context, j job) error {
	keys, err := j.cfg.Keys()
	if err != nil {
		return err
	}
	hooks, err := j.webhooks(ctx)
	if err != nil {
		return err
	}
	ring, err := apikeys.Follow(ctx, j.kafka)
	if err != nil {
		return err
	}
	if len(keys) == 0 && len(ring.All("")) == 0 {
		j.log.Warn("there is no API key yet: kasi keys create makes one")
	}
	days, limitsOf, err := j.limits(ctx)
	if err != nil {
		return err
	}
	db, err := clickhouse.Open(j.ClickHouse)
	if err != nil {
		return err
	}
	defer db.Close()
	commands, err := commands.New(j.kafka)
	if err != nil {
		return err
	}
	defer commands.Close()
	apiKeys := make([]api.Key, len(keys))
	for i, k := range keys {
		apiKeys[i] = api.Key(k)
	}
	var jobs sync.WaitGroup
	jobCtx, stopJobs := context.WithCancel(ctx)
	defer jobs.Wait()
	defer stopJobs()
	degraded := func() []string { return nil }
	if j.Metrics != nil {
		degraded = j.Metrics.Degraded
	}
	calls, err := once.Open(ctx, j.kafka)
	if err != nil {
		return err
	}
	handler, err := api.New(api.Config{
		Keys: apiKeys, Made: granted(ring), LimitsOf: limitsOf, Begin: begun(calls), DB: db, Commands: commands,
		Webhooks: hooks, Calendar: days, QueriesPerMinute: j.cfg.QueryRate,
		UpdatesPerMinute: j.cfg.UpdateRate, RefusedPerMinute: j.cfg.RefusedRate,
		Log: j.log, Ready: db.Ping, Degraded: degraded, Words: words, ImportDir: j.importDir(),
		Background: func(run func(context.Context)) { jobs.Go(func() { run(jobCtx) }) },
		LastDebits: func(p schemas.Period) civil.Date { return j.rules.Calendar.OnOrBefore(p.Last()) },
		Whole: func(ctx context.Context, until []int64) error {
			return chsink.Whole(ctx, db, schemas.TopicCollections, until)
		},
	})
	if err != nil {
		return err
	}
	if handler, err = j.withPages(ctx, handler, db, apiKeys, granted(ring)); err != nil {
		return err
	}
	return j.serve(ctx, handler)
}

// begun takes Idempotency-Keys.
func begun(calls *once.Calls) func(context.Context, string, string, [sha256.Size]byte) (api.KeyedCall, error) {
	return func(ctx context.Context, tenant, key string, body [sha256.Size]byte) (api.KeyedCall, error) {
		call, err := calls.Begin(ctx, tenant, key, body)
		if err != nil {
			return nil, err
		}
		return call, nil
	}
}

// importDir is where imports under way are kept, so that a process that is started again goes on with them.
func (j job) importDir() string {
	dir := filepath.Join(j.cfg.DataDir, "imports")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		j.log.Warn("imports under way are lost where this process ends", "error", err)
		return ""
	}
	return dir
}

// granted finds what a key allows that `kasi keys` has made.
func granted(ring *apikeys.Ring) func(string) (api.Grant, bool) {
	return func(text string) (api.Grant, bool) {
		k, ok := ring.Find(text, time.Now())
		g := api.Grant{KeyID: k.ID, Tenant: k.TenantID}
		for _, scope := range k.Scopes {
			g.Scopes = append(g.Scopes, api.Scope(scope))
		}
		return g, ok
	}
}

// limits follows the settings of tenants and the calendar, and tells how many calls a minute a tenant's keys may make
// on the business date.
func (j job) limits(ctx context.Context) (*calendar.Days, func(tenant string, queries, updates int) (int, int), error) {
	known, err := tenants.FollowAll(ctx, j.kafka)
	if err != nil {
		return nil, nil, err
	}
	days, err := calendar.FollowDays(ctx, j.kafka)
	return days, func(tenant string, queries, updates int) (int, int) {
		own := known.Settings(tenant)
		if n, err := strconv.Atoi(own.On(rules.QueriesPerMinute, days.Today())); err == nil {
			queries = n
		}
		if n, err := strconv.Atoi(own.On(rules.UpdatesPerMinute, days.Today())); err == nil {
			updates = n
		}
		return queries, updates
	}, err
}

// withPages puts the console and the API's reference beside the API.
func (j job) withPages(ctx context.Context, calls http.Handler, db driver.Conn, keys []api.Key,
	made func(string) (api.Grant, bool),
) (http.Handler, error) {
	pages, err := j.console(ctx, calls, db, keys, made)
	if err != nil {
		return nil, err
	}
	reference, err := docs.New(api.OpenAPI())
	if err != nil {
		return nil, err
	}
	return beside(calls, reference, api.TimeBodies(pages)), nil
}

// words are a decision in plain words.
func words(ev *schemas.DecisionEvent) (out []api.Words) {
	for _, l := range explain.Words(ev) {
		out = append(out, api.Words(l))
	}
	return out
}
