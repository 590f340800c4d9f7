package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/api/client"
	"github.com/kasi-collections/kasi/cmd/internal/connect"
	"github.com/kasi-collections/kasi/schemas"
)

// caller adds the flags of a command that calls the API. What it returns opens the client.
func caller(cmd *cobra.Command) func() *client.Client {
	base := cmd.Flags().String("api", "http://127.0.0.1:8080", "address of the API")
	key := cmd.Flags().String("api-key", "", "API key: it names the tenant")
	ca := cmd.Flags().String("api-ca", "", "PEM file of the CA that signs the API's certificate; else the system's")
	return func() *client.Client {
		calls, err := connect.API(*ca)
		calls.Timeout = time.Minute
		return &client.Client{
			Server: strings.TrimSuffix(*base, "/") + "/v1/", Client: calls,
			RequestEditors: []client.RequestEditorFn{func(_ context.Context, req *http.Request) error {
				req.Header.Set("X-API-Key", *key)
				return err // the CA's file cannot be read
			}},
		}
	}
}

// unhurried lets a call take longer than a minute: large files do.
func unhurried(cl *client.Client) {
	if calls, ok := cl.Client.(*http.Client); ok {
		calls.Timeout = 0
	}
}

// content is what a call was answered with; an error of the API is an error.
func content(res *http.Response, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil || res.StatusCode < http.StatusBadRequest {
		return body, err
	}
	var e client.ErrorBody
	if json.Unmarshal(body, &e) != nil || e.Error.Message == "" {
		return nil, fmt.Errorf("the API answered %s", res.Status)
	}
	return nil, fmt.Errorf("the API answered %s: %s", e.Error.Code, e.Error.Message)
}

// answered is the JSON that a call was answered with.
func answered[T any](res *http.Response, err error) (out T, _ error) {
	body, err := content(res, err)
	if err == nil {
		err = json.Unmarshal(body, &out)
	}
	return out, err
}

func openItemsCmd() *cobra.Command {
	return group(&cobra.Command{
		Use:   "open-items",
		Short: "List what the bank's answers leave open, and close it",
		Long: `An answer that settles nothing (for another amount than the debit's, or PAID after it had said no) and
a debit without an answer for two weeks are open items. The bank's next answer closes them by itself.
The commands call the API.`,
		Example: `  kasi open-items list --api-key KEY
  kasi open-items close 6b1f6a52-6a0e-5c55-9b0a-3f5d7f5b6c11 --note "the bank was asked"`,
	}, openItemsList(), openItemsClose())
}

func openItemsList() *cobra.Command {
	var everything, asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List open items: a table on a terminal, else one line each",
		Example: `  kasi open-items list
  kasi open-items list --all --json | jq -r .debit_id`,
	}
	api := caller(cmd)
	cmd.Flags().BoolVar(&everything, "all", false, "closed ones too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return leaf(cmd, func(c call) error {
		show, done := itemRows(c.OutOrStdout(), asJSON)
		params := client.ListOpenItemsParams{}
		if state := "OPEN"; !everything {
			params.State = &state
		}
		for cl := api(); ; {
			page, err := answered[client.OpenItemList](cl.ListOpenItems(c.Context(), &params))
			if err != nil {
				return err
			}
			for _, item := range page.Data {
				if err := show(item); err != nil {
					return err
				}
			}
			if params.Cursor = page.NextCursor; params.Cursor == nil {
				done()
				return nil
			}
		}
	}, "log-level")
}

// itemRows writes open items as JSON lines, as a table where w is a terminal, else as lines of tab-separated fields.
func itemRows(w io.Writer, asJSON bool) (show func(client.OpenItem) error, done func()) {
	said := func(item client.OpenItem) string {
		if item.AmountSaid == nil {
			return ""
		}
		return schemas.Cents(*item.AmountSaid).String()
	}
	fields := func(item client.OpenItem) []any {
		return []any{
			item.ID, item.State, item.Kind, item.Since, item.PolicyNumber, item.DebitID, schemas.Cents(item.Amount).String(),
			said(item),
		}
	}
	switch {
	case asJSON:
		enc := json.NewEncoder(w)
		return func(item client.OpenItem) error { return enc.Encode(item) }, func() {}
	case !isTerminal(w):
		return func(item client.OpenItem) error {
			_, err := fmt.Fprintf(w, strings.Repeat("%v\t", 7)+"%v\n", fields(item)...)
			return err
		}, func() {}
	}
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"ID", "State", "What", "Since", "Policy", "Debit", "Amount", "The bank said"})
	return func(item client.OpenItem) error { t.AppendRow(fields(item)); return nil }, func() { t.Render() }
}

func openItemsClose() *cobra.Command {
	var note string
	cmd := &cobra.Command{
		Use:     "close ID",
		Short:   "Say that nobody needs to look any more; the debit stays as it is",
		Args:    cobra.ExactArgs(1),
		Example: `  kasi open-items close 6b1f6a52-6a0e-5c55-9b0a-3f5d7f5b6c11 --note "the bank was asked"`,
	}
	api := caller(cmd)
	cmd.Flags().StringVar(&note, "note", "", "what there is to say about it")
	return leaf(cmd, func(c call) error {
		body := client.OpenItemClose{}
		if note != "" {
			body.Note = &note
		}
		item, err := answered[client.OpenItem](api().CloseOpenItem(c.Context(), c.args[0], nil, body))
		if err == nil {
			_, err = fmt.Fprintln(c.OutOrStdout(), item.ID, item.State)
		}
		return err
	}, "log-level")
}
