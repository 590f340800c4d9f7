package config

import (
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/civil"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/sinks/webhooks"
)

// Key is a tenant and the API key that stands for it.
type Key struct{ Tenant, Key string }

// Check lists every mistake in the configuration, each with its key and the way out.
func (c Config) Check() []error {
	var errs []error
	refuse := func(wrong bool, key, value, why string) {
		if wrong {
			errs = append(errs, fmt.Errorf("%s: %q %s", key, value, why))
		}
	}
	for _, a := range [][2]string{
		{"http", c.HTTP},
		{"kafka", c.Kafka},
		{"clickhouse-http", c.ClickHouseHTTP},
		{"clickhouse-native", c.ClickHouseNative},
	} {
		refuse(!hostPort(a[1]), a[0], a[1], "is not host:port, such as 127.0.0.1:8080")
	}
	refuse(c.Metrics != "" && !hostPort(c.Metrics), "metrics", c.Metrics, "is not host:port, such as 127.0.0.1:9100")
	errs = append(errs, c.checkEmbeddedKafka()...)
	for _, a := range slices.Concat(split(c.KafkaBrokers), split(c.ClickHouseAddr)) {
		refuse(!hostPort(a), "kafka-brokers or clickhouse-addr", a, "is not host:port")
	}
	refuse(c.Payouts != "assumed" && c.Payouts != "confirmed", "payouts", c.Payouts, "is neither assumed nor confirmed")
	refuse(c.Calendar != "real" && c.Calendar != "manual", "calendar", c.Calendar, "is neither real nor manual")
	if c.Date != "" {
		_, err := civil.ParseDate(c.Date)
		refuse(err != nil, "date", c.Date, "is not a date such as 2025-11-01")
		refuse(c.Calendar == "real", "date", c.Date, "needs --calendar manual: the real calendar follows the clock")
	}
	if c.CatchUpTo != "" {
		_, err := civil.ParseDate(c.CatchUpTo)
		refuse(err != nil, "catch-up-to", c.CatchUpTo, "is not a date such as 2025-11-01")
		refuse(c.Calendar == "manual", "catch-up-to", c.CatchUpTo,
			"needs --calendar real: a manual calendar is advanced with kasi calendar advance")
	}
	for _, hash := range c.AcceptedRules() {
		_, err := hex.DecodeString(hash)
		refuse(err != nil || len(hash) != 16, "accept-rules", hash, "is not a hash of 16 hexadecimal digits; `kasi rules` "+
			"prints that of this program")
	}
	patience, err := time.ParseDuration(c.WebhooksFor)
	refuse(err != nil || patience < time.Minute, "webhooks-for", c.WebhooksFor,
		"is not a time of a minute or more, such as 72h")
	_, err = webhooks.ParsePauses(c.WebhooksPauses)
	refuse(err != nil, "webhooks-pauses", c.WebhooksPauses, "is no list of growing pauses such as 1s,30s,5m,2h")
	refuse(c.DataDir == "", "data-dir", "", "is empty")
	if _, err := c.Keys(); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, c.checkClickHouse()...)
	errs = append(errs, c.checkSecured()...)
	for _, n := range []struct {
		key           string
		v, least, top int
	}{
		{"partitions", c.Partitions, 0, 10_000},
		{"replication", c.Replication, 1, 10},
		{"queries-per-minute", c.QueryRate, 0, 1 << 30},
		{"updates-per-minute", c.UpdateRate, 0, 1 << 30},
		{"refused-per-minute", c.RefusedRate, 0, 1 << 30},
	} {
		if n.v < n.least || n.v > n.top {
			errs = append(errs, fmt.Errorf("%s: %d is not between %d and %d", n.key, n.v, n.least, n.top))
		}
	}
	refuse(!slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel), "log-level", c.LogLevel,
		"is none of debug, info, warn, error")
	refuse(c.LogFormat != "text" && c.LogFormat != "json", "log-format", c.LogFormat, "is neither text nor json")
	refuse(c.Instance == "" || strings.ContainsAny(c.Instance, " /\t\n"), "instance", c.Instance,
		"is empty or holds spaces or slashes")
	return errs
}

func (c Config) checkEmbeddedKafka() []error {
	switch {
	case c.KafkaListen != "" && net.ParseIP(c.KafkaListen) == nil:
		return []error{fmt.Errorf("kafka-listen: %q is not an IP address such as 0.0.0.0; the port is that of --kafka",
			c.KafkaListen)}
	case c.KafkaBrokers == "" && c.KafkaListen == "" && hostPort(c.Kafka) && !Loopback(c.Kafka):
		return []error{fmt.Errorf("kafka: %q is not a loopback address; the embedded Kafka has no authentication, use "+
			"--kafka-brokers for a real one", c.Kafka)}
	}
	return nil
}

func (c Config) checkClickHouse() (errs []error) {
	refuse := func(wrong bool, key, value, why string) {
		if wrong {
			errs = append(errs, fmt.Errorf("%s: %q %s", key, value, why))
		}
	}
	if _, err := c.TenantAnalysts(); err != nil {
		errs = append(errs, err)
	}
	refuse(c.ClickHouseAddr != "" && c.Password == "", "clickhouse-password", "",
		"is empty, but --clickhouse-addr names a real server: set KASI_CLICKHOUSE_PASSWORD")
	refuse(strings.Trim(c.Database, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" ||
		c.Database == "", "clickhouse-database", c.Database, "is not a plain identifier")
	refuse(c.Cluster != "" && c.ClickHouseAddr == "", "clickhouse-cluster", c.Cluster,
		"needs --clickhouse-addr: the embedded ClickHouse is one server")
	refuse(strings.Trim(c.Cluster, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_{}") != "",
		"clickhouse-cluster", c.Cluster, "is not a plain identifier")
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
		if id, err := schemas.Name(tenant); err != nil || id != tenant {
			return nil, fmt.Errorf("api-keys: the tenant of pair %d is not an id: it holds a control or format character, has "+
				"a blank at either end, or is not in Unicode's form NFC", i+1)
		}
		if slices.ContainsFunc(keys, func(k Key) bool { return k.Key == key }) {
			return nil, fmt.Errorf("api-keys: pair %d repeats the key of an earlier pair; a key stands for one tenant", i+1)
		}
		keys = append(keys, Key{tenant, key})
	}
	return keys, nil
}

// TenantAnalysts are the tenants and passwords of tenant-analyst-passwords. The error names a pair by its place, never
// by its password.
func (c Config) TenantAnalysts() ([]Key, error) {
	var all []Key
	for i, pair := range split(c.TenantAnalystPasswords) {
		tenant, password, ok := strings.Cut(pair, "=")
		switch {
		case !ok || tenant == "" || password == "":
			return nil, fmt.Errorf("tenant-analyst-passwords: pair %d is not tenant=password; expected "+
				"KASI_TENANT_ANALYST_PASSWORDS=\"acme=word1,other=word2\"", i+1)
		case strings.Trim(tenant, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "":
			return nil, fmt.Errorf("tenant-analyst-passwords: tenant %q of pair %d cannot be part of a ClickHouse user's name: "+
				"it may hold letters, digits, _ and - only", tenant, i+1)
		case slices.ContainsFunc(all, func(k Key) bool { return k.Tenant == tenant }):
			return nil, fmt.Errorf("tenant-analyst-passwords: pair %d repeats tenant %s; a tenant has one analyst", i+1, tenant)
		}
		all = append(all, Key{tenant, password})
	}
	return all, nil
}

// AcceptedRules are the hashes in accept-rules.
func (c Config) AcceptedRules() []string { return split(c.AcceptRules) }

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

func split(s string) (parts []string) {
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

func hostPort(addr string) bool {
	_, _, err := net.SplitHostPort(addr)
	return err == nil
}

// Loopback tells whether an address is reached from this machine only.
func Loopback(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
