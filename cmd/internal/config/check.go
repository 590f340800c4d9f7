package config

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"cloud.google.com/go/civil"
)

// Key is a tenant and the API key that stands for it.
type Key struct{ Tenant, Key string }

// Check lists every mistake in the configuration, each with its key and the way out.
func (c Config) Check() []error {
	var errs []error
	bad := func(key, value, want string) {
		errs = append(errs, fmt.Errorf("%s: %q %s", key, value, want))
	}
	for _, a := range []struct{ key, addr string }{
		{"http", c.HTTP},
		{"kafka", c.Kafka},
		{"clickhouse-http", c.ClickHouseHTTP},
		{"clickhouse-native", c.ClickHouseNative},
	} {
		if _, _, err := net.SplitHostPort(a.addr); err != nil {
			bad(a.key, a.addr, "is not host:port, such as 127.0.0.1:8080")
		}
	}
	if c.Metrics != "" {
		if _, _, err := net.SplitHostPort(c.Metrics); err != nil {
			bad("metrics", c.Metrics, "is not host:port, such as 127.0.0.1:9100")
		}
	}
	if host, _, err := net.SplitHostPort(c.Kafka); err == nil && c.KafkaBrokers == "" && !loopback(host) {
		bad("kafka", c.Kafka,
			"is not a loopback address; the embedded Kafka has no authentication, use --kafka-brokers for a real one")
	}
	for _, a := range slices.Concat(split(c.KafkaBrokers), split(c.ClickHouseAddr)) {
		if _, _, err := net.SplitHostPort(a); err != nil {
			bad("kafka-brokers or clickhouse-addr", a, "is not host:port")
		}
	}
	if c.Calendar != "real" && c.Calendar != "manual" {
		bad("calendar", c.Calendar, "is neither real nor manual")
	}
	if c.Date != "" {
		if _, err := civil.ParseDate(c.Date); err != nil {
			bad("date", c.Date, "is not a date such as 2025-11-01")
		}
		if c.Calendar == "real" {
			bad("date", c.Date, "needs --calendar manual: the real calendar follows the clock")
		}
	}
	if c.DataDir == "" {
		bad("data-dir", "", "is empty")
	}
	if _, err := c.Keys(); err != nil {
		errs = append(errs, err)
	}
	if c.ClickHouseAddr != "" && c.Password == "" {
		bad("clickhouse-password", "", "is empty, but --clickhouse-addr names a real server: set KASI_CLICKHOUSE_PASSWORD")
	}
	if strings.Trim(c.Database, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" ||
		c.Database == "" {
		bad("clickhouse-database", c.Database, "is not a plain identifier")
	}
	return append(errs, c.checkSizes()...)
}

func (c Config) checkSizes() []error {
	var errs []error
	for _, n := range []struct {
		key           string
		v, least, top int
	}{
		{"partitions", c.Partitions, 0, 10_000},
		{"replication", c.Replication, 1, 10},
		{"queries-per-minute", c.QueryRate, 0, 1 << 30},
		{"updates-per-minute", c.UpdateRate, 0, 1 << 30},
	} {
		if n.v < n.least || n.v > n.top {
			errs = append(errs, fmt.Errorf("%s: %d is not between %d and %d", n.key, n.v, n.least, n.top))
		}
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		errs = append(errs, fmt.Errorf("log-level: %q is none of debug, info, warn, error", c.LogLevel))
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		errs = append(errs, fmt.Errorf("log-format: %q is neither text nor json", c.LogFormat))
	}
	if c.Instance == "" || strings.ContainsAny(c.Instance, " /\t\n") {
		errs = append(errs, fmt.Errorf("instance: %q is empty or holds spaces or slashes", c.Instance))
	}
	return errs
}

// Keys are the tenants and keys of api-keys. The error names a pair by its place, never by its key.
func (c Config) Keys() ([]Key, error) {
	var keys []Key
	for i, pair := range split(c.APIKeys) {
		tenant, key, ok := strings.Cut(pair, "=")
		if !ok || tenant == "" || key == "" {
			return nil, fmt.Errorf("api-keys: pair %d is not tenant=key; expected KASI_API_KEYS=\"demo=key1,other=key2\"", i+1)
		}
		if slices.ContainsFunc(keys, func(k Key) bool { return k.Key == key }) {
			return nil, fmt.Errorf("api-keys: pair %d repeats the key of an earlier pair; a key stands for one tenant", i+1)
		}
		keys = append(keys, Key{tenant, key})
	}
	return keys, nil
}

// Brokers are the addresses in kafka-brokers; empty means the embedded Kafka.
func (c Config) Brokers() []string { return split(c.KafkaBrokers) }

// BrokersOrEmbedded are the brokers that a tool beside a running kasi talks to: kafka-brokers, else the embedded
// Kafka's address.
func (c Config) BrokersOrEmbedded() []string {
	if brokers := c.Brokers(); len(brokers) > 0 {
		return brokers
	}
	return []string{c.Kafka}
}

// ClickHouseAddrs are the addresses in clickhouse-addr; empty means the embedded ClickHouse.
func (c Config) ClickHouseAddrs() []string { return split(c.ClickHouseAddr) }

func split(s string) []string {
	var out []string
	for _, part := range strings.Split(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
