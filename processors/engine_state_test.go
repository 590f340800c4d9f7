package processors

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"cloud.google.com/go/civil"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
)

// fill sets every field of a value to something, so that a field forgotten in a copy or in JSON shows.
func fill(v reflect.Value, n *int64) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 4))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.String:
		v.SetString(fmt.Sprint("s", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n) % 256)
	default:
		v.SetInt(*n)
	}
}

// apart fails where two values share memory.
func apart(t *testing.T, path string, a, b reflect.Value) {
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			apart(t, path+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i))
		}
	case reflect.Slice:
		require.NotEqual(t, a.Pointer(), b.Pointer(), "%s is shared", path)
		for i := range a.Len() {
			apart(t, path, a.Index(i), b.Index(i))
		}
	case reflect.Pointer:
		require.NotEqual(t, a.Pointer(), b.Pointer(), "%s is shared", path)
	}
}

func TestCloneAndJSONHoldEverything(t *testing.T) {
	t.Parallel()
	c := &Customer{}
	n := int64(0)
	fill(reflect.ValueOf(c).Elem(), &n)
	c.Version = stateVersion
	read, err := UnmarshalCustomer(AppendCustomer(nil, c))
	require.NoError(t, err)
	require.Equal(t, c, read, "JSON holds every field")
	copied := c.Clone()
	require.Equal(t, c, copied, "a copy holds every field")
	apart(t, "Customer", reflect.ValueOf(c).Elem(), reflect.ValueOf(copied).Elem())
	var ids []string
	for id := range c.Debits() {
		ids = append(ids, id)
		if len(ids) == 3 {
			break
		}
	}
	require.Equal(t, []string{c.Collections[0].Debits[0].ID, c.Collections[0].Debits[1].ID, c.Collections[1].Debits[0].ID},
		ids)
}

func TestUnmarshalRefuses(t *testing.T) {
	t.Parallel()
	_, err := UnmarshalCustomer([]byte(`{"v":1`))
	require.ErrorContains(t, err, "read the state")
	_, err = UnmarshalCustomer([]byte(`{"v":99,"t":"T","c":"C"}`))
	require.ErrorContains(t, err, "layout 99")
}

func TestRecordsOfAnotherCustomerAreABug(t *testing.T) {
	t.Parallel()
	e, c, out := NewEngine(rules.Default()), &Customer{Tenant: "T", ID: "C"}, &Outputs{}
	for _, err := range []error{
		e.Transaction(c, schemas.Transaction{TenantID: "T", CustomerID: "D"}, schemas.Moment{}, out),
		e.Income(c, schemas.Income{TenantID: "U", CustomerID: "C"}, schemas.Moment{}, out),
		e.Policy(c, schemas.PolicyCommand{TenantID: "T", CustomerID: "D"}, schemas.Moment{}, out),
		e.Execute(c, schemas.ExecuteCommand{TenantID: "T", CustomerID: "D"}, schemas.Moment{}, out),
	} {
		require.ErrorContains(t, err, "another customer")
		var reject *schemas.Reject
		require.NotErrorAs(t, err, &reject)
	}
	require.Equal(t, &Customer{Tenant: "T", ID: "C"}, c)
	require.Equal(t, &Outputs{}, out)
}

func TestDays(t *testing.T) {
	t.Parallel()
	for d := (civil.Date{Year: 1899, Month: 12, Day: 25}); d.Year < 2105; d = d.AddDays(1) {
		n := schemas.DayOf(d)
		if n == 0 {
			require.Equal(t, civil.Date{Year: 1970, Month: 1, Day: 1}, d)
			continue
		}
		require.Equal(t, d, n.Date())
		require.Equal(t, n, schemas.DayOfUnix(n.Opening()))
		require.Equal(t, n, schemas.DayOfUnix(n.Opening()+86399))
		require.Equal(t, (int(d.In(time.UTC).Weekday())+6)%7, n.Weekday())
	}
	require.Equal(t, schemas.Day(0), schemas.DayOf(civil.Date{}))
}

// month runs one month of a customer with a salary and some spending: one failed attempt, then the salary, then paid.
func (w *world) month(first civil.Date, spending int) {
	period := schemas.PeriodOf(first)
	w.advance(first)
	w.step(schemas.ExecuteCommand{
		ExecutionID: "0198c1de-7a38-7c05-9b6e-3f5d7f5b6c11", TenantID: "tenant-1",
		CustomerID: "CUST0001", PolicyNumber: "POL0001", PeriodMonth: period,
	})
	w.advance(first.AddDays(10))
	for i := range spending {
		w.tx(schemas.Debit, first.AddDays(10), 5000+i, "CARD PURCHASE")
	}
	w.tx(schemas.Credit, w.engine.rules.Calendar.Payday(period, 25), 850000, "ACME LTD SALARY")
	for range 3 {
		w.advance(w.m.Date.AddDays(6))
		for _, d := range w.debits {
			if d.inFlight() {
				status, code := schemas.ResultPaid, ""
				if d.Attempt == 1 {
					status, code = schemas.ResultUnpaid, "02"
				}
				w.step(schemas.Result{
					ResultID: "r" + d.DebitID, DebitID: d.DebitID, Status: status, ReasonCode: code,
					EffectiveDate: d.ActionDate,
				})
			}
		}
	}
}

func (w *world) tx(dir schemas.Direction, on civil.Date, cents int, text string) {
	at := on.In(schemas.Johannesburg).Add(9 * time.Hour)
	balance := schemas.Cents(500000)
	w.step(schemas.Transaction{
		TransactionID: fmt.Sprintf("tx-%d", len(w.records)), TenantID: "tenant-1", CustomerID: "CUST0001", BookedAt: at,
		AmountCents: schemas.Cents(cents), Direction: dir,
		AccountID: "ACC-1", BalanceAfterCents: &balance, Description: text,
	})
}

func (w *world) years(months, spending int) {
	first := civil.Date{Year: 2024, Month: 1, Day: 1}
	w.step(schemas.Tick{Date: first.String()})
	w.step(schemas.PolicyCommand{
		Action: schemas.PolicyImport, TenantID: "tenant-1", CustomerID: "CUST0001",
		PolicyNumber: "POL0001", Terms: &schemas.PolicyTerms{
			PremiumCents: 15000, ExternalCustomerRef: "EXT-000001", ProductCode: "FUNERAL_01", MandateReference: "M-0001",
		},
	})
	for i := range months {
		w.month(first.AddMonths(i), spending)
	}
}

func TestStateStaysSmall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rules.Default())
	w.years(24, 5)
	size := len(w.bytes(w.c))
	t.Logf("2 years of monthly history: %d bytes: %s", size, w.bytes(w.c))
	require.Less(t, size, 3000)
	require.Equal(t, freqMonthly, w.c.Streams[0].Freq)
	w.replay()
}

// A restored customer takes no more room than it needs: there are millions of them.
func TestRestoredCustomerIsCompact(t *testing.T) {
	t.Parallel()
	c, err := UnmarshalCustomer([]byte(`{"v":1,"t":"acme","c":"C1","p":[{"n":"P1","v":1,"c":1,"s":"active","r":"EFT","a":1}],"k":[{"n":"P1","p":"2025-11","v":1,"d":1,"g":1,"w":{},"b":[{"i":"x","c":1,"a":1,"r":"EFT"}]}],` +
		`"s":[{"k":1,"n":"GIG","h":[[1,2]]}],"d":[{"n":1,"t":1,"c":1,"f":1}],"n":1}`))
	require.NoError(t, err)
	for what, room := range map[string]int{
		"policies": cap(c.Policies), "collections": cap(c.Collections), "debits": cap(c.Collections[0].Debits),
		"streams": cap(c.Streams),
		"history": cap(c.Streams[0].History), "deposits": cap(c.Deposits),
	} {
		require.LessOrEqual(t, room, 2, what)
	}
}
