// Package config reads Kasi's configuration: defaults, then one YAML file, then KASI_... from the environment, then
// flags. All mistakes are reported at once, each with its key, value and the way out.
package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// Config is the whole configuration of every role. A role ignores what it does not use.
type Config struct {
	DataDir          string `koanf:"data-dir"`
	HTTP             string `koanf:"http"`
	Kafka            string `koanf:"kafka"`
	ClickHouseHTTP   string `koanf:"clickhouse-http"`
	ClickHouseNative string `koanf:"clickhouse-native"`
	KafkaBrokers     string `koanf:"kafka-brokers"`
	ClickHouseAddr   string `koanf:"clickhouse-addr"`
	Database         string `koanf:"clickhouse-database"`
	Calendar         string `koanf:"calendar"`
	Date             string `koanf:"date"`
	APIKeys          string `koanf:"api-keys"`
	Password         string `koanf:"clickhouse-password"`
	AnalystPassword  string `koanf:"analyst-password"`
	Instance         string `koanf:"instance"`
	Partitions       int    `koanf:"partitions"`
	Replication      int    `koanf:"replication"`
	QueryRate        int    `koanf:"queries-per-minute"`
	UpdateRate       int    `koanf:"updates-per-minute"`
	Rules            string `koanf:"rules"`
	Metrics          string `koanf:"metrics"`
	LogLevel         string `koanf:"log-level"`
	LogFormat        string `koanf:"log-format"`
}

// Option is one row of the option table: the flag --name, the key name in the YAML file, and KASI_NAME in the
// environment.
type Option struct {
	Name    string
	Default any // string or int
	Usage   string
	Secret  bool // only from the environment or the file, and never printed
}

// DefaultDataDir is the data directory where none is set.
const DefaultDataDir = ".kasi"

// Options is the option table.
var Options = []Option{
	{Name: "data-dir", Default: DefaultDataDir, Usage: "directory of the embedded engines' data"},
	{Name: "http", Default: "127.0.0.1:8080", Usage: "address of the REST API"},
	{Name: "kafka", Default: "127.0.0.1:9092", Usage: "address of the embedded Kafka (loopback only)"},
	{Name: "clickhouse-http", Default: "127.0.0.1:8123", Usage: "HTTP address of the embedded ClickHouse"},
	{Name: "clickhouse-native", Default: "127.0.0.1:9000", Usage: "native address of the embedded ClickHouse"},
	{Name: "kafka-brokers", Default: "", Usage: "brokers of a real Kafka, comma-separated, in place of the embedded one"},
	{
		Name: "clickhouse-addr", Default: "",
		Usage: "native addresses of a real ClickHouse, comma-separated, in place of the embedded one",
	},
	{Name: "clickhouse-database", Default: "kasi", Usage: "ClickHouse database; made if missing"},
	{Name: "calendar", Default: "real", Usage: "real (follows the clock) or manual (stands until kasi calendar advance)"},
	{Name: "date", Default: "", Usage: "first business date of a manual calendar, YYYY-MM-DD; today if empty"},
	{Name: "api-keys", Default: "", Usage: "tenants and their keys: demo=key1,other=key2", Secret: true},
	{Name: "clickhouse-password", Default: "", Usage: "password of the ClickHouse user kasi", Secret: true},
	{Name: "analyst-password", Default: "", Usage: "password of the read-only ClickHouse user analyst", Secret: true},
	{Name: "instance", Default: "1", Usage: "stable name of this process among its role's; part of its transactional ids"},
	{
		Name: "partitions", Default: 0,
		Usage: "partitions of new topics, fixed once they exist; 0 = 4 on the embedded Kafka, 24 on a real one",
	},
	{Name: "replication", Default: 1, Usage: "replication factor of new topics on a real Kafka"},
	{Name: "queries-per-minute", Default: 100, Usage: "GET requests a key may make; 0 = no limit"},
	{Name: "updates-per-minute", Default: 10, Usage: "changing requests a key may make; 0 = no limit"},
	{
		Name: "rules", Default: "",
		Usage: "YAML file over the built-in dated rules: proclaimed holidays, fees per tenant, parameters",
	},
	{
		Name: "metrics", Default: "",
		Usage: "address of /metrics (Prometheus), /livez and /readyz, such as 127.0.0.1:9100; empty = off",
	},
	{Name: "log-level", Default: "info", Usage: "debug, info, warn or error"},
	{Name: "log-format", Default: "text", Usage: "text or json"},
}

// Flags registers the named options on a flag set; with no names, all but the secrets.
func Flags(fs *pflag.FlagSet, names ...string) {
	for _, o := range Options {
		if o.Secret || len(names) > 0 && !slices.Contains(names, o.Name) {
			continue
		}
		switch d := o.Default.(type) {
		case int:
			fs.Int(o.Name, d, o.Usage)
		case string:
			fs.String(o.Name, d, o.Usage)
		}
	}
}

// fileValues are the values of a YAML configuration file as a command line would write them; an unreadable file has
// none, and Load says why.
func fileValues(path string) map[string]string {
	k, out := koanf.New("\x00"), map[string]string{}
	if path == "" || k.Load(file.Provider(path), yamlParser{}) != nil {
		return out
	}
	for key, value := range k.All() {
		if day, ok := value.(time.Time); ok { // YAML reads an unquoted date as an instant
			value = day.Format(time.DateOnly)
		}
		out[key] = fmt.Sprint(value)
	}
	return out
}

// Fill sets the flags of a command that are no options of the table, such as --to, from KASI_NAME, else from the YAML
// file, where the command line does not. It sets --config from KASI_CONFIG first.
func Fill(fs *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var errs []error
	if path, ok := lookup("KASI_CONFIG"); ok && !fs.Changed("config") {
		errs = append(errs, fs.Set("config", path))
	}
	file := fs.Lookup("config").Value.String()
	inFile := fileValues(file)
	fs.VisitAll(func(f *pflag.Flag) {
		option := slices.ContainsFunc(Options, func(o Option) bool { return o.Name == f.Name })
		if f.Changed || option || f.Name == "help" || f.Name == "config" {
			return
		}
		name := "KASI_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := lookup(name)
		if !ok {
			value, ok = inFile[f.Name]
			name = f.Name + " in " + file
		}
		if ok {
			if err := fs.Set(f.Name, value); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		}
	})
	return errors.Join(errs...)
}

// Load merges the sources and checks the result. path may be empty. fs holds the flags of the command, of which only
// those set count. also are further keys that the file may hold: the flags of single commands.
func Load(path string, fs *pflag.FlagSet, environ []string, also ...string) (Config, error) {
	defaults, known := map[string]any{}, map[string]bool{}
	for _, o := range Options {
		defaults[o.Name], known[o.Name] = o.Default, true
	}
	k := koanf.New("\x00") // no key path: a name is one word
	var errs []error
	errs = append(errs, k.Load(confmap.Provider(defaults, ""), nil))
	if path != "" {
		if err := k.Load(file.Provider(path), yamlParser{}); err != nil {
			errs = append(errs, fmt.Errorf("config file %s: %w", path, err))
		}
	}
	errs = append(errs, k.Load(env.Provider("", env.Opt{
		Prefix:      "KASI_",
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			return envKey(name, known), value
		},
	}), nil))
	if fs != nil {
		errs = append(errs, k.Load(posflag.ProviderWithFlag(fs, "", k, func(f *pflag.Flag) (string, any) {
			if !known[f.Name] || !f.Changed {
				return "", nil
			}
			return f.Name, posflag.FlagVal(fs, f)
		}), nil))
	}
	for _, key := range slices.Sorted(maps.Keys(k.All())) {
		if !known[key] && !slices.Contains(also, key) {
			errs = append(errs, fmt.Errorf("%s: unknown key; `kasi config check --help` lists them", key))
		}
	}
	errs = append(errs, settle(k)...)
	var c Config
	if err := k.UnmarshalWithConf("", &c, koanf.UnmarshalConf{FlatPaths: true}); err != nil {
		errs = append(errs, err)
		return c, errors.Join(errs...)
	}
	return c, errors.Join(append(errs, c.Check()...)...)
}

// settle gives each option the type of its default. A value that cannot have it is an error and replaced by the
// default, so that one wrong type does not hide the other mistakes.
func settle(k *koanf.Koanf) []error {
	var errs []error
	for _, o := range Options {
		given := k.Get(o.Name)
		value, ok := o.Default, given == nil // `http:` with nothing behind it
		want := "text, or a list of texts"
		switch o.Default.(type) {
		case string:
			if s, fits := asText(given); fits {
				value, ok = s, true
			}
		case int:
			want = "a whole number"
			if n, fits := asNumber(given); fits {
				value, ok = n, true
			}
		}
		if !ok {
			shown := fmt.Sprintf("%q ", fmt.Sprint(given))
			if o.Secret {
				shown = ""
			}
			errs = append(errs, fmt.Errorf("%s: %sis not %s", o.Name, shown, want))
		}
		errs = append(errs, k.Set(o.Name, value))
	}
	return errs
}

// asText reads what YAML makes of texts that look like something else, such as date: 2025-11-01.
func asText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case time.Time:
		return v.Format(time.DateOnly), true
	case int, int64, uint64, float64, bool:
		return fmt.Sprint(v), true
	case []any:
		var parts []string
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				return "", false
			}
			parts = append(parts, s)
		}
		return strings.Join(parts, ","), true
	}
	return "", false
}

func asNumber(v any) (int, bool) {
	switch v := v.(type) {
	case int:
		return v, true
	case string:
		n, err := strconv.Atoi(v)
		return n, err == nil
	}
	return 0, false
}

// envKey turns KASI_DATA_DIR into data-dir. Other KASI_ variables (such as KASI_LIBCHDB) are not configuration keys.
func envKey(name string, known map[string]bool) string {
	key := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "KASI_")), "_", "-")
	if !known[key] {
		return ""
	}
	return key
}

// Printable is the configuration by key, without secrets: of those it says only whether they are set.
func (c Config) Printable() map[string]any {
	out := map[string]any{}
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		out[v.Type().Field(i).Tag.Get("koanf")] = v.Field(i).Interface()
	}
	for _, o := range Options {
		if !o.Secret {
			continue
		}
		if out[o.Name] == "" {
			out[o.Name] = "not set"
		} else {
			out[o.Name] = "set"
		}
	}
	return out
}

// yamlParser implements koanf.Parser.
type yamlParser struct{}

// Unmarshal implements koanf.Parser.
func (yamlParser) Unmarshal(b []byte) (m map[string]any, err error) {
	err = yaml.Unmarshal(b, &m)
	return m, err
}

// Marshal implements koanf.Parser.
func (yamlParser) Marshal(m map[string]any) ([]byte, error) { return yaml.Marshal(m) }
