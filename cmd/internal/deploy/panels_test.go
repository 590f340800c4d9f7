package deploy

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// quiet are the panels that a good month may leave empty.
var quiet = []string{"Troubles", "Inserts that failed", "Rows brought back", "Events ClickHouse lacks"}

// loud are the alerts that the test's own doing may raise: it sends a bad record.
var loud = []string{"KasiDeadLetters"}

// TestPanelsAndAlertsAnswer runs each query of the dashboard and of the alert rules over the metrics of a product that
// played a month, as Prometheus would have scraped them. Each is understood, names only what is served, with labels
// that are there, and has an answer. No alert fires but for what the test did.
func TestPanelsAndAlertsAnswer(t *testing.T) {
	scraped := playMonth(t)
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1_000_000, Timeout: time.Minute})
	answer := func(expr string) promql.Vector {
		t.Helper()
		scraped.hasAll(t, expr)
		q, err := engine.NewInstantQuery(t.Context(), scraped, nil, expr, scraped.now)
		require.NoError(t, err, expr)
		defer q.Close()
		result := q.Exec(t.Context())
		require.NoError(t, result.Err, expr)
		require.Empty(t, result.Warnings, expr)
		v, err := result.Vector()
		require.NoError(t, err, expr)
		return slices.Clone(v)
	}
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			v := answer(target.Expr)
			require.True(t, len(v) > 0 || slices.Contains(quiet, p.Title), "%s: %s has no answer", p.Title, target.Expr)
			require.NotEmpty(t, p.Description, p.Title)
			for _, sample := range v {
				for _, m := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
					require.True(t, sample.Metric.Has(m[1]), "%s: the legend names label %s; there is %s", p.Title, m[1],
						sample.Metric)
				}
			}
		}
	}
	for _, r := range alertRules(t) {
		v := answer(r.Expr)
		require.True(t, len(v) == 0 || slices.Contains(loud, r.Alert), "%s: %v", r.Alert, v)
	}
}

type panel struct {
	Title, Description string
	Targets            []struct{ Expr, LegendFormat string }
}

func panels(t *testing.T) []panel {
	text, err := os.ReadFile("../../../deploy/grafana/kasi.json")
	require.NoError(t, err)
	var board struct{ Panels []panel }
	require.NoError(t, json.Unmarshal(text, &board))
	require.Greater(t, len(board.Panels), 20)
	return board.Panels
}

type alertRule struct{ Alert, Expr string }

func alertRules(t *testing.T) (all []alertRule) {
	text, err := os.ReadFile("../../../deploy/prometheus/alerts.yaml")
	require.NoError(t, err)
	var file struct{ Groups []struct{ Rules []alertRule } }
	require.NoError(t, yaml.Unmarshal(text, &file))
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	require.Greater(t, len(all), 12)
	return all
}

// point is a sample.
type point struct {
	chunks.Sample
	at    int64
	value float64
}

// T is the sample's time in milliseconds.
func (p point) T() int64 { return p.at }

// ST is the time since when a counter counts; unknown.
func (p point) ST() int64 { return 0 }

// F is the sample's value.
func (p point) F() float64 { return p.value }

// Type is that of a plain number.
func (p point) Type() chunkenc.ValueType { return chunkenc.ValFloat }

// Copy is the sample again.
func (p point) Copy() chunks.Sample { return p }

// scrapes are what a Prometheus would hold: series by their labels.
type scrapes struct {
	targets []string
	now     time.Time
	series  map[string]labels.Labels
	points  map[string][]chunks.Sample
}

// every is the time between two scrapes, as the queries see it.
const every = 15 * time.Second

// next moves the clock to the next scrape.
func (s *scrapes) next() { s.now = s.now.Add(every) }

// add takes in what a target has answered.
func (s *scrapes) add(t *testing.T, instance string, text []byte) {
	p := textparse.NewPromParser(text, labels.NewSymbolTable(), false)
	take := func(l labels.Labels, value float64) {
		b := labels.NewBuilder(l)
		b.Set("job", "kasi").Set("instance", instance)
		l = b.Labels()
		s.series[l.String()] = l
		s.points[l.String()] = append(s.points[l.String()], point{nil, s.now.UnixMilli(), value})
	}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if entry != textparse.EntrySeries {
			continue
		}
		_, _, value := p.Series()
		var l labels.Labels
		p.Labels(&l)
		take(l, value)
	}
	take(labels.FromStrings(labels.MetricName, "up"), 1)
}

// hasAll tells of a metric that a query names and nobody serves.
func (s *scrapes) hasAll(t *testing.T, expr string) {
	t.Helper()
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	require.NoError(t, err, expr)
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		if v, ok := node.(*parser.VectorSelector); ok && !slices.Contains(rare, v.Name) {
			require.True(t, s.serves(v.Name), "%s: no process serves %s", expr, v.Name)
		}
		return nil
	})
}

// rare are the metrics that a good month does not show; TestAlertsAndDashboardsAskForWhatIsServed knows them.
var rare = []string{"kasi_troubles", "kasi_sink_refilled_rows_total", "kasi_sink_missing_events"}

// serves tells whether a metric was there lately enough to be seen by a query.
func (s *scrapes) serves(name string) bool {
	for key, l := range s.series {
		points := s.points[key]
		if l.Get(labels.MetricName) == name && s.now.UnixMilli()-points[len(points)-1].T() < time.Minute.Milliseconds() {
			return true
		}
	}
	return false
}

// Querier implements storage.Queryable.
func (s *scrapes) Querier(from, to int64) (storage.Querier, error) {
	return &storage.MockQuerier{
		SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
			var found []storage.Series
			for key, l := range s.series {
				if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(l.Get(m.Name)) }) {
					found = append(found, storage.NewListSeries(l, within(s.points[key], from, to)))
				}
			}
			return &seriesSet{SeriesSet: storage.EmptySeriesSet(), all: found}
		},
	}, nil
}

func within(points []chunks.Sample, from, to int64) (in []chunks.Sample) {
	for _, p := range points {
		if p.T() >= from && p.T() <= to {
			in = append(in, p)
		}
	}
	return in
}

type seriesSet struct {
	storage.SeriesSet
	all  []storage.Series
	next int
}

// Next implements storage.SeriesSet.
func (s *seriesSet) Next() bool { s.next++; return s.next <= len(s.all) }

// At implements storage.SeriesSet.
func (s *seriesSet) At() storage.Series { return s.all[s.next-1] }
