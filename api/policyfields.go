package api

import "github.com/kasi-collections/kasi/schemas"

// policyField is one field of a policy as POST and PATCH /policies and the import file take it: its name, whether it
// must be there, its kind, and how its value gets into the command. given is its name in Given, empty for the ids.
type policyField struct {
	name           string
	required       bool
	json, expected string
	given          string
	set, setCell   func(cmd *command, v string) *fault
	clear          func(cmd *command)
}

type command = schemas.PolicyCommand

// policyFields are in the order in which a caller hears of their faults.
var policyFields = []policyField{
	field("customer_id", "", true, aText, anIDCell, func(c *command) *string { return &c.CustomerID }),
	field("external_customer_ref", schemas.GivenReference, true, aText, aText,
		func(c *command) *string { return &c.Terms.ExternalCustomerRef }),
	field("policy_number", "", true, aText, anIDCell, func(c *command) *string { return &c.PolicyNumber }),
	field(
		"product_code",
		schemas.GivenProduct,
		true,
		aText,
		aText,
		func(c *command) *string { return &c.Terms.ProductCode },
	),
	field("collection_amount", schemas.GivenPremium, true, anAmount, anAmountCell,
		func(c *command) *schemas.Cents { return &c.Terms.PremiumCents }),
	field("status", schemas.GivenStatus, false, aPolicyStatus, aPolicyStatus,
		func(c *command) *schemas.PolicyStatus { return &c.Terms.Status }),
	field("rail", schemas.GivenRail, false, aRail, aRail, func(c *command) *schemas.Rail { return &c.Terms.Rail }),
	field("mandate_reference", schemas.GivenMandate, false, aText, aText,
		func(c *command) *string { return &c.Terms.MandateReference }),
	field("mandate_max_amount", schemas.GivenMaximum, false, anAmount, anAmountCell,
		func(c *command) *schemas.Cents { return &c.Terms.MandateMaxCents }),
	field(
		"mandate_fixed",
		schemas.GivenFixed,
		false,
		aBool,
		aBool,
		func(c *command) *bool { return &c.Terms.MandateFixed },
	),
	field("collection_day", schemas.GivenDay, false, aDay, aDay, func(c *command) *int { return &c.Terms.CollectionDay }),
	field("bank", schemas.GivenBank, false, aText, aText, func(c *command) *string { return &c.Terms.Bank }),
	field("account_token", schemas.GivenToken, false, aText, aText,
		func(c *command) *string { return &c.Terms.AccountToken }),
}

// field makes a policyField. cell is the kind as a file has it.
func field[T any](name, given string, required bool, k, cell kind[T], at func(*command) *T) policyField {
	set := func(k kind[T]) func(*command, string) *fault {
		return func(cmd *command, v string) (f *fault) {
			*at(cmd), f = k.check(v)
			return f
		}
	}
	return policyField{
		name,
		required,
		k.json,
		k.expected,
		given,
		set(k),
		set(cell),
		func(c *command) { *at(c) = *new(T) },
	}
}

func fieldNames() (names []string) {
	for _, f := range policyFields {
		names = append(names, f.name)
	}
	return names
}

// newPolicy is a command with the terms that hold where the caller names none.
func newPolicy(row int, action schemas.PolicyAction) command {
	terms := schemas.PolicyTerms{Status: schemas.PolicyActive, Rail: schemas.RailDebiCheck}
	if action == schemas.PolicyImport {
		terms = schemas.PolicyTerms{} // what is not given stays
	}
	return command{Row: row, Action: action, Terms: &terms}
}
