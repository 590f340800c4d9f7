package app

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/api"
	"github.com/kasi-collections/kasi/api/console"
	"github.com/kasi-collections/kasi/processors/explain"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams"
	"github.com/kasi-collections/kasi/streams/letters"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/records"
)

// console makes the pages at / of the HTTP address.
func (j job) console(ctx context.Context, calls http.Handler, db driver.Conn, keys []api.Key,
	made func(string) (api.Grant, bool),
) (http.Handler, error) {
	bearers := map[[sha256.Size]byte]console.Bearer{}
	for _, k := range keys {
		bearers[sha256.Sum256([]byte(k.Key))] = console.Bearer{Tenant: k.Tenant, CanWrite: true, CanSettle: true}
	}
	names, about := explain.Changes()
	changes := make([]console.Line, len(names))
	for i, name := range names {
		changes[i] = console.Line{About: name, Text: about[i]}
	}
	cfg := console.Config{
		DB: db, API: calls, Log: j.log, Secret: j.cfg.ConsoleSecret, Changes: changes,
		Secure: j.cfg.HTTPCert != "",
		Bearer: func(key string) (console.Bearer, bool) {
			if b, ok := bearers[sha256.Sum256([]byte(key))]; ok && key != "" {
				return b, true
			}
			g, ok := made(key)
			b := console.Bearer{
				Tenant: g.Tenant, CanWrite: slices.Contains(g.Scopes, api.ScopeWrite),
				CanSettle: slices.Contains(g.Scopes, api.ScopeSettle),
			}
			return b, ok && slices.Contains(g.Scopes, api.ScopeRead)
		},
		Words: func(ev *schemas.DecisionEvent) []console.Line { return lines(explain.Words(ev)) },
		WhatIf: func(ev *schemas.DecisionEvent, with []string) ([]console.Line, error) {
			again, err := explain.WhatIf(ev, with)
			if err != nil {
				return nil, err
			}
			return lines(again.Words), nil
		},
	}
	if j.Metrics != nil {
		cfg.Degraded = j.Metrics.Degraded
	}
	box := letters.Box{Source: records.Source{Brokers: j.Brokers, Opts: j.KgoOpts}}
	cfg.DeadLetters = func(ctx context.Context) ([]console.Refused, error) {
		return refused(ctx, box)
	}
	cl, err := kgo.NewClient(j.kafka.Client(kgo.ClientID("kasi-console"))...)
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	context.AfterFunc(ctx, cl.Close)
	queue := progress.New(cl)
	cfg.Behind = func(ctx context.Context) ([]console.Behind, error) { return behind(ctx, queue) }
	return console.New(cfg)
}

// behind is what waits for each role.
func behind(ctx context.Context, queue *progress.Tracker) (out []console.Behind, err error) {
	for _, role := range []string{"intake", "collect", "settle", "sink"} { // those that read Kafka in groups
		for _, group := range streams.GroupsOf(role) {
			rows, err := queue.Waiting(ctx, group)
			if err != nil {
				return nil, err
			}
			b := console.Behind{Role: role, Group: group.ID}
			for _, w := range rows {
				b.Records += w.Records
				if b.Oldest.IsZero() || !w.Oldest.IsZero() && w.Oldest.Before(b.Oldest) {
					b.Oldest = w.Oldest
				}
			}
			out = append(out, b)
		}
	}
	return out, nil
}

func lines(from []explain.Line) []console.Line {
	out := make([]console.Line, len(from))
	for i, l := range from {
		out[i] = console.Line(l)
	}
	return out
}

// refusedSince is how far back the console counts dead letters.
const refusedSince = 30 * 24 * time.Hour

// refused counts the dead letters of the last days by class and topic.
func refused(ctx context.Context, box letters.Box) (out []console.Refused, err error) {
	counts := map[[2]string]int64{}
	err = box.Each(ctx, letters.Filter{Since: time.Now().Add(-refusedSince)}, func(l *letters.Letter) error {
		counts[[2]string{l.Class, l.Origin.Topic}]++
		return nil
	})
	for of, n := range counts {
		out = append(out, console.Refused{Class: of[0], Topic: of[1], Records: n})
	}
	slices.SortFunc(out, func(a, b console.Refused) int {
		return cmp.Or(cmp.Compare(b.Records, a.Records), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Topic, b.Topic))
	})
	return out, err
}

// beside serves the API at /v1 and its probes, its reference at /docs, and the console at every other path.
func beside(api, reference, console http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case strings.HasPrefix(path, "/v1/"), path == "/v1", path == "/livez", path == "/readyz":
			api.ServeHTTP(w, r)
		case path == "/docs", strings.HasPrefix(path, "/docs/"):
			reference.ServeHTTP(w, r)
		default:
			console.ServeHTTP(w, r)
		}
	})
}
