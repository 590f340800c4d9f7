package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/tenants"
)

func tenantsCmd() *cobra.Command {
	return group(&cobra.Command{
		Use:   "tenants",
		Short: "Make tenants, the insurers, and set what is theirs",
		Long: `A record of a bank feed whose tenant is not known is a dead letter (UNKNOWN_TENANT). So a tenant is
made before its first record. The tenants of KASI_API_KEYS are made at the start. The commands talk
to Kafka only.`,
		Example: `  kasi tenants create acme
  kasi tenants set acme --from 2026-01-01 distribution_fee=22.5 patience=9500
  kasi tenants list`,
	}, tenantsCreate(), tenantsList(), tenantsSet(), tenantsShow())
}

// onTenants gives the Kafka of a running kasi.
func onTenants(do func(call, stage.Config) error) func(call) error {
	return func(c call) error {
		return do(c, c.env.Streams(c.cfg, "tenants", c.log))
	}
}

func tenantsCreate() *cobra.Command {
	var asJSON bool
	cmd := leaf(&cobra.Command{
		Use:   "create NAME",
		Short: "Make a tenant; one that exists stays as it is",
		Args:  cobra.ExactArgs(1),
		Example: `  kasi tenants create acme
  kasi tenants create acme --kafka-brokers k1:9092 --json`,
	}, onTenants(func(c call, kafka stage.Config) error {
		name := c.args[0]
		if strings.ContainsAny(name, "=,") { // KASI_API_KEYS could not name it
			return fmt.Errorf("tenant %q holds = or a comma: choose a name without", name)
		}
		added, err := tenants.Add(c.Context(), kafka, name)
		if err != nil {
			return err
		}
		created := slices.Contains(added, name)
		if asJSON {
			return json.NewEncoder(c.OutOrStdout()).Encode(struct {
				Tenant  string `json:"tenant_id"`
				Created bool   `json:"created"`
			}{name, created})
		}
		what := "exists already"
		if created {
			what = "created"
		}
		fmt.Fprintf(c.OutOrStdout(), "tenant %s %s\n", name, what)
		return nil
	}), "kafka", "kafka-brokers")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return cmd
}

func tenantsList() *cobra.Command {
	var asJSON bool
	cmd := leaf(&cobra.Command{
		Use:   "list",
		Short: "List the tenants, one a line: id and instant of creation",
		Example: `  kasi tenants list
  kasi tenants list --json | jq -r .tenant_id`,
	}, onTenants(func(c call, kafka stage.Config) error {
		all, err := tenants.List(c.Context(), kafka)
		if err != nil {
			return err
		}
		for _, t := range all {
			if asJSON {
				err = json.NewEncoder(c.OutOrStdout()).Encode(t)
			} else {
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s\t%s\n", t.ID, t.CreatedAt.Format(time.RFC3339))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}), "kafka", "kafka-brokers")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}
