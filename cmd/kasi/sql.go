package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/cmd/internal/verify"
)

// formats are ClickHouse's names of what --format takes.
var formats = map[string]string{
	"table": "PrettyCompactMonoBlock", "json": "JSONEachRow", "csv": "CSVWithNames", "tsv": "TabSeparatedWithNames",
	"vertical": "Vertical",
}

func sqlCmd() *cobra.Command {
	var format, tenant string
	var asJSON bool
	cmd := leaf(&cobra.Command{
		Use:   "sql [QUERY]",
		Short: "Ask ClickHouse as the analyst: one query, or a prompt",
		Long: `sql asks ClickHouse as the read-only user analyst and prints the answer. Without a query it reads one
from standard input, or asks on a terminal: a query ends with a semicolon, an empty line shows the
views. schemas/DICTIONARY.md lists views, columns and questions with their SQL.

The password is KASI_ANALYST_PASSWORD, else the one in the data directory's secrets.yaml. With
--tenant it is that of the tenant in KASI_TENANT_ANALYST_PASSWORDS, and only that tenant's rows are
seen. The exit code is 1 where a query is refused or ClickHouse does not answer.`,
		Example: `  kasi sql "SELECT collection_status, count(), sum(collected) FROM collections GROUP BY ALL"
  kasi sql --json "SELECT * FROM arrears WHERE ageing = '91+'"
  kasi sql --format csv < question.sql > answer.csv
  kasi sql --tenant acme
  kasi sql --clickhouse-http ch1:8443 --clickhouse-tls --clickhouse-ca ca.pem "SELECT count() FROM policies"`,
		Args: cobra.ArbitraryArgs,
	}, func(c call) error {
		as, err := analystOf(c.cfg, tenant)
		if err != nil {
			return err
		}
		if asJSON {
			format = "json"
		}
		if formats[format] == "" {
			return fmt.Errorf("format: %q is none of table, json, csv, tsv, vertical", format)
		}
		ask := asker{as, formats[format], c.OutOrStdout()}
		query := strings.Join(c.args, " ")
		if query == "" && isTerminal(os.Stdin) {
			return ask.prompt(c.Context())
		}
		if query == "" {
			b, err := io.ReadAll(c.InOrStdin())
			if err != nil {
				return err
			}
			query = string(b)
		}
		return ask.one(c.Context(), query)
	}, "clickhouse-http", "clickhouse-tls", "clickhouse-database", "analyst-password-file", "data-dir")
	cmd.Flags().StringVar(&format, "format", "table", "table, json, csv, tsv or vertical")
	cmd.Flags().StringVar(&tenant, "tenant", "", "ask as the analyst of this tenant")
	cmd.Flags().BoolVar(&asJSON, "json", false, "the rows as a JSON array; the same as --format json")
	return cmd
}

// analystOf is the ClickHouse to ask and the user to ask as.
func analystOf(cfg config.Config, tenant string) (verify.ClickHouse, error) {
	if tenant == "" {
		return clickhouseOf(cfg, "analyst")
	}
	all, err := cfg.TenantAnalysts()
	if err != nil {
		return verify.ClickHouse{}, err
	}
	i := slices.IndexFunc(all, func(k config.Key) bool { return k.Tenant == tenant })
	if i < 0 {
		return verify.ClickHouse{}, fmt.Errorf("tenant %q has no password in KASI_TENANT_ANALYST_PASSWORDS", tenant)
	}
	as, err := clickhouseOf(cfg, "analyst_"+tenant)
	as.Password = all[i].Key
	return as, err
}

// asker asks one query after the other.
type asker struct {
	as     verify.ClickHouse
	format string
	out    io.Writer
}

// one asks a query, whose own FORMAT wins, and copies the answer.
func (a asker) one(ctx context.Context, query string) error {
	query = strings.TrimRight(strings.TrimSpace(query), "; \n")
	if query == "" {
		return errors.New("there is no query; for example: kasi sql \"SELECT * FROM customers LIMIT 5\"")
	}
	settings := url.Values{
		"database": {a.as.Database}, "default_format": {a.format}, "wait_end_of_query": {"1"},
		"output_format_json_array_of_rows": {"1"}, "output_format_decimal_trailing_zeros": {"1"},
		"output_format_json_quote_64bit_integers": {"0"},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.as.URL+"/?"+settings.Encode(), strings.NewReader(query))
	if err != nil {
		return err
	}
	req.SetBasicAuth(a.as.User, a.as.Password)
	resp, err := a.as.Client.Do(req)
	if err != nil {
		return fmt.Errorf("ClickHouse does not answer; is kasi up, and is --clickhouse-http right? %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		return fmt.Errorf("ClickHouse refuses as user %s: %s", a.as.User,
			cmp.Or(strings.TrimSpace(string(said)), resp.Status))
	}
	_, err = io.Copy(a.out, resp.Body)
	return err
}

const queryViews = `SELECT name AS view, replaceRegexpOne(comment, ' \[[0-9a-f]+\]$', '') AS shows
FROM system.tables WHERE database = currentDatabase() AND engine = 'View' ORDER BY name`

// prompt asks what is typed, until exit, Ctrl-D or Ctrl-C. A refused query is said and does not end it.
func (a asker) prompt(ctx context.Context) error {
	in, screen := int(os.Stdin.Fd()), struct {
		io.Reader
		io.Writer
	}{os.Stdin, a.out}
	lines := term.NewTerminal(screen, "kasi> ")
	var query strings.Builder
	for ctx.Err() == nil {
		before, err := term.MakeRaw(in)
		if err != nil {
			return err
		}
		line, err := lines.ReadLine()
		if restored := term.Restore(in, before); restored != nil {
			return restored
		}
		word := strings.TrimRight(strings.TrimSpace(line), ";")
		begun := query.Len() > 0
		switch {
		case errors.Is(err, io.EOF), !begun && (word == "exit" || word == "quit"):
			fmt.Fprintln(a.out)
			return nil
		case err != nil:
			return err
		case !begun && word == "":
			err = a.one(ctx, queryViews)
		default:
			query.WriteString(line + "\n")
			if !strings.HasSuffix(strings.TrimSpace(line), ";") {
				lines.SetPrompt("  ... ")
				continue
			}
			err = a.one(ctx, query.String())
			query.Reset()
		}
		lines.SetPrompt("kasi> ")
		if err != nil {
			fmt.Fprintln(a.out, err)
		}
	}
	return ctx.Err()
}
