package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/api/client"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/feed"
)

// This file holds the insurer's month as commands over the API: policies, executions, reports. settlements.go has its
// end.

// periodFlag adds --period. What it returns gives the period: YYYY-MM, or this or last month by the clock.
func periodFlag(cmd *cobra.Command) func() (schemas.Period, error) {
	text := cmd.Flags().String("period", "", "YYYY-MM; `this` or `last` is the month by the clock in Johannesburg")
	return func() (schemas.Period, error) {
		first := schemas.PeriodOf(schemas.DateIn(time.Now())).First()
		switch *text {
		case "":
			return "", errors.New("--period is missing: YYYY-MM, this or last")
		case "this":
			return schemas.PeriodOf(first), nil
		case "last":
			return schemas.PeriodOf(first.AddDays(-1)), nil
		}
		p, err := schemas.ParsePeriod(*text)
		if err != nil {
			return "", fmt.Errorf("--period: %q is neither a month such as 2025-11 nor this or last", *text)
		}
		return p, nil
	}
}

func policiesCmd() *cobra.Command {
	return group(&cobra.Command{
		Use:     "policies",
		Short:   "Import the insurer's policies",
		Example: `  kasi policies import policies.csv --api-key KEY`,
	}, policiesImport())
}

func policiesImport() *cobra.Command {
	var asJSON, dryRun bool
	cmd := &cobra.Command{
		Use:   "import FILE|-",
		Short: "Import a file of policies; exits with an error where rows failed",
		Long: `import sends a CSV file, or standard input for -, to POST /v1/policies/import. Good rows are imported. Each
bad one is named on standard error, and the command exits with an error. The same file again changes nothing.`,
		Args: cobra.ExactArgs(1),
		Example: `  kasi policies import policies.csv --api-key KEY
  kasi policies import policies.csv --dry-run --mode full --expected-rows 1000 --json
  zcat policies.csv.gz | kasi policies import -`,
	}
	api := caller(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&dryRun, "dry-run", false, "answer the same and change nothing")
	flags.String("mode", "", "merge: only the rows of the file change anything; full: the file is the whole book")
	flags.String("max-cancel", "", "with --mode full: at most so many policies may be cancelled")
	flags.String("expected-rows", "", "rows that the file must have")
	flags.String("expected-total", "", "rands that its premiums must add up to")
	flags.BoolVar(&asJSON, "json", false, "print the API's answer")
	return leaf(cmd, func(c call) error {
		cl := api()
		unhurried(cl)
		params := client.ImportPoliciesParams{
			Mode: given(c, "mode"), MaxCancel: given(c, "max-cancel"), ExpectedRows: given(c, "expected-rows"),
			ExpectedTotal: given(c, "expected-total"),
		}
		if yes := "true"; dryRun {
			params.DryRun = &yes
		}
		body, err := content(sendFile(c, cl, params))
		if err != nil {
			return err
		}
		return showImport(c, body, asJSON)
	}, "log-level")
}

// given is the value of a flag; nil where it was not set.
func given(c call, flag string) *string {
	f := c.Flag(flag)
	if value := f.Value.String(); f.Changed {
		return &value
	}
	return nil
}

// sendFile sends the file as it is read, so that its size does not matter.
func sendFile(c call, cl *client.Client, params client.ImportPoliciesParams) (*http.Response, error) {
	file, name, size, err := opened(c, c.args[0])
	if err != nil {
		return nil, err
	}
	defer file.Close()
	bar := progressOn(c, "import", size)
	r, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() {
		part, err := form.CreateFormFile("file", name)
		if err == nil {
			_, err = io.Copy(part, &counted{Reader: file, step: func(n int64) { bar(n, "sent") }})
		}
		_ = w.CloseWithError(cmp.Or(err, form.Close()))
	}()
	res, err := cl.ImportPoliciesWithBody(c.Context(), &params, form.FormDataContentType(), r)
	_ = r.Close() // what is not sent yet, the API does not want
	bar(size, "answered")
	return res, err
}

// opened is a file with its name and size, or standard input for -, whose size nobody knows.
func opened(c call, path string) (file io.ReadCloser, name string, size int64, err error) {
	if path == "-" {
		return io.NopCloser(c.InOrStdin()), "policies.csv", 0, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, "", 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, "", 0, errors.Join(err, f.Close())
	}
	return f, filepath.Base(path), info.Size(), nil
}

// counted tells how many bytes have been read.
type counted struct {
	io.Reader
	n    int64
	step func(int64)
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += int64(n)
	c.step(c.n)
	return n, err
}

// progressOn is a bar on standard error where that is a terminal, and nothing elsewhere.
func progressOn(c call, title string, total int64) func(done int64, text string) {
	if !isTerminal(c.ErrOrStderr()) {
		return func(int64, string) {}
	}
	return feed.NewProgress(c.ErrOrStderr(), true, title, max(total, 1)).Step
}

func showImport(c call, body []byte, asJSON bool) error {
	var res client.ImportResult
	if err := json.Unmarshal(body, &res); err != nil {
		return fmt.Errorf("the API's answer cannot be read: %w", err)
	}
	if asJSON {
		fmt.Fprintln(c.OutOrStdout(), string(bytes.TrimSpace(body)))
	} else {
		fmt.Fprintf(c.OutOrStdout(), "%d imported, %d failed: %d created, %d updated, %d unchanged, %d cancelled, "+
			"%d warnings\n", res.Imported, res.Failed, res.Created, res.Updated, res.Unchanged, res.Cancelled, len(res.Warnings))
		for _, e := range res.Errors {
			fmt.Fprintf(c.ErrOrStderr(), "error: %s\n", rowText(e))
		}
		for _, w := range res.Warnings {
			fmt.Fprintf(c.ErrOrStderr(), "warning: %s\n", rowText(w))
		}
	}
	if res.Failed > 0 {
		return fmt.Errorf("%d of %d rows failed", res.Failed, res.Failed+res.Imported)
	}
	return nil
}

func rowText(e client.RowError) string {
	return fmt.Sprintf("line %d, policy %q, %s: %s: %s", e.Line, e.PolicyNumber, e.Column, e.Code, e.Message)
}

func collectionsCmd() *cobra.Command {
	return group(&cobra.Command{
		Use:   "collections",
		Short: "Start the collections of a month, and watch that they are made",
		Example: `  kasi collections execute --period 2025-11 --api-key KEY
  kasi collections watch 01910f3a-7c00-7000-8000-000000000000`,
	}, collectionsExecute(), collectionsWatch())
}

func collectionsExecute() *cobra.Command {
	var policies []string
	var wait, asJSON bool
	cmd := &cobra.Command{
		Use:   "execute",
		Short: "Start the collections of a period: of all active policies, or of named ones",
		Example: `  kasi collections execute --period 2025-11
  kasi collections execute --period this --wait
  kasi collections execute --period 2025-11 --policy POL001 --policy POL002 --json`,
	}
	api, period := caller(cmd), periodFlag(cmd)
	cmd.Flags().StringArrayVar(&policies, "policy", nil, "policy number; may be given several times; all if absent")
	cmd.Flags().BoolVar(&wait, "wait", false, "return when all collections are made")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the API's answer")
	return leaf(cmd, func(c call) error {
		p, err := period()
		if err != nil {
			return err
		}
		in := client.ExecuteInput{PeriodMonth: p}
		if len(policies) > 0 {
			in.PolicyIds = &policies
		}
		cl := api()
		e, err := answered[client.ExecutionAccepted](cl.ExecuteCollections(c.Context(), nil, in))
		switch {
		case err != nil:
			return err
		case wait:
			return watch(c, cl, e.ExecutionID, asJSON)
		case asJSON:
			return json.NewEncoder(c.OutOrStdout()).Encode(e)
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "execution %s: %d policies queued\n", e.ExecutionID, e.PoliciesQueued)
		return err
	}, "log-level")
}

func collectionsWatch() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "watch EXECUTION",
		Short: "Wait until an execution has made its collections; exits with an error where some were refused",
		Args:  cobra.ExactArgs(1),
		Example: `  kasi collections watch 01910f3a-7c00-7000-8000-000000000000
  kasi collections watch 01910f3a-7c00-7000-8000-000000000000 --json`,
	}
	api := caller(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the API's last answer")
	return leaf(cmd, func(c call) error { return watch(c, api(), c.args[0], asJSON) }, "log-level")
}

// watchPause keeps a watcher within the limit of queries a minute.
const watchPause = time.Second

func watch(c call, cl *client.Client, id string, asJSON bool) error {
	var bar func(int64, string)
	for {
		e, err := answered[client.Execution](cl.GetExecution(c.Context(), id))
		if err != nil {
			return err
		}
		if bar == nil {
			bar = progressOn(c, "collections", int64(e.PoliciesQueued))
		}
		bar(int64(e.PoliciesDone), strconv.Itoa(e.CollectionsCreated)+" made")
		if e.Status != "completed" {
			select {
			case <-c.Context().Done():
				return c.Context().Err()
			case <-time.After(watchPause):
			}
			continue
		}
		if asJSON {
			err = json.NewEncoder(c.OutOrStdout()).Encode(e)
		} else {
			_, err = fmt.Fprintf(c.OutOrStdout(), "execution %s: %d collections made, %d were there, %d refused\n",
				e.ExecutionID, e.CollectionsCreated, e.Unchanged, e.Refused)
		}
		if err == nil && e.Refused > 0 {
			err = fmt.Errorf("%d policies were refused", e.Refused)
		}
		return err
	}
}

func reportsCmd() *cobra.Command {
	return group(&cobra.Command{
		Use:     "reports",
		Short:   "Download the results of a month",
		Example: `  kasi reports download --period 2025-11 --output report.csv`,
	}, reportsDownload())
}

func reportsDownload() *cobra.Command {
	var format, output string
	cmd := &cobra.Command{
		Use:   "download",
		Short: "Download the collections of a period, to standard output or a file",
		Example: `  kasi reports download --period 2025-11 > report.csv
  kasi reports download --period last --format json --output report.json`,
	}
	api, period := caller(cmd), periodFlag(cmd)
	cmd.Flags().StringVar(&format, "format", "csv", "csv or json")
	cmd.Flags().StringVarP(&output, "output", "o", "", "file; standard output if empty")
	asJSON := cmd.Flags().Bool("json", false, "the same as --format json")
	return leaf(cmd, func(c call) error {
		p, err := period()
		if err != nil {
			return err
		}
		if *asJSON {
			format = "json"
		}
		cl := api()
		unhurried(cl)
		params := client.ReportCollectionsParams{PeriodMonth: string(p), Format: &format}
		res, err := cl.ReportCollections(c.Context(), &params)
		return download(c, res, err, output)
	}, "log-level")
}

// download writes an answer to a file or to standard output. A file is there whole or not at all.
func download(c call, res *http.Response, err error, output string) error {
	if err != nil || res.StatusCode >= http.StatusBadRequest {
		_, err = content(res, err)
		return err
	}
	defer res.Body.Close()
	if output == "" {
		_, err = io.Copy(c.OutOrStdout(), res.Body)
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(output), "."+filepath.Base(output)+"-*")
	if err != nil {
		return err
	}
	_, err = io.Copy(file, res.Body)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), output)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	_, err = fmt.Fprintln(c.ErrOrStderr(), output)
	return err
}
