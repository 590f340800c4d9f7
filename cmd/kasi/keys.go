package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/civil"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/calendar"
	"github.com/kasi-collections/kasi/streams/keys"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/tenants"
)

func keysCmd() *cobra.Command {
	return group(&cobra.Command{
		Use:   "keys",
		Short: "Make, list, rotate and revoke API keys",
		Long: `A key is shown once, when it is made; Kasi keeps its hash. A tenant may have several. What is made or
revoked counts within a second in every API process, without a restart. The commands talk to Kafka
only. The keys of KASI_API_KEYS are not among these.`,
		Example: `  kasi keys create --tenant acme --scopes read,write
  kasi keys list --tenant acme
  kasi keys rotate --tenant acme --overlap 24h
  kasi keys revoke 4hx2k7pqan --tenant acme`,
	}, keysCreate(), keysList(), keysRotate(), keysRevoke())
}

// keyFlags are the flags of a command about keys.
type keyFlags struct {
	tenant, scopes, expires string
	overlap                 time.Duration
	asJSON                  bool
	days                    *calendar.Days
}

// onKeys makes a command about keys on the Kafka of a running kasi.
func onKeys(cmd *cobra.Command, f *keyFlags, do func(call, *keys.Book) error) *cobra.Command {
	cmd = leaf(cmd, onTenants(func(c call, kafka stage.Config) error {
		if _, err := tenants.List(c.Context(), kafka); err != nil {
			return err // at once, where what follows would wait for a Kafka that is away
		}
		book, err := keys.Open(c.Context(), kafka)
		if err != nil {
			return err
		}
		if f.days, err = calendar.FollowDays(c.Context(), kafka); err != nil {
			return err
		}
		return do(c, book)
	}), "kafka", "kafka-brokers")
	cmd.Flags().StringVar(&f.tenant, "tenant", "", "the tenant whose keys are meant")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON, an object a line")
	return cmd
}

func must(cmd *cobra.Command, flag string) *cobra.Command {
	// Only a flag that does not exist can make this fail.
	cobra.CheckErr(cmd.MarkFlagRequired(flag))
	return cmd
}

func keysCreate() *cobra.Command {
	f := &keyFlags{}
	cmd := must(onKeys(&cobra.Command{
		Use:   "create --tenant T",
		Short: "Make a key and print it, this once",
		Long: `create prints the key on standard output and its id on standard error. Scopes are read (GET), settle
(what changes a settlement) and write (all else). The key is refused after the day of --expires.`,
		Example: `  kasi keys create --tenant acme
  KEY=$(kasi keys create --tenant acme --scopes read --expires 2026-12-31)`,
	}, f, func(c call, book *keys.Book) error {
		scopes, err := keys.ParseScopes(f.scopes)
		if err != nil {
			return fmt.Errorf("--scopes: %w", err)
		}
		expires, err := endOf(f.expires)
		if err != nil {
			return err
		}
		k, text, err := book.Create(c.Context(), f.tenant, scopes, expires)
		if err != nil {
			return err
		}
		return f.printNew(c, k, text)
	}), "tenant")
	cmd.Flags().StringVar(&f.scopes, "scopes", "", "what the key may do: read,write,settle; empty = all")
	cmd.Flags().StringVar(&f.expires, "expires", "", "the last day of the key, YYYY-MM-DD; empty = none")
	return cmd
}

// endOf is the instant at which the day ends in Johannesburg. A day that has ended is refused.
func endOf(day string) (*time.Time, error) {
	if day == "" {
		return nil, nil
	}
	d, err := civil.ParseDate(day)
	if err != nil {
		return nil, fmt.Errorf("--expires: %q is not a date such as 2026-12-31", day)
	}
	end := d.AddDays(1).In(schemas.Johannesburg).UTC()
	if !end.After(time.Now()) {
		return nil, fmt.Errorf("--expires: %s has passed: the key would never be good", day)
	}
	return &end, nil
}

// printNew shows a new key. The text goes to standard output alone, so that a script can keep it.
func (f *keyFlags) printNew(c call, k keys.Key, text string) error {
	if f.asJSON {
		return json.NewEncoder(c.OutOrStdout()).Encode(struct {
			Key string `json:"key"`
			shownKey
		}{text, f.shown(k)})
	}
	fmt.Fprintf(c.ErrOrStderr(), "key %s of tenant %s (%s); it is not shown again\n", k.ID, k.TenantID,
		strings.Join(k.Scopes, ", "))
	_, err := fmt.Fprintln(c.OutOrStdout(), text)
	return err
}

// shownKey is a key as it is printed: all but the hash.
type shownKey struct {
	ID        string     `json:"key_id"`
	TenantID  string     `json:"tenant_id"`
	Scopes    []string   `json:"scopes"`
	State     string     `json:"state"`
	CreatedAt time.Time  `json:"created_at"`
	Expires   *time.Time `json:"expires_at"`
	Revoked   *time.Time `json:"revoked_at"`
}

// shown is a key as it is printed. When it ends is a matter of the clock, whatever the calendar says.
func (f *keyFlags) shown(k keys.Key) shownKey {
	return shownKey{k.ID, k.TenantID, k.Scopes, k.State(time.Now()), f.days.Shown(k.CreatedAt), k.Expires, k.Revoked}
}

func keysList() *cobra.Command {
	f := &keyFlags{}
	return onKeys(&cobra.Command{
		Use:   "list",
		Short: "List the keys of a tenant, or of all, by id; never the keys themselves",
		Example: `  kasi keys list
  kasi keys list --tenant acme --json | jq -r 'select(.state == "live").key_id'`,
	}, f, func(c call, book *keys.Book) error {
		all := book.All(f.tenant)
		if f.asJSON {
			out := json.NewEncoder(c.OutOrStdout())
			for _, k := range all {
				if err := out.Encode(f.shown(k)); err != nil {
					return err
				}
			}
			return nil
		}
		t := table.NewWriter()
		t.SetOutputMirror(c.OutOrStdout())
		t.SetStyle(table.StyleLight)
		t.AppendHeader(table.Row{"key", "tenant", "scopes", "state", "created", "ends"})
		for _, k := range all {
			ends := ""
			if k.Expires != nil {
				ends = k.Expires.Format(time.RFC3339)
			}
			if k.Revoked != nil {
				ends = k.Revoked.Format(time.RFC3339)
			}
			t.AppendRow(table.Row{
				k.ID, k.TenantID, strings.Join(k.Scopes, ","), k.State(time.Now()), f.days.Shown(k.CreatedAt).Format(time.RFC3339),
				ends,
			})
		}
		t.Render()
		return nil
	})
}

func keysRotate() *cobra.Command {
	f := &keyFlags{}
	cmd := must(onKeys(&cobra.Command{
		Use:   "rotate [KEY] --tenant T",
		Short: "Make a new key in the place of another, and print it, this once",
		Long: `rotate makes a key with the scopes and the end of the old one, which ends at once, or after --overlap.
KEY is the old key's id; without it, the tenant has one live key and that one is meant.`,
		Args: cobra.MaximumNArgs(1),
		Example: `  kasi keys rotate --tenant acme
  kasi keys rotate 4hx2k7pqan --tenant acme --overlap 24h`,
	}, f, func(c call, book *keys.Book) error {
		if f.overlap < 0 {
			return fmt.Errorf("--overlap: %v is negative", f.overlap)
		}
		old, err := picked(c, book, f)
		if err != nil {
			return err
		}
		k, text, err := book.Create(c.Context(), old.TenantID, old.Scopes, old.Expires)
		if err != nil {
			return err
		}
		if err := f.printNew(c, k, text); err != nil {
			return err
		}
		if _, err = book.Revoke(c.Context(), old, time.Now().UTC().Add(f.overlap).Truncate(time.Millisecond)); err != nil {
			return fmt.Errorf("the new key is made, but the old one, %s, still counts: %w", old.ID, err)
		}
		return nil
	}), "tenant")
	cmd.Flags().DurationVar(&f.overlap, "overlap", 0, "how long the old key still counts, such as 24h")
	return cmd
}

// picked is the key that the command names; it must be live.
func picked(c call, book *keys.Book, f *keyFlags) (keys.Key, error) {
	name := ""
	if len(c.args) > 0 {
		name = c.args[0]
	}
	k, err := book.Pick(f.tenant, name)
	if state := k.State(time.Now()); err == nil && state != "live" {
		err = fmt.Errorf("key %s is %s", k.ID, state)
	}
	return k, err
}

func keysRevoke() *cobra.Command {
	f := &keyFlags{}
	return must(onKeys(&cobra.Command{
		Use:   "revoke [KEY] --tenant T",
		Short: "End a key at once",
		Long:  `KEY is the key's id, or the key itself; without it, the tenant has one live key and that one is meant.`,
		Args:  cobra.MaximumNArgs(1),
		Example: `  kasi keys revoke 4hx2k7pqan --tenant acme
  kasi keys revoke --tenant acme --json`,
	}, f, func(c call, book *keys.Book) error {
		k, err := picked(c, book, f)
		if err == nil {
			k, err = book.Revoke(c.Context(), k, time.Now().UTC().Truncate(time.Millisecond))
		}
		if err != nil {
			return err
		}
		if f.asJSON {
			return json.NewEncoder(c.OutOrStdout()).Encode(f.shown(k))
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "key %s of tenant %s revoked\n", k.ID, k.TenantID)
		return err
	}), "tenant")
}
