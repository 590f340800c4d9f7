package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"

	"cloud.google.com/go/civil"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams"
	"github.com/kasi-collections/kasi/streams/letters"
)

func dlqCmd() *cobra.Command {
	return group(&cobra.Command{
		Use:   "dlq",
		Short: "Look at dead letters, the records that were refused, and replay them",
		Long: `A record that cannot be taken in (a missing field, a debit nobody knows, an answer that contradicts
a final one) is written untouched to kasi.deadletters.v1 with the reason in its headers, and the
stream goes on. The commands talk to Kafka only.`,
		Example: `  kasi dlq list
  kasi dlq list --class UNKNOWN_DEBIT --since 24h`,
	}, dlqList(), dlqShow(), dlqReplay())
}

// filterFlags are shared by list and replay.
func filterFlags(cmd *cobra.Command) func() (letters.Filter, error) {
	var f letters.Filter
	var since string
	cmd.Flags().StringVar(&f.Class, "class", "", "only this class, such as UNKNOWN_DEBIT")
	cmd.Flags().StringVar(&f.Topic, "topic", "",
		"only records that came from this topic, such as "+schemas.TopicRailResults)
	cmd.Flags().StringVar(&since, "since", "",
		"only records written since: an age (36h), a date (2025-11-26) or an instant (RFC 3339)")
	return func() (letters.Filter, error) {
		at, err := parseSince(since, time.Now())
		f.Since = at
		return f, err
	}
}

func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if age, err := time.ParseDuration(s); err == nil && age >= 0 {
		return now.Add(-age), nil
	}
	if d, err := civil.ParseDate(s); err == nil {
		return d.In(schemas.Johannesburg), nil
	}
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return at, nil
	}
	return time.Time{}, fmt.Errorf("--since: %q is neither an age such as 36h, a date such as 2025-11-26, nor an RFC "+
		"3339 instant", s)
}

func dlqList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List dead letters: a table on a terminal, else one line each",
		Example: `  kasi dlq list
  kasi dlq list --class UNKNOWN_DEBIT --since 24h
  kasi dlq list --topic kasi.rail.results.v1 --json | jq -r .id`,
	}
	filter := filterFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return leaf(cmd, func(c call) error {
		f, err := filter()
		if err != nil {
			return err
		}
		row, done := letterRows(c.OutOrStdout(), asJSON)
		if err := (letters.Box{Source: c.kafka()}).Each(c.Context(), f, row); err != nil {
			return err
		}
		done()
		return nil
	}, "kafka", "kafka-brokers")
}

// letterRows writes letters as JSON lines, as a table where w is a terminal, else as lines of tab-separated fields.
func letterRows(w io.Writer, asJSON bool) (row func(*letters.Letter) error, done func()) {
	fields := func(l *letters.Letter) []any {
		return []any{
			l.ID, l.Time.Format(time.RFC3339), l.Class,
			l.Origin, l.Message,
		}
	}
	switch {
	case asJSON:
		enc := json.NewEncoder(w)
		return func(l *letters.Letter) error { return enc.Encode(l) }, func() {}
	case !isTerminal(w):
		return func(l *letters.Letter) error {
			_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", fields(l)...)
			return err
		}, func() {}
	}
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"ID", "Time", "Class", "From", "Message"})
	return func(l *letters.Letter) error { t.AppendRow(fields(l)); return nil }, func() { t.Render() }
}

func dlqShow() *cobra.Command {
	var value, asJSON bool
	cmd := leaf(&cobra.Command{
		Use:   "show ID",
		Short: "Show one dead letter: headers, origin, class, message",
		Long: `show prints why a record was refused and where it came from. Its key and value are printed only with
--value, because they can hold personal data.`,
		Example: `  kasi dlq show 0-17
  kasi dlq show 0-17 --value`,
		Args: cobra.ExactArgs(1),
	}, func(c call) error {
		id, err := letters.ParseID(c.args[0])
		if err != nil {
			return err
		}
		found, err := letters.Box{Source: c.kafka()}.Find(c.Context(), id)
		if err != nil {
			return err
		}
		return showLetter(c.OutOrStdout(), found[0], value, asJSON)
	}, "kafka", "kafka-brokers")
	cmd.Flags().BoolVar(&value, "value", false, "print key and value too; they can hold personal data")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as one JSON object")
	return cmd
}

func showLetter(w io.Writer, l *letters.Letter, value, asJSON bool) error {
	if asJSON {
		shown := struct {
			*letters.Letter
			Headers [][2]string `json:"headers"`
			Key     *string     `json:"key,omitempty"`
			Value   *string     `json:"value,omitempty"`
		}{Letter: l, Headers: l.Headers()}
		if value {
			k, v := printable(l.Key()), printable(l.Value())
			shown.Key, shown.Value = &k, &v
		}
		return json.NewEncoder(w).Encode(shown)
	}
	fmt.Fprintf(w, "id       %s\nclass    %s\nmessage  %s\nstage    %s\nfrom     %s partition %d offset %d\ntime     "+
		"%s\nvalue    %d bytes\n",
		l.ID, l.Class, l.Message, l.Stage, l.Origin.Topic, l.Origin.Partition, l.Origin.Offset, l.Time.Format(time.RFC3339),
		l.Bytes)
	if l.ReplayedID != "" {
		fmt.Fprintf(w, "replay   of %s by %s at %s\n", l.ReplayedID, l.ReplayedBy, l.ReplayedAt)
	}
	for _, h := range l.Headers() {
		fmt.Fprintf(w, "header   %s: %s\n", h[0], printable([]byte(h[1])))
	}
	if value {
		fmt.Fprintf(w, "key      %s\n%s\n", printable(l.Key()), printable(l.Value()))
	}
	return nil
}

// printable is text as it is, and anything else quoted: a refused record may hold whatever its sender liked, also what
// steers a terminal.
func printable(b []byte) string {
	if !utf8.Valid(b) {
		return fmt.Sprintf("%+q", b)
	}
	if bytes.ContainsFunc(b, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
		return fmt.Sprintf("%q", b)
	}
	return string(b)
}

func dlqReplay() *cobra.Command {
	var yes bool
	var by string
	cmd := &cobra.Command{
		Use:   "replay ID... | replay --class CLASS",
		Short: "Write dead letters back to where they came from",
		Long: `replay writes the untouched key and value back to the topic and partition the record came from, with
headers that say who did it and when. Mend the cause first: a record that is still bad becomes a new
dead letter. One that is good by now is taken in once, however often it is replayed. More than one
record needs --yes; without it the command only says how many there are.`,
		Example: `  kasi dlq replay 0-17
  kasi dlq replay --class UNKNOWN_DEBIT --since 24h        # says how many
  kasi dlq replay --class UNKNOWN_DEBIT --since 24h --yes`,
		Args: cobra.ArbitraryArgs,
	}
	filter := filterFlags(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "replay more than one")
	cmd.Flags().StringVar(&by, "by", operator(), "who replays; goes into a header")
	return leaf(cmd, func(c call) error {
		f, err := filter()
		if err != nil {
			return err
		}
		box := letters.Box{Source: c.kafka(), Inputs: streams.Inputs()}
		found, err := chosen(c, box, f)
		if err != nil {
			return err
		}
		if len(found) > 1 && !yes {
			return fmt.Errorf("%d dead letters would be replayed; run it again with --yes", len(found))
		}
		if err := box.Replay(c.Context(), found, by, time.Now()); err != nil {
			return err
		}
		for _, l := range found {
			fmt.Fprintf(c.OutOrStdout(), "replayed %s to %s partition %d\n", l.ID, l.Origin.Topic, l.Origin.Partition)
		}
		return nil
	}, "kafka", "kafka-brokers")
}

// chosen are the dead letters to replay: by their ids, or all of a class. To replay whatever there is takes a choice as
// well.
func chosen(c call, box letters.Box, f letters.Filter) (found []*letters.Letter, err error) {
	if len(c.args) > 0 {
		if f != (letters.Filter{}) {
			return nil, errors.New("give either ids or --class, not both")
		}
		var ids []letters.ID
		for _, a := range c.args {
			id, err := letters.ParseID(a)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		return box.Find(c.Context(), ids...)
	}
	if f.Class == "" {
		return nil, errors.New("name the dead letters to replay: ids from `kasi dlq list`, or --class")
	}
	err = box.Each(c.Context(), f, func(l *letters.Letter) error { found = append(found, l); return nil })
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("there is no dead letter of class %s that fits; `kasi dlq list` shows those there are", f.Class)
	}
	return found, err
}

// operator is user@host as far as the system tells.
func operator() string {
	name, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return name + "@" + host
}
