package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/google/uuid"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/api/client"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/commands"
)

func settlementsCmd() *cobra.Command {
	return group(&cobra.Command{
		Use:   "settlements",
		Short: "Make, list and export statements, dispute them, pay again",
		Example: `  kasi settlements create --period 2025-11 --api-key KEY
  kasi settlements export --period 2025-11 --output settlement.csv
  kasi settlements list --json`,
	}, settlementsCreate(), settlementsExport(), settlementsList(), settlementsDispute(), settlementsResolve(),
		settlementsRetry())
}

func settlementsCreate() *cobra.Command {
	var preview, asJSON bool
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make the statement of a period; the same call again returns the same one",
		Example: `  kasi settlements create --period 2025-11
  kasi settlements create --period this --preview --json`,
	}
	api, period := caller(cmd), periodFlag(cmd)
	cmd.Flags().BoolVar(&preview, "preview", false, "figures only, also of a period that has not ended")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the API's answer")
	return leaf(cmd, func(c call) error {
		p, err := period()
		if err != nil {
			return err
		}
		in := client.SettlementInput{PeriodMonth: p}
		if preview {
			in.Preview = &preview
		}
		body, err := content(api().CreateSettlement(c.Context(), nil, in))
		if err != nil {
			return err
		}
		if asJSON {
			_, err = c.OutOrStdout().Write(body)
			return err
		}
		var s struct {
			client.SettlementCreated
			Number *string `json:"settlement_number"` // null of a preview
		}
		if err := json.Unmarshal(body, &s); err != nil {
			return fmt.Errorf("the API's answer cannot be read: %w", err)
		}
		number := "preview"
		if s.Number != nil {
			number = *s.Number
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s %s: collected %s, fees %s, VAT %s, net %s, to be paid on %s, %s\n", number,
			s.PeriodMonth, schemas.Cents(s.TotalCollections), schemas.Cents(s.TotalFees), schemas.Cents(s.Vat),
			schemas.Cents(s.NetAmount), s.PaymentDate, s.Status)
		return err
	}, "log-level")
}

func settlementsExport() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "export [ID]",
		Short: "Download the lines of a statement as CSV: one by its id, or the latest of a period",
		Args:  cobra.MaximumNArgs(1),
		Example: `  kasi settlements export --period 2025-11 > settlement.csv
  kasi settlements export 3f0f8b6e-6c3c-5d1e-8f2a-0d9b7c1a2e3f --output settlement.csv`,
	}
	api, period := caller(cmd), periodFlag(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "", "file; standard output if empty")
	return leaf(cmd, func(c call) error {
		cl := api()
		id := ""
		if len(c.args) > 0 {
			id = c.args[0]
		} else {
			p, err := period()
			if err != nil {
				return err
			}
			text := string(p)
			err = eachSettlement(c, cl, client.ListSettlementsParams{PeriodMonth: &text}, func(s client.Settlement) error {
				id = s.ID
				return nil
			})
			if err == nil && id == "" {
				err = fmt.Errorf("there is no statement of %s; kasi settlements create makes one", p)
			}
			if err != nil {
				return err
			}
		}
		unhurried(cl)
		res, err := cl.ExportSettlement(c.Context(), id)
		return download(c, res, err, output)
	}, "log-level")
}

// eachSettlement gives the statements of all pages, by period and sequence.
func eachSettlement(c call, cl *client.Client, params client.ListSettlementsParams,
	use func(client.Settlement) error,
) error {
	for {
		page, err := answered[client.SettlementList](cl.ListSettlements(c.Context(), &params))
		if err != nil {
			return err
		}
		for _, s := range page.Data {
			if err := use(s); err != nil {
				return err
			}
		}
		if params.Cursor = page.NextCursor; params.Cursor == nil {
			return nil
		}
	}
}

func settlementsList() *cobra.Command {
	var period, status string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List statements: a table on a terminal, else one line each",
		Example: `  kasi settlements list
  kasi settlements list --period 2025-11 --status pending --json`,
	}
	api := caller(cmd)
	cmd.Flags().StringVar(&period, "period", "", "YYYY-MM; all if empty")
	cmd.Flags().StringVar(&status, "status", "", "pending, paid, disputed or carried_forward; all if empty")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return leaf(cmd, func(c call) error {
		params := client.ListSettlementsParams{}
		if period != "" {
			params.PeriodMonth = &period
		}
		if status != "" {
			params.Status = &status
		}
		show, done := settlementRows(c.OutOrStdout(), asJSON)
		err := eachSettlement(c, api(), params, show)
		done()
		return err
	}, "log-level")
}

// settlementRows writes statements as JSON lines, as a table where w is a terminal, else as tab-separated lines.
func settlementRows(w io.Writer, asJSON bool) (show func(client.Settlement) error, done func()) {
	if asJSON {
		enc := json.NewEncoder(w)
		return func(s client.Settlement) error { return enc.Encode(s) }, func() {}
	}
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"ID", "Number", "Collected", "Net", "Payable", "Payment", "Status"})
	show = func(s client.Settlement) error {
		t.AppendRow(table.Row{
			s.ID, s.SettlementNumber, schemas.Cents(s.TotalCollections), schemas.Cents(s.NetAmount),
			schemas.Cents(s.PayableAmount), s.PaymentDate, s.Status,
		})
		return nil
	}
	if isTerminal(w) {
		return show, func() { t.Render() }
	}
	t.ResetHeaders()
	return show, func() { t.RenderTSV() }
}

func settlementsDispute() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:     "dispute ID",
		Short:   "Dispute a statement: it is not paid until that is resolved",
		Args:    cobra.ExactArgs(1),
		Example: `  kasi settlements dispute 3f0f8b6e-6c3c-5d1e-8f2a-0d9b7c1a2e3f --reason "POL001 was not paid"`,
	}
	api := caller(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	return leaf(cmd, func(c call) error {
		res, err := api().DisputeSettlement(c.Context(), c.args[0], nil, client.SettlementDispute{Reason: reason})
		return showStatus(c, res, err)
	}, "log-level")
}

func settlementsResolve() *cobra.Command {
	var note string
	cmd := &cobra.Command{
		Use:     "resolve ID",
		Short:   "Resolve the dispute of a statement",
		Args:    cobra.ExactArgs(1),
		Example: `  kasi settlements resolve 3f0f8b6e-6c3c-5d1e-8f2a-0d9b7c1a2e3f --note "it was paid on the 5th"`,
	}
	api := caller(cmd)
	cmd.Flags().StringVar(&note, "note", "", "how")
	return leaf(cmd, func(c call) error {
		res, err := api().ResolveSettlement(c.Context(), c.args[0], nil, client.SettlementResolve{Note: note})
		return showStatus(c, res, err)
	}, "log-level")
}

func showStatus(c call, res *http.Response, err error) error {
	s, err := answered[client.Settlement](res, err)
	if err == nil {
		_, err = fmt.Fprintln(c.OutOrStdout(), s.SettlementNumber, s.Status)
	}
	return err
}

// settlementsRetry is the operator's: the insurer's keys must not move money.
func settlementsRetry() *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:   "retry ID",
		Short: "Have a statement paid again whose payout has failed",
		Long: `With --payouts confirmed the bank may answer FAILED. The statement stays pending then, and nothing is
sent again by itself: first somebody mends the reason. retry has the payout instructed once more, on
the next banking day, under a new payout_id. A statement whose payout has not failed stays as it is.
The command talks to Kafka only.`,
		Args:    cobra.ExactArgs(1),
		Example: `  kasi settlements retry 3f0f8b6e-6c3c-5d1e-8f2a-0d9b7c1a2e3f --tenant acme`,
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "the insurer")
	return leaf(cmd, func(c call) error {
		if tenant == "" {
			return fmt.Errorf("--tenant is missing: whose statement is it?")
		}
		if uuid.Validate(c.args[0]) != nil {
			return fmt.Errorf("%q is no id of a statement; kasi settlements list shows them", c.args[0])
		}
		cmds, err := commands.New(c.env.Streams(c.cfg, "settlements", c.log))
		if err != nil {
			return err
		}
		defer cmds.Close()
		err = cmds.Statement(c.Context(), schemas.StatementCommand{
			RequestID: uuid.NewString(), TenantID: tenant, Action: schemas.StatementRetry, SettlementID: c.args[0],
		})
		if err == nil {
			_, err = fmt.Fprintln(c.OutOrStdout(), "asked for: GET /v1/settlements/"+c.args[0]+" shows what becomes of it")
		}
		return err
	}, "kafka", "kafka-brokers")
}
