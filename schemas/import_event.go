package schemas

import "time"

// ImportEvent is an entry of what an import of policies has to say: that it was accepted, an error or a warning of its
// check, that it is done. What became of the rows that it sent on is in the outcomes of its import_id.
//
//catalog:event TopicImports
//catalog:table imports_log tenant_id, import_id, no, event_id
//catalog:nullable business_date
type ImportEvent struct {
	Meta
	ImportEntry
}

// ImportEntry travels on kasi.policy.commands.v1, from where it becomes an event.
type ImportEntry struct {
	// The import; the API request that asked for it.
	ImportID string `json:"import_id" cat:"after=tenant_id"`
	// The insurer.
	TenantID string `json:"tenant_id" cat:"low"`
	// Place among the import's entries: 1, 2, 3...
	No int64 `json:"no" cat:"min=1"`
	// What the entry is.
	Kind ImportKind `json:"kind"`
	// Line of the file, from 1; absent where the entry is about the whole file.
	Line int `json:"line,omitempty" cat:"min=1"`
	// Row after the header, from 1; absent where the entry is about the whole file.
	Row int `json:"row,omitempty" cat:"min=1"`
	// The insurer's policy number, where it can be read.
	PolicyNumber string `json:"policy_number,omitempty"`
	// The column at fault; absent where the row as a whole is.
	Column string `json:"column,omitempty" cat:"low col=column_name"`
	// What is wrong, as a code.
	Code string `json:"code,omitempty" cat:"low"`
	// What is wrong, in words.
	Message string `json:"message,omitempty"`
	// Of ACCEPTED and COMPLETED: merge, or full where the file is the whole book.
	Mode string `json:"mode,omitempty" cat:"low"`
	// Of the same: nothing was to be changed.
	DryRun bool `json:"dry_run,omitempty"`
	// Of the same: the API key that asked, by its id.
	KeyID string `json:"key_id,omitempty" cat:"low"`
	// Of the same: when it was asked for, as users see it, UTC.
	AskedAt time.Time `json:"asked_at"`
	// Of the same.
	ImportCounts
}

// ImportCounts are the figures of an import.
type ImportCounts struct {
	// Rows of the file.
	Rows int64 `json:"rows" cat:"min=0"`
	// Active policies that the file lacks and that are to be cancelled.
	LeftOut int64 `json:"left_out" cat:"min=0"`
	// Warnings of the check.
	Warnings int64 `json:"warnings" cat:"min=0"`
	// Rows refused; of ACCEPTED those that the check refused.
	Failed int64 `json:"failed" cat:"min=0"`
	// Rows taken over; this and what follows are of COMPLETED.
	Imported int64 `json:"imported" cat:"min=0"`
	// Policies made.
	Created int64 `json:"created" cat:"min=0"`
	// Rows that changed a policy.
	Updated int64 `json:"updated" cat:"min=0"`
	// Rows that changed nothing.
	Unchanged int64 `json:"unchanged" cat:"min=0"`
	// Policies cancelled.
	Cancelled int64 `json:"cancelled" cat:"min=0"`
}

// ImportKind is what an entry of an import is.
type ImportKind string

// The kinds of entries.
const (
	ImportAccepted  ImportKind = "ACCEPTED"
	ImportError     ImportKind = "ERROR"
	ImportWarning   ImportKind = "WARNING"
	ImportCompleted ImportKind = "COMPLETED"
)
