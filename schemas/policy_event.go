package schemas

import "time"

// PolicyStatus is the state of a policy. Input is read in any case.
type PolicyStatus string

// The policy statuses.
const (
	PolicyActive    PolicyStatus = "active"
	PolicyCancelled PolicyStatus = "cancelled"
	PolicyLapsed    PolicyStatus = "lapsed"
)

// PolicyTerms is what an insurer says about a policy.
type PolicyTerms struct {
	// The insurer's further reference of the customer; may be empty.
	ExternalCustomerRef string `json:"external_customer_ref"`
	// The insurer's product; may be empty.
	ProductCode string `json:"product_code" cat:"low"`
	// Monthly premium.
	PremiumCents Cents `json:"collection_amount_cents" cat:"min=1 col=premium_cents"`
	// State of the policy.
	Status PolicyStatus `json:"status"`
	// How debits reach the bank.
	Rail Rail `json:"rail"`
	// The mandate, where one is named.
	MandateReference string `json:"mandate_reference,omitempty"`
	// The most one debit may take, where the mandate says so.
	MandateMaxCents Cents `json:"mandate_max_cents,omitempty" cat:"min=1"`
	// Only the full amount may be debited; absent means false.
	MandateFixed bool `json:"mandate_fixed,omitempty"`
	// Day of the first attempt while no income is known; absent means the configured day.
	CollectionDay int `json:"collection_day,omitempty" cat:"UInt8 min=1 max=31"`
	// The customer's bank, by name or universal branch code, where the insurer says it.
	Bank string `json:"bank,omitempty" cat:"low"`
	// What stands for the account with whoever files debits, where the insurer says it; never an account number.
	AccountToken string `json:"account_token,omitempty"`
}

// PolicyEvent is a policy after a change. The highest version is the policy as it is.
//
//catalog:event TopicPolicies Policy
//catalog:table policies_log tenant_id, policy_id, version
//catalog:latest policies_now version tenant_id, policy_number, policy_id
//catalog:index by_request request_id
//catalog:index by_policy policy_number
type PolicyEvent struct {
	Meta
	// Made of tenant and policy number.
	PolicyID string `json:"policy_id" cat:"uuid after=tenant_id"`
	// The insurer.
	TenantID string `json:"tenant_id" cat:"low"`
	// The insurer's id of the customer.
	CustomerID string `json:"customer_id" cat:"after=policy_number"`
	// The insurer's policy number.
	PolicyNumber string `json:"policy_number"`
	// Counts the changes: 1, 2, 3...
	Version int64 `json:"version" cat:"min=1 after=hold_reason"`
	PolicyTerms
	// Why the bank's answer forbids further debits, while it does.
	HoldReason string `json:"hold_reason,omitempty" cat:"low"`
	// The API request behind the change, where there was one.
	RequestID string `json:"request_id,omitempty"`
	// The call behind the change: CREATE, IMPORT or PATCH; empty where the bank's answer made it.
	Action PolicyAction `json:"action,omitempty" cat:"low"`
	// The API key behind the change, where there was one: its id, not the key.
	KeyID string `json:"key_id,omitempty" cat:"low"`
	// When the policy was made, UTC.
	CreatedAt time.Time `json:"created_at"`
	// When this version was made, UTC.
	UpdatedAt time.Time `json:"updated_at"`
}
