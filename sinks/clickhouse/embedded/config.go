package embedded

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the two configuration files
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"text/template"
)

//go:embed config.xml
var configXML string

//go:embed users.xml
var usersXML string

// kasiGrants is what user kasi may do beside everything in its databases: reading the system tables, and what
// operations need.
var kasiGrants = []string{
	"SELECT ON system.*",
	"SELECT ON information_schema.*",
	"SHOW ON *.*",
	"CREATE TEMPORARY TABLE ON *.*",
	"KILL QUERY ON *.*",
	"SYSTEM FLUSH LOGS ON *.*",
}

// changeable are settings that drivers and tools set on their own (clickhouse-go, JDBC, DBeaver, Grafana, Metabase) and
// that give nobody more rights.
var changeable = []string{
	"allow_experimental_analyzer", "connect_timeout", "date_time_input_format", "date_time_output_format",
	"decimal_check_overflow", "enable_http_compression", "extremes", "format_csv_delimiter",
	"http_headers_progress_interval_ms", "http_write_exception_in_output_format", "http_zlib_compression_level",
	"join_use_nulls", "log_comment",
	"network_compression_method", "output_format_binary_write_json_as_string", "output_format_json_quote_64bit_integers",
	"output_format_json_quote_decimals", "output_format_native_write_json_as_string", "receive_timeout",
	"result_overflow_mode", "send_logs_level", "send_progress_in_http_headers", "send_timeout", "session_timezone",
	"use_client_time_zone",
}

// maxThreads bounds a query's threads: everything else runs on this machine too.
const maxThreads = 4

type configData struct {
	Data, Users, Log, Backups, Host string
	HTTPPort, NativePort            int
}

type usersData struct {
	// Engine is set for our own engine, which needs profiles and a user of its own.
	Engine                            bool
	Threads                           int
	Changeable, Databases, KasiGrants []string
	KasiHash, AnalystHash             string
}

func newUsersData(kasiPassword, analystPassword string, databases ...string) usersData {
	data := usersData{
		Changeable: changeable, Databases: databases, KasiGrants: kasiGrants,
		KasiHash: passwordHash(kasiPassword),
	}
	if analystPassword != "" {
		data.AnalystHash = passwordHash(analystPassword)
	}
	return data
}

// writeConfig writes config.xml and users.xml and returns the path of the first. They hold passwords only as hashes.
func (o Options) writeConfig(e endpoint) (string, error) {
	users := filepath.Join(o.configDir(), "users.xml")
	config := filepath.Join(o.configDir(), "config.xml")
	data := newUsersData(o.KasiPassword, o.AnalystPassword, append([]string{databaseKasi}, o.Databases...)...)
	data.KasiGrants = slices.Concat(data.KasiGrants, o.Grants)
	data.Engine, data.Threads = true, min(maxThreads, runtime.NumCPU())
	if err := render(users, usersXML, data); err != nil {
		return "", err
	}
	return config, render(config, configXML, configData{
		Data: o.dataDir(), Users: users, Log: o.LogDir(), Backups: o.backupsDir(), Host: e.host, HTTPPort: e.httpPort,
		NativePort: e.nativePort,
	})
}

// ServerUsers is a file for the users.d directory of a ClickHouse server of its own. It holds the users kasi and
// analyst with the rights that they have on the embedded engine, over databases, whose names may end in *. It holds
// passwords only as hashes.
func ServerUsers(kasiPassword, analystPassword string, databases ...string) (string, error) {
	return fill("users.xml", usersXML, newUsersData(kasiPassword, analystPassword, databases...))
}

func render(path, text string, data any) error {
	filled, err := fill(filepath.Base(path), text, data)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(filled), 0o600); err != nil {
		return fmt.Errorf("write the configuration of the embedded ClickHouse: %w", err)
	}
	return nil
}

func fill(name, text string, data any) (string, error) {
	t, err := template.New(name).Funcs(template.FuncMap{"xml": escape}).Parse(text)
	if err != nil {
		return "", fmt.Errorf("template of %s: %w", name, err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return "", fmt.Errorf("fill %s: %w", name, err)
	}
	return b.String(), nil
}

func escape(s string) (string, error) {
	var b bytes.Buffer
	err := xml.EscapeText(&b, []byte(s))
	return b.String(), err
}

func passwordHash(password string) string {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])
}
