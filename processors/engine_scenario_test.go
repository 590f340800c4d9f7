package processors_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors"
	"github.com/kasi-collections/kasi/processors/book"
	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/processors/strategy"
	"github.com/kasi-collections/kasi/schemas"
)

// The scenarios of testdata/scenarios are written in a small language, one line an event, what is expected of it after
// "=>":
//
//	== name                                a new customer on a new calendar
//	policy POL 150.00 [rail=EFT] [fixed] [max=100.00] [day=25] [mandate=M2] [status=lapsed] [create]
//	patch POL premium 200.00; patch POL status cancelled; patch POL rail EFT, max 80.00, mandate M2, day 25, fixed true,
//	                                       bank 632005, token T1; - clears; [version=1]
//	import POL 150.00 [as policy]          a file with the five columns, and those that are named
//	execute POL 2025-11 [id=exec]
//	void exec                              takes back the collections of that execution; => so many
//	open 2025-11-01                        the day opens, no cut-off
//	tick 2025-11-05                        time passes to that day's cut-off; the same day again: one more cut-off
//	credit 2025-11-05 80.00 "piece job" [id=t1] [balance=90.00] [account=A] [at=10:00] [category=c]
//	                                       [state=PENDING] [replaces=t0]; debit likewise
//	income i1 SALARY 2025-11-25 PAID 8500.00    amount optional
//	result paid [02] [scheme=ISO] [on=2025-11-05] [id=r1] [amount=80.00] [debit=1]
//	                                       of the latest debit, or the n-th; on the business date
//	track 10                               from now on debits are tracked for so many days, where that is legal
//	report POL 2025-11 PAID_FULL 150.00 2 2025-11-05 2025-11-26 -    status, collected, attempts, first, last, failure
//	hold POL MANDATE_ENDED                 or - for none
//	item AMOUNT_MISMATCH OPEN [debit=1]    the open item of the latest debit, or the n-th; or - for none
//	close [debit=1]                        a person closes that item
//	deposits SALARY MONTHLY MATURE 2025-12-25    of the latest deposit: kind, frequency, status, next date; - for none
//
// A policy, patch or execute expects "=> OK" where nothing is said.
//
// Records expect "=> CODE": an outcome, the class of a Reject, or "nothing" for no effect at all. Ticks expect every
// debit they make and the standing decisions named: "=> debit POL 80.00 PART_OF_AMOUNT; wait POL AWAIT_INCOME
// 2025-12-25; stop POL POLICY_LAPSED". Without "=>" a tick makes no debit. A debit may also say which transactions or
// incomes it counts on, oldest first: "debit POL 80.00 PART_OF_AMOUNT ids=t1,t2", or "ids=" for none; and until when
// the bank tracks it: "until=2025-11-14", or "until=" for not at all.
type scenario struct {
	*world
	t    *testing.T
	line string
	n    int // names records that have no id
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	rules := rules.Default()
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, part := range strings.Split("\n"+string(text), "\n== ")[1:] {
			name, lines, _ := strings.Cut(part, "\n")
			group := strings.TrimSuffix(filepath.Base(file), ".txt")
			t.Run(group+"/"+name, func(t *testing.T) {
				t.Parallel()
				runScenario(t, rules, strategy.Kasi(group == "careful"), lines)
			})
		}
	}
}

func runScenario(t *testing.T, rules *rules.Rules, by strategy.Strategy, lines string) {
	s := &scenario{t: t, world: newWorldOf(nil, rules, by)}
	s.world.t = s
	for i, line := range strings.Split(lines, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if s.line = fmt.Sprintf("line %d: %s", i+2, strings.TrimSpace(line)); strings.TrimSpace(line) == "" {
			continue
		}
		what, want, _ := strings.Cut(line, "=>")
		s.do(wordsOf(what), strings.TrimSpace(want))
	}
	s.replay()
}

// Errorf and FailNow put the scenario's line before every failure.
func (s *scenario) Errorf(format string, args ...any) {
	s.t.Helper()
	s.t.Errorf("%s\n%s", s.line, fmt.Sprintf(format, args...))
}

func (s *scenario) FailNow() { s.t.FailNow() }

// wordsOf splits a line into words; quotes hold one together.
func wordsOf(line string) []string {
	var list []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			list = append(list, part)
		} else {
			list = append(list, strings.Fields(part)...)
		}
	}
	return list
}

// opts takes key=value words and bare flags out of a line.
func opts(words []string) map[string]string {
	m := map[string]string{}
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		m[k] = v
	}
	return m
}

func (s *scenario) do(w []string, want string) {
	switch w[0] {
	case "policy", "import", "patch", "execute", "credit", "debit", "income", "result", "close":
		s.record(s.read(w), want)
	case "void":
		out, _ := s.step(&schemas.ExecutionCommand{TenantID: "T", ExecutionID: "void", Voids: w[1]})
		require.Equal(s, want, strconv.FormatInt(out.Execution.Voided, 10))
	case "open":
		s.step(schemas.Tick{Date: w[1]})
	case "tick":
		date, err := civil.ParseDate(w[1])
		require.NoError(s, err)
		s.expectTick(s.advance(date), want)
	case "track":
		_, err := fmt.Sscan(w[1], &s.track)
		require.NoError(s, err)
	case "report":
		k := s.latest(w[1], schemas.Period(w[2]))
		got := fmt.Sprintf("%s %s %d %s %s %s", k.Status, k.CollectedCents, k.Attempts, dash(k.FirstAttemptDate),
			dash(k.LastAttemptDate), dash(k.LastFailureReason))
		require.Equal(s, strings.Join(w[3:], " "), got)
	case "hold":
		require.Equal(s, w[2], dash(s.policies[w[1]].HoldReason))
	case "item":
		item, ok := s.items[s.debitOf(opts(w))]
		got := strings.TrimSpace(fmt.Sprintf("%s %s", item.Kind, item.State))
		if !ok {
			got = "-"
		}
		require.Equal(s, strings.Join(slices.DeleteFunc(w[1:], func(x string) bool { return strings.Contains(x, "=") }), " "),
			got)
	case "deposits":
		require.NotEmpty(s, s.out.Deposits)
		d := s.out.Deposits[len(s.out.Deposits)-1]
		require.Equal(s, strings.Join(w[1:], " "), fmt.Sprintf("%s %s %s %s", d.Kind, dash(d.Frequency), d.StreamStatus,
			dash(d.NextExpectedDate)))
	default:
		require.Fail(s, "unknown word "+w[0])
	}
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (s *scenario) cents(text string) schemas.Cents {
	c, err := schemas.ParseRands(text)
	require.NoError(s, err)
	return c
}

func (s *scenario) centsOpt(o map[string]string, key string) *schemas.Cents {
	if o[key] == "" {
		return nil
	}
	c := s.cents(o[key])
	return &c
}

func (s *scenario) latest(number string, p schemas.Period) schemas.CollectionEvent {
	k := s.collections[schemas.CollectionID(schemas.PolicyID("T", number), p)]
	require.NotNil(s, k, "no such collection")
	return k.latest
}

// read makes the record that a line describes.
func (s *scenario) read(w []string) processors.Record {
	s.n++
	id := fmt.Sprintf("%s-%d", w[0], s.n)
	o := opts(w)
	if o["id"] != "" {
		id = o["id"]
	}
	switch w[0] {
	case "policy", "import":
		return s.policyCommand(id, w, o)
	case "patch":
		return s.patchCommand(id, w, o)
	case "execute":
		return &schemas.ExecuteCommand{
			RequestID: id, ExecutionID: cmp.Or(o["id"], "exec"), TenantID: "T", CustomerID: "C", PolicyNumber: w[1],
			PeriodMonth: schemas.Period(w[2]),
		}
	case "income":
		in := &schemas.Income{
			IncomeID: w[1], TenantID: "T", CustomerID: "C", Kind: schemas.IncomeKind(w[2]), PayDate: w[3],
			State: schemas.IncomeState(w[4]), Source: "payroll",
		}
		if len(w) > 5 {
			c := s.cents(w[5])
			in.AmountCents = &c
		}
		return in
	case "result":
		return s.result(id, w, o)
	case "close":
		return &schemas.CloseItemCommand{RequestID: id, TenantID: "T", CustomerID: "C", DebitID: s.debitOf(o), Note: "seen"}
	}
	clock := "08:00"
	if o["at"] != "" {
		clock = o["at"]
	}
	at, err := time.ParseInLocation("2006-01-02 15:04", w[1]+" "+clock, schemas.Johannesburg)
	require.NoError(s, err)
	tx := &schemas.Transaction{
		TransactionID: id, TenantID: "T", CustomerID: "C", BookedAt: at, AmountCents: s.cents(w[2]), Direction: schemas.Debit,
		AccountID: o["account"], BalanceAfterCents: s.centsOpt(o, "balance"), Description: w[3], Category: o["category"],
		State: schemas.BookingState(o["state"]), ReplacesTransactionID: o["replaces"],
	}
	if w[0] == "credit" {
		tx.Direction = schemas.Credit
	}
	return tx
}

func (s *scenario) patchCommand(id string, w []string, o map[string]string) *schemas.PolicyCommand {
	cmd := &schemas.PolicyCommand{
		RequestID: id, Action: schemas.PolicyPatch, TenantID: "T", CustomerID: "C", PolicyNumber: w[1],
		Terms: &schemas.PolicyTerms{},
	}
	_, _ = fmt.Sscan(o["version"], &cmd.IfVersion)
	value, t := strings.TrimPrefix(w[3], "-"), cmd.Terms
	switch w[2] {
	case "premium":
		cmd.SetPremium, cmd.Terms = new(s.cents(value)), nil
	case "status":
		cmd.SetStatus, cmd.Terms = new(schemas.PolicyStatus(value)), nil
	case "rail":
		t.Rail, cmd.Given = schemas.Rail(value), []string{schemas.GivenRail}
	case "max":
		t.MandateMaxCents, cmd.Given = s.cents(cmp.Or(value, "0")), []string{schemas.GivenMaximum}
	case "mandate":
		t.MandateReference, cmd.Given = value, []string{schemas.GivenMandate}
	case "fixed":
		t.MandateFixed, cmd.Given = value == "true", []string{schemas.GivenFixed}
	case "day":
		cmd.Given = []string{schemas.GivenDay}
		_, _ = fmt.Sscan(value, &t.CollectionDay)
	case "bank":
		t.Bank, cmd.Given = value, []string{schemas.GivenBank}
	case "token":
		t.AccountToken, cmd.Given = value, []string{schemas.GivenToken}
	default:
		require.Fail(s, "unknown field "+w[2])
	}
	return cmd
}

func (s *scenario) policyCommand(id string, w []string, o map[string]string) *schemas.PolicyCommand {
	terms := schemas.PolicyTerms{
		ExternalCustomerRef: "EXT", ProductCode: "FUNERAL_01", PremiumCents: s.cents(w[2]),
		Rail: schemas.Rail(o["rail"]), MandateReference: o["mandate"], Status: schemas.PolicyStatus(o["status"]),
	}
	_, terms.MandateFixed = o["fixed"]
	if c := s.centsOpt(o, "max"); c != nil {
		terms.MandateMaxCents = *c
	}
	_, _ = fmt.Sscan(o["day"], &terms.CollectionDay)
	cmd := &schemas.PolicyCommand{
		RequestID: id, Action: schemas.PolicyImport, TenantID: "T", CustomerID: "C",
		PolicyNumber: w[1], Terms: &terms,
	}
	if _, ok := o["create"]; ok {
		cmd.Action = schemas.PolicyCreate
	}
	if w[0] == "import" {
		cmd.Given = []string{schemas.GivenReference, schemas.GivenProduct, schemas.GivenPremium}
		for word, field := range map[string]string{
			"rail": schemas.GivenRail, "fixed": schemas.GivenFixed, "max": schemas.GivenMaximum, "day": schemas.GivenDay,
			"mandate": schemas.GivenMandate, "status": schemas.GivenStatus,
		} {
			if _, ok := o[word]; ok {
				cmd.Given = append(cmd.Given, field)
			}
		}
	}
	return cmd
}

func (s *scenario) result(id string, w []string, o map[string]string) *schemas.Result {
	res := &schemas.Result{
		ResultID: id, Status: schemas.ResultStatus(strings.ToUpper(w[1])), EffectiveDate: s.Now.Date.String(),
		ReasonScheme: o["scheme"], AmountCents: s.centsOpt(o, "amount"),
	}
	if len(w) > 2 && !strings.Contains(w[2], "=") {
		res.ReasonCode = w[2]
	}
	if o["on"] != "" {
		res.EffectiveDate = o["on"]
	}
	res.DebitID = s.debitOf(o)
	return res
}

// debitOf is the latest debit, or the one that an option names by its number or id.
func (s *scenario) debitOf(o map[string]string) string {
	n := len(s.order)
	_, _ = fmt.Sscan(o["debit"], &n)
	if n > 0 && n <= len(s.order) {
		return s.order[n-1]
	}
	return o["debit"]
}

// record brings a record and compares what came of it.
func (s *scenario) record(rec processors.Record, want string) {
	out, reject := s.step(rec)
	got := ""
	switch {
	case reject != nil:
		got = reject.Class
	case len(out.Outcomes) > 0 && out.Outcomes[0].Code != schemas.OutcomeOK:
		got = out.Outcomes[0].Code
	case out.Empty() && want == "nothing":
		got = "nothing"
	}
	require.Equal(s, want, got)
}

// expectTick compares the debits made and the decisions that stand.
func (s *scenario) expectTick(out book.Outputs, want string) {
	var debits []string
	for _, d := range out.Decisions {
		if d.Action == schemas.DecideDebit {
			debits = append(debits, fmt.Sprintf("debit %s %s %s", d.PolicyNumber, d.AmountCents, d.Reason))
		}
	}
	require.Len(s, debits, len(out.Debits), "each debit has its decision")
	var expected []string
	for _, item := range strings.FieldsFunc(want, func(r rune) bool { return r == ';' }) {
		w := strings.Fields(item)
		if w[0] == "debit" {
			more := opts(w[4:])
			if n := len(expected); n < len(out.Debits) {
				d := out.Debits[n]
				for key, is := range map[string]string{"ids": strings.Join(d.TransactionIDs, ","), "until": d.TrackingUntil} {
					if want, ok := more[key]; ok {
						require.Equal(s, want, is, key)
					}
				}
			}
			w = w[:4]
			expected = append(expected, strings.Join(w, " "))
			continue
		}
		s.expectStanding(w)
	}
	require.Equal(s, expected, debits)
}

// expectStanding finds the policy's latest decision: "wait POL REASON [NEXT]", with "POL/2025-10" for an earlier
// period.
func (s *scenario) expectStanding(w []string) {
	number, period, _ := strings.Cut(w[1], "/")
	if period == "" {
		period = string(schemas.PeriodOf(s.Now.Date))
	}
	d, ok := s.decided[schemas.CollectionID(schemas.PolicyID("T", number), schemas.Period(period))]
	require.True(s, ok, "no decision of %s", w[1])
	got := []string{strings.ToLower(string(d.Action)), w[1], d.Reason}
	if d.NextDate != "" {
		got = append(got, d.NextDate)
	}
	require.Equal(s, strings.Join(w, " "), strings.Join(got, " "))
}
