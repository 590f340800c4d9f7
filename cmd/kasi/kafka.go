package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/streams"
	"github.com/kasi-collections/kasi/streams/progress"
)

func kafkaCmd() *cobra.Command {
	return group(&cobra.Command{
		Use: "kafka", Short: "Look after Kafka where Kasi depends on it",
		Example: "  kasi kafka undecided",
	}, kafkaUndecided())
}

func kafkaUndecided() *cobra.Command {
	var end, asJSON bool
	var as string
	only := progress.Place{}
	cmd := leaf(&cobra.Command{
		Use:   "undecided",
		Short: "List transactions that hold readers back, and end those of which it is proved how they ended",
		Long: `A broker that is killed can lose the marker that ends a transaction on a partition; then nobody reads past
it. undecided names each with its producer, and says how it ended where that is proved: its coordinator
knows it, another partition shows its marker, or the records that it was made of tell. --end writes the
missing markers of those that are proved. The product does the same by itself after 40 s.

Where nothing proves it, only you can decide: --as says how, for one partition. Committed records count;
aborted ones never will. A stage may be at work on a transaction right now: what the coordinator has
open is never ended. The exit code is 1 where a transaction is left.`,
		Example: `  kasi kafka undecided
  kasi kafka undecided --end
  kasi kafka undecided --end --topic kasi.customer.timeline.v1 --partition 3 --as aborted`,
	}, func(c call) error {
		return undecided(c, only, end, progress.Outcome(as), asJSON)
	}, "kafka", "kafka-brokers")
	cmd.Flags().BoolVar(&end, "end", false, "write the markers that are missing, where it is proved which")
	cmd.Flags().StringVar(&as, "as", "", "with --end: committed or aborted, where nothing proves it")
	cmd.Flags().StringVar(&only.Topic, "topic", "", "only this topic")
	cmd.Flags().Int32Var(&only.Partition, "partition", -1, "only this partition; -1 = all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a transaction")
	return cmd
}

// undecided lists the transactions of one place or all, and ends them where asked to: as forced where nothing is
// proved.
func undecided(c call, only progress.Place, end bool, forced progress.Outcome, asJSON bool) error {
	switch {
	case forced != progress.Unproved && forced != progress.Committed && forced != progress.Aborted:
		return fmt.Errorf("--as %s: expected %s or %s", forced, progress.Committed, progress.Aborted)
	case forced != progress.Unproved && (!end || only.Topic == "" || only.Partition < 0):
		return errors.New("--as needs --end, --topic and --partition: it decides about the records of one partition")
	}
	cl, err := c.kafka().Client()
	if err != nil {
		return err
	}
	defer cl.Close()
	judge := streams.Judge(cl)
	all, err := judge.Undecided(c.Context(), append(streams.TopicsOf(app.RoleNames()...), progress.OffsetsTopic)...)
	if err != nil {
		return err
	}
	left := 0
	for _, u := range all {
		if only.Topic != "" && u.Topic != only.Topic || only.Partition >= 0 && u.Partition != only.Partition {
			continue
		}
		v, err := judge.Judge(c.Context(), u)
		if err != nil {
			return err
		}
		if forced != progress.Unproved && (v.Outcome == progress.Unproved || v.Outcome == progress.Torn) {
			v = progress.Verdict{Outcome: forced, Why: "decided by hand"}
		}
		ended := end && v.Proved()
		if !ended {
			left++
		} else if err := judge.End(c.Context(), u, v.Outcome); err != nil {
			return err
		}
		if err := showUndecided(c.OutOrStdout(), asJSON, u, v, ended); err != nil {
			return err
		}
	}
	switch {
	case left > 0:
		return fmt.Errorf("%d transactions hold readers back", left)
	case len(all) == 0 && !asJSON:
		_, err = fmt.Fprintln(c.OutOrStdout(), "no transaction holds readers back")
	}
	return err
}

func showUndecided(w io.Writer, asJSON bool, u progress.Undecided, v progress.Verdict, ended bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(struct {
			Topic     string           `json:"topic"`
			Partition int32            `json:"partition"`
			Offset    int64            `json:"offset"`
			Producer  int64            `json:"producer_id"`
			Epoch     int16            `json:"producer_epoch"`
			Since     time.Time        `json:"since"`
			Outcome   progress.Outcome `json:"outcome"`
			Why       string           `json:"why"`
			Ended     bool             `json:"ended"`
		}{u.Topic, u.Partition, u.Offset, u.Producer, u.Epoch, u.Since, v.Outcome, v.Why, ended})
	}
	done := u.WayOut(v)
	if ended {
		done = fmt.Sprintf("ended as %s: %s", v.Outcome, v.Why)
	}
	_, err := fmt.Fprintf(w, "%s; %s\n", u, done)
	return err
}
