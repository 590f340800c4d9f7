package schemas

// OutcomeEvent is the answer to one API command.
//
//catalog:event TopicOutcomes
//catalog:table outcomes_log request_id, row, event_id
//catalog:nullable business_date
type OutcomeEvent struct {
	Meta
	// API request.
	RequestID string `json:"request_id" cat:"after=tenant_id"`
	// Insurer that asked.
	TenantID string `json:"tenant_id" cat:"low"`
	// The command's place in its request; of a CSV the row after the header, from 1.
	Row int `json:"row"`
	// Line of the file, where the command was a row of one.
	Line int `json:"line,omitempty" cat:"min=1"`
	// What came of it.
	Code string `json:"code" cat:"enum=OK,UNCHANGED,CONFLICT,NOT_FOUND,PRECONDITION_FAILED,PERIOD_OPEN"`
	// Why it was refused; empty when it was not.
	Message string `json:"message,omitempty"`
	// Policy the command is about; may be empty.
	PolicyNumber string `json:"policy_number,omitempty"`
	// The policy, collection or settlement the command made or met.
	ObjectID string `json:"object_id,omitempty"`
	// The version of the policy that the command made, where it made one.
	Version int64 `json:"version,omitempty" cat:"min=1"`
	// Stage that answered: owners, collect or settle.
	Stage string `json:"stage" cat:"low"`
	// The figures of a preview, as JSON of a settlement that was not made; empty on other answers.
	Statement string `json:"statement,omitempty"`
}

// The outcome codes.
const (
	OutcomeOK        = "OK"
	OutcomeUnchanged = "UNCHANGED"
	OutcomeConflict  = "CONFLICT"
	OutcomeNotFound  = "NOT_FOUND"
	// OutcomePrecondition: the policy has another version than the command wants.
	OutcomePrecondition = "PRECONDITION_FAILED"
	// OutcomePeriodOpen is the answer to the settlement of a period that has not ended.
	OutcomePeriodOpen = "PERIOD_OPEN"
)

// ExecutionEvent is how far an execution has come on one partition of the customers. The highest piece is how it stands
// there.
//
//catalog:event TopicExecutions
//catalog:table executions_log tenant_id, execution_id, part, piece
type ExecutionEvent struct {
	Meta
	// Made by the call that asked for it.
	ExecutionID string `json:"execution_id" cat:"after=tenant_id"`
	// The insurer.
	TenantID string `json:"tenant_id" cat:"low"`
	// The period whose collections are made, YYYY-MM.
	PeriodMonth Period `json:"period_month"`
	// The API request that asked for it.
	RequestID string `json:"request_id"`
	// Partition of the customers.
	Part int `json:"part" cat:"min=0"`
	// How many partitions the execution works on.
	Parts int `json:"parts" cat:"min=1"`
	// Counts the pieces of work done on this partition: 1, 2, 3...
	Piece int64 `json:"piece" cat:"min=1"`
	// Active policies without a collection of the period at the call, on all partitions.
	PoliciesQueued int64 `json:"policies_queued" cat:"min=0"`
	// The call named its policies; what became of each is in the outcomes of its request.
	Named bool `json:"named,omitempty"`
	// The execution whose collections it takes back; empty where it makes collections.
	Voids string `json:"voids,omitempty"`
	// So far on this partition.
	ExecutionCounts
	// True once the partition has nothing left to do.
	Done bool `json:"done"`
}
