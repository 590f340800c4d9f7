// Package config reads Kasi's configuration: defaults, then one YAML file, then KASI_... from the environment, then
// flags. All mistakes are reported at once, each with its key, value and the way out.
package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// Config is the whole configuration of every role. A role ignores what it does not use. Method options says what each
// field is.
type Config struct {
	DataDir, HTTP, Kafka, KafkaListen, ClickHouseHTTP, ClickHouseNative, KafkaBrokers, ClickHouseAddr, Database string
	TenantAnalystPasswords, Cluster                                                                             string
	Calendar, Date, CatchUpTo, APIKeys, Password, AnalystPassword, Instance, Rules, Metrics                     string
	AcceptRules, ConsoleSecret, WebhooksSecret, WebhooksPauses, WebhooksFor, Payouts                            string
	LogLevel, LogFormat                                                                                         string
	Partitions, Replication, QueryRate, UpdateRate, RefusedRate                                                 int
	WebhooksAllowPrivate                                                                                        bool
	Durable, KafkaTLS, ClickHouseTLS                                                                            bool
	KafkaCA, KafkaCert, KafkaKey, KafkaSASL, KafkaUser, KafkaPassword                                           string
	KafkaTokenURL, KafkaTokenScope, ClickHouseCA, ClickHouseCert, ClickHouseKey, HTTPCert, HTTPKey              string
}

// DefaultDataDir is the data directory where none is set.
const DefaultDataDir = ".kasi"

// options is the option table: the flag --name, the key name in the YAML file, and KASI_NAME in the environment. It
// sets every field to its default.
func (c *Config) options() *pflag.FlagSet {
	t := pflag.NewFlagSet("options", pflag.ContinueOnError)
	t.SortFlags = false
	t.StringVar(&c.DataDir, "data-dir", DefaultDataDir, "directory of the embedded engines' data")
	t.BoolVar(&c.Durable, "durable", false,
		"the embedded engines force to disk what they acknowledge, so that it survives a power cut; slower")
	t.StringVar(&c.HTTP, "http", "127.0.0.1:8080", "address of the REST API and the console")
	t.StringVar(&c.Kafka, "kafka", "127.0.0.1:9092", "address of the embedded Kafka (loopback only)")
	t.StringVar(&c.KafkaListen, "kafka-listen", "",
		"IP address where the embedded Kafka listens instead, such as 0.0.0.0 in a container; it has no authentication")
	t.StringVar(&c.ClickHouseHTTP, "clickhouse-http", "127.0.0.1:8123",
		"HTTP address of the embedded ClickHouse; for kasi sql and kasi verify also that of a real one")
	t.StringVar(&c.ClickHouseNative, "clickhouse-native", "127.0.0.1:9000", "native address of the embedded ClickHouse")
	t.StringVar(&c.KafkaBrokers, "kafka-brokers", "",
		"brokers of a real Kafka, comma-separated, in place of the embedded one")
	t.StringVar(&c.ClickHouseAddr, "clickhouse-addr", "",
		"native addresses of a real ClickHouse, comma-separated, in place of the embedded one")
	t.StringVar(&c.Database, "clickhouse-database", "kasi", "ClickHouse database; made if missing")
	t.StringVar(&c.Cluster, "clickhouse-cluster", "",
		"cluster of ClickHouse servers that are replicas of each other; tables are made on all, replicated")
	t.StringVar(&c.Calendar, "calendar", "real",
		"real (follows the clock) or manual (stands until kasi calendar advance)")
	t.StringVar(&c.Date, "date", "", "first business date of a manual calendar, YYYY-MM-DD; today if empty")
	t.StringVar(&c.CatchUpTo, "catch-up-to", "",
		"day up to which a real calendar may catch up on more than a week, YYYY-MM-DD; it stands still else")
	t.StringVar(&c.APIKeys, "api-keys", "", "tenants and their keys: demo=key1,other=key2")
	t.StringVar(&c.Password, "clickhouse-password", "", "password of the ClickHouse user kasi")
	t.StringVar(&c.AnalystPassword, "analyst-password", "", "password of the read-only ClickHouse user analyst")
	t.StringVar(&c.ConsoleSecret, "console-secret", "",
		"seals the console's sessions; the same on all instances of the API. Empty = a new one at each start")
	t.StringVar(&c.TenantAnalystPasswords, "tenant-analyst-passwords", "",
		"tenants and passwords of the ClickHouse users analyst_<tenant>, who see one tenant: acme=word1,other=word2")
	t.StringVar(&c.WebhooksSecret, "webhooks-secret", "",
		"seals the signing secrets of webhooks on Kafka; the same for the roles api and webhooks")
	t.StringVar(&c.WebhooksPauses, "webhooks-pauses", "1s,5s,15s,30s,1m,2m,5m,10m,20m,30m,1h,2h,4h",
		"pauses before a webhook's event is sent again; the last one repeats")
	t.StringVar(&c.WebhooksFor, "webhooks-for", "72h", "for how long a webhook's event is tried")
	t.BoolVar(&c.WebhooksAllowPrivate, "webhooks-allow-private", false,
		"let webhooks go to private addresses and over plain http: for tests and closed networks")
	t.StringVar(&c.Instance, "instance", "1",
		"stable name of this process among its role's; part of its transactional ids")
	t.IntVar(&c.Partitions, "partitions", 0,
		"partitions of new topics, fixed once they exist; 0 = 4 on the embedded Kafka, 24 on a real one")
	t.IntVar(&c.Replication, "replication", 1, "replication factor of new topics on a real Kafka")
	t.IntVar(&c.QueryRate, "queries-per-minute", 100, "GET requests a key may make; 0 = no limit")
	t.IntVar(&c.UpdateRate, "updates-per-minute", 10, "changing requests a key may make; 0 = no limit")
	t.IntVar(&c.RefusedRate, "refused-per-minute", 100,
		"calls without a good key that an address may make; 0 = no limit")
	t.StringVar(&c.Rules, "rules", "",
		"YAML file over the built-in dated rules: proclaimed holidays, fees per tenant, parameters")
	t.StringVar(&c.Payouts, "payouts", "assumed",
		"when a statement counts as paid: assumed (on its payment date) or confirmed (when the bank says so)")
	t.StringVar(&c.AcceptRules, "accept-rules", "",
		"hashes of rules by which to go on where earlier decisions were made by others, comma-separated (kasi rules)")
	t.StringVar(&c.Metrics, "metrics", "",
		"address of /metrics (Prometheus), /livez and /readyz, such as 127.0.0.1:9100; empty = off")
	t.StringVar(&c.LogLevel, "log-level", "info", "debug, info, warn or error")
	t.StringVar(&c.LogFormat, "log-format", "text", "text or json")
	c.secureOptions(t)
	return t
}

// secret options are set in the environment or the file only, and never printed.
func secret(name string) bool {
	return name == "api-keys" || strings.HasSuffix(name, "-secret") || strings.HasSuffix(name, "-password") ||
		strings.HasSuffix(name, "-passwords")
}

// Flags registers the named options on a flag set, and those of their secured connection; with no names, all but the
// secrets.
func Flags(fs *pflag.FlagSet, names ...string) {
	for _, name := range names {
		names = append(names, secured[name]...)
	}
	new(Config).options().VisitAll(func(o *pflag.Flag) {
		if !secret(o.Name) && (len(names) == 0 || slices.Contains(names, o.Name)) {
			o.Annotations = map[string][]string{anOption: nil}
			fs.AddFlag(o)
		}
	})
}

// anOption marks flags that are options: a command may have a flag of its own with an option's name.
const anOption = "option"

func isOption(f *pflag.Flag) bool {
	_, ok := f.Annotations[anOption]
	return ok
}

// Lookup reads the environment; os.LookupEnv does.
type Lookup func(name string) (value string, ok bool)

// env is the name and the value of an option's variable.
func (l Lookup) env(key string) (name, value string, ok bool) {
	name = variable(key)
	value, ok = l(name)
	return name, value, ok
}

// variable is KASI_DATA_DIR for data-dir.
func variable(key string) string { return "KASI_" + strings.ToUpper(strings.ReplaceAll(key, "-", "_")) }

func readFile(path string) (values map[string]any, err error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(b, &values)
	}
	if err != nil {
		return nil, fmt.Errorf("config file %s: %w", path, err)
	}
	return values, nil
}

// Fill sets the flags of a command that are no options of the table, such as --to, from KASI_NAME, else from the YAML
// file, where the command line does not. It sets --config from KASI_CONFIG first.
func Fill(fs *pflag.FlagSet, lookup Lookup) error {
	var errs []error
	if path, ok := lookup("KASI_CONFIG"); ok && !fs.Changed("config") {
		errs = append(errs, fs.Set("config", path))
	}
	path := fs.Lookup("config").Value.String()
	inFile, _ := readFile(path) // Load says why it cannot be read
	options := new(Config).options()
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Changed || options.Lookup(f.Name) != nil || f.Name == "help" || f.Name == "config" {
			return
		}
		name, value, ok := lookup.env(f.Name)
		if given, found := inFile[f.Name]; found && !ok {
			name, ok = f.Name+" in "+path, true
			value, _ = asText(given)
		}
		if !ok {
			return
		}
		if err := fs.Set(f.Name, value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	})
	return errors.Join(errs...)
}

// Load merges the sources and checks the result. path may be empty. fs holds the flags of the command, of which only
// those set count. also are further keys that the file may hold: the flags of single commands.
func Load(path string, fs *pflag.FlagSet, lookup Lookup, also ...string) (Config, error) {
	var c Config
	options := c.options()
	inFile, err := readFile(path)
	errs := []error{err}
	for _, key := range slices.Sorted(maps.Keys(inFile)) {
		if options.Lookup(key) == nil && !slices.Contains(also, key) {
			errs = append(errs, fmt.Errorf("%s: unknown key; `kasi config check --help` lists them", key))
		}
	}
	options.VisitAll(func(o *pflag.Flag) {
		given := inFile[o.Name]
		if _, value, ok := lookup.env(o.Name); ok {
			given = value
		}
		if f := fs.Lookup(o.Name); f != nil && f.Changed && isOption(f) {
			given = f.Value.String()
		}
		if given != nil { // not `http:` with nothing behind it
			errs = append(errs, set(o, given))
		}
	})
	errs = append(errs, readSecrets(options)...)
	return c, errors.Join(append(errs, c.Check()...)...)
}

// set gives an option its value. One of a wrong type is an error and leaves the default, so that it does not hide the
// other mistakes.
func set(o *pflag.Flag, given any) error {
	value, ok := asText(given)
	if ok && o.Value.Set(value) == nil {
		return nil
	}
	want, shown := "text, or a list of texts", fmt.Sprintf("%q ", value)
	switch o.Value.Type() {
	case "int":
		want = "a whole number"
	case "bool":
		want = "true or false"
	}
	if secret(o.Name) {
		shown = ""
	}
	return errors.Join(fmt.Errorf("%s: %sis not %s", o.Name, shown, want), o.Value.Set(o.DefValue))
}

// asText is what a command line would say for a YAML value. YAML reads an unquoted date as an instant. ok is false
// where the value is neither text nor a list of texts.
func asText(v any) (text string, ok bool) {
	switch v := v.(type) {
	case time.Time:
		return v.Format(time.DateOnly), true
	case string, int, int64, uint64, float64, bool:
		return fmt.Sprint(v), true
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			if parts[i], ok = item.(string); !ok {
				return fmt.Sprint(v), false
			}
		}
		return strings.Join(parts, ","), true
	}
	return fmt.Sprint(v), false
}

// Printable is the configuration by key, without secrets: of those it says only whether they are set.
func (c Config) Printable() map[string]any {
	var shown Config
	options, out := shown.options(), map[string]any{}
	shown = c // after options, which sets the defaults
	options.VisitAll(func(o *pflag.Flag) {
		if _, file := secretIn(o.Name); file {
			return // where a secret came from; that it is set is said beside its own name
		}
		out[o.Name] = o.Value.String()
		if n, err := options.GetInt(o.Name); err == nil {
			out[o.Name] = n
		}
		if b, err := options.GetBool(o.Name); err == nil {
			out[o.Name] = b
		}
		if secret(o.Name) {
			out[o.Name] = map[bool]string{true: "set", false: "not set"}[o.Value.String() != ""]
		}
	})
	return out
}
