package rules

// dataFile is the shape of data/*.yaml and of the override file. Dates and numbers are text here; rules_build.go checks
// them, so that one load reports every mistake. Pointers are fields that an entry may leave as they were.
type dataFile struct {
	Proclaimed      []namedDay        `yaml:"proclaimed"`
	NotObserved     []namedDay        `yaml:"not_observed"`
	DecemberPayday  []dayEntry        `yaml:"december_payday"`
	Grants          []grantEntry      `yaml:"grants"`
	GrantExceptions []grantMonth      `yaml:"grant_exceptions"`
	Rails           []railEntry       `yaml:"rails"`
	DisputeWindows  []disputeEntry    `yaml:"dispute_windows"`
	Reasons         []reasonEntry     `yaml:"reasons"`
	WithoutCode     []noCodeEntry     `yaml:"without_code"`
	Fees            []feeEntry        `yaml:"fees"`
	VAT             []vatEntry        `yaml:"vat"`
	TenantFees      tenantFees        `yaml:"tenant_fees"`
	PaymentDay      []dayEntry        `yaml:"payment_day"`
	Collecting      []collectingEntry `yaml:"collecting"`
}

type tenantFees map[string][]feeEntry

type namedDay struct {
	Date string `yaml:"date"`
	Name string `yaml:"name"`
}

type dayEntry struct {
	From string `yaml:"from"`
	Day  int    `yaml:"day"`
}

type grantEntry struct {
	From       string   `yaml:"from"`
	BankingDay int      `yaml:"banking_day"`
	NeverOn    []string `yaml:"never_on"`
}

type grantMonth struct {
	Period       string `yaml:"period"`
	OlderPersons string `yaml:"older_persons"`
	Disability   string `yaml:"disability"`
	Children     string `yaml:"children"`
}

type railEntry struct {
	Rail              string `yaml:"rail"`
	From              string `yaml:"from"`
	RePresent         *bool  `yaml:"re_present"`
	PartialAllowed    *bool  `yaml:"partial_allowed"`
	UnpaidsEndMandate *int   `yaml:"unpaids_end_mandate"`
	LateUnpaidDays    *int   `yaml:"late_unpaid_banking_days"`
	TrackingDays      *int   `yaml:"tracking_days"`
	AttemptsPerCycle  *int   `yaml:"attempts_per_cycle"`
}

type disputeEntry struct {
	From  string   `yaml:"from"`
	Days  int      `yaml:"days"`
	Rails []string `yaml:"rails"`
}

type reasonEntry struct {
	Name        string   `yaml:"name"`
	Remedy      string   `yaml:"remedy"`
	ZA          []string `yaml:"za"`
	ISO         []string `yaml:"iso"`
	Description string   `yaml:"description"`
}

type noCodeEntry struct {
	Status      string `yaml:"status"`
	Name        string `yaml:"name"`
	Remedy      string `yaml:"remedy"`
	Description string `yaml:"description"`
}

type feeEntry struct {
	From         string  `yaml:"from"`
	Distribution *string `yaml:"distribution_percent"`
	Collections  *string `yaml:"collections_percent"`
}

type vatEntry struct {
	From    string `yaml:"from"`
	Percent string `yaml:"percent"`
}

type collectingEntry struct {
	From            string      `yaml:"from"`
	FirstAttemptDay *int        `yaml:"first_attempt_day"`
	MinDebit        *string     `yaml:"min_debit"`
	SeenDays        *int        `yaml:"seen_days"`
	BackfillDays    *int        `yaml:"backfill_days"`
	ArrearsPeriods  *int        `yaml:"arrears_periods"`
	CutoffTimes     []string    `yaml:"cutoff_times"`
	DepositDays     *int        `yaml:"deposit_days"`
	MoneyDays       *int        `yaml:"money_days"`
	KnownIncomeDays *int        `yaml:"known_income_days"`
	StreamHistory   *int        `yaml:"stream_history"`
	SameMoneyDays   *int        `yaml:"same_money_days"`
	NotIncome       []string    `yaml:"not_income"`
	Kinds           []kindEntry `yaml:"kinds"`
}

type kindEntry struct {
	Kind  string   `yaml:"kind"`
	Words []string `yaml:"words"`
}
