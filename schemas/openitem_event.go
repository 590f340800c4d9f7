package schemas

// OpenItemKind is what is open about a debit.
type OpenItemKind string

// The kinds of open items.
const (
	OpenAmount   OpenItemKind = "AMOUNT_MISMATCH"   // the bank answered for another amount, and nothing else
	OpenPaid     OpenItemKind = "PAID_AFTER_UNPAID" // the bank says PAID of a day after the one on which it said no
	OpenNoAnswer OpenItemKind = "NO_ANSWER"         // the bank has not answered for answer_days
)

// OpenItemState tells whether somebody must still look.
type OpenItemState string

// The states of an open item.
const (
	ItemOpen     OpenItemState = "OPEN"
	ItemAnswered OpenItemState = "ANSWERED" // the bank's later answer closed it
	ItemClosed   OpenItemState = "CLOSED"   // a person closed it
)

// OpenItemEvent is something about a debit that nothing settles by itself and that people must see, after a change. The
// highest version is the item as it is. A debit has one item at most.
//
//catalog:event TopicOpenItems Open item
//catalog:table open_items_log tenant_id, item_id, version
//catalog:index by_policy policy_number
type OpenItemEvent struct {
	Meta
	// Made of the debit.
	ItemID string `json:"item_id" cat:"uuid after=tenant_id"`
	// The insurer.
	TenantID string `json:"tenant_id" cat:"low"`
	// The insurer's id of the customer.
	CustomerID string `json:"customer_id"`
	// The insurer's policy number.
	PolicyNumber string `json:"policy_number"`
	// The collection of the debit.
	CollectionID string `json:"collection_id" cat:"uuid"`
	// The period of the collection, YYYY-MM.
	PeriodMonth Period `json:"period_month"`
	// The debit it is about.
	DebitID string `json:"debit_id"`
	// Counts the changes: 1, 2, 3...
	Version int64 `json:"version" cat:"min=1 after=item_id"`
	// What is open.
	Kind OpenItemKind `json:"kind"`
	// Whether somebody must still look.
	State OpenItemState `json:"state"`
	// Amount of the debit.
	AmountCents Cents `json:"amount_cents" cat:"min=1"`
	// The amount the bank named, where it named another.
	SaidCents Cents `json:"said_cents,omitempty" cat:"min=1"`
	// Action date of the debit.
	ActionDate string `json:"action_date" cat:"date"`
	// Business date since which it is open.
	Since string `json:"since" cat:"date"`
	// The bank's result behind the change, where there is one.
	ResultID string `json:"result_id,omitempty"`
	// What the person who closed it had to say.
	Note string `json:"note,omitempty"`
	// The API request that closed it.
	RequestID string `json:"request_id,omitempty"`
}
