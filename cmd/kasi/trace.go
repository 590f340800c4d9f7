package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/api/client"
	"github.com/kasi-collections/kasi/schemas"
)

func traceCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "trace ID",
		Short: "Show the whole path of a transaction, income, debit, collection or settlement",
		Long: `trace shows each record on the path of an id: the money that came in, the decision, the debit, what the
bank answered, the line of the statement and its payment. It says where each record lies on Kafka and
in which table of ClickHouse. The command calls the API.`,
		Example: `  kasi trace 963ee8335196851e96c22f5eed933531 --api-key KEY
  kasi trace TX-4711 --json`,
		Args: cobra.ExactArgs(1),
	}
	api := caller(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return leaf(cmd, func(c call) error {
		body, err := content(api().GetTrace(c.Context(), c.args[0]))
		if err != nil {
			return err
		}
		if asJSON {
			_, err = c.OutOrStdout().Write(body)
			return err
		}
		var t client.Trace
		if err := json.Unmarshal(body, &t); err != nil {
			return err
		}
		return showTrace(c.OutOrStdout(), t)
	}, "log-level")
}

// showTrace prints a path as a table.
func showTrace(w io.Writer, t client.Trace) error {
	out := table.NewWriter()
	out.SetStyle(table.StyleLight)
	out.AppendHeader(table.Row{"Date", "What", "Status", "Rands", "Kafka", "About"})
	for _, s := range t.Steps {
		place, amount := "", ""
		if s.Topic != nil {
			place = *s.Topic + " " + strconv.Itoa(*s.Partition) + "/" + strconv.FormatInt(*s.Offset, 10)
		}
		if s.Amount != nil {
			amount = schemas.Cents(*s.Amount).String()
		}
		out.AppendRow(table.Row{value(s.Date), s.Kind, s.Status, amount, place, s.Text})
	}
	out.SetColumnConfigs([]table.ColumnConfig{{Name: "About", WidthMax: 60, WidthMaxEnforcer: text.WrapSoft}})
	_, err := fmt.Fprintf(w, "%s %s\n%s\n", t.Kind, t.ID, out.Render())
	return err
}
