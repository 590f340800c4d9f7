package sim

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"

	"cloud.google.com/go/civil"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// bank is the other side of kasi.debits.v1: it answers each debit in one of the ways in which banks do, now or weeks
// later, once or again and again. Its answer depends on the seed and the debit id alone.
type bank struct {
	*run
	seed   uint64
	answer []answer
	n      int
}

type answer struct {
	due   civil.Date
	order int
	bad   bool
	value []byte
}

func (b *bank) later(due civil.Date, bad bool, value any) {
	v, ok := value.([]byte)
	if !ok {
		v, _ = json.Marshal(value)
	}
	b.n++
	b.answer = append(b.answer, answer{due, b.n, bad, v})
}

// take decides what is going to be said of a debit.
func (b *bank) take(d schemas.DebitInstruction) {
	h := fnv.New64a()
	h.Write([]byte(d.DebitID))
	rng := rand.New(rand.NewPCG(b.seed, h.Sum64()))
	action, err := civil.ParseDate(d.ActionDate)
	b.check(err)
	id, tried := 0, 0
	if d.TrackingUntil != "" { // the account has the money on one of the days
		until, err := civil.ParseDate(d.TrackingUntil)
		b.check(err)
		tried = rng.IntN(until.DaysSince(action) + 1)
	}
	say := func(status schemas.ResultStatus, code string, after, known int) schemas.Result {
		id++
		after, known = after+tried, known+tried
		res := schemas.Result{
			ResultID: fmt.Sprintf("r-%s-%d", d.DebitID, id), DebitID: d.DebitID, Status: status,
			EffectiveDate: action.AddDays(after).String(),
		}
		if status != schemas.ResultPaid {
			res.ReasonCode, res.ReasonScheme = code, "ZA"
		}
		if rng.IntN(3) == 0 {
			res.AmountCents = &d.AmountCents
		}
		b.later(action.AddDays(known), false, res)
		return res
	}
	funds := []string{"02", "02", "02", "22"}[rng.IntN(4)]
	switch fate := rng.IntN(100); {
	case fate < 8:
		b.count("bank: never answers")
	case fate < 48:
		say(schemas.ResultPaid, "", 0, rng.IntN(3))
	case fate < 68:
		say(schemas.ResultUnpaid, funds, 0, rng.IntN(4))
	case fate < 73:
		say(schemas.ResultUnpaid, []string{"03", "04", "12", "18", "26", "99"}[rng.IntN(6)], 0, rng.IntN(4))
	case fate < 78:
		say(schemas.ResultRejected, "26", 0, 0)
	case fate < 83:
		b.count("bank: late unpaid")
		say(schemas.ResultPaid, "", 0, 0)
		say(schemas.ResultUnpaid, funds, 2, 2+rng.IntN(3))
	case fate < 88:
		b.count("bank: reordered")
		say(schemas.ResultUnpaid, funds, 2, 2)
		say(schemas.ResultPaid, "", 0, 2+rng.IntN(2))
	case fate < 94:
		b.count("bank: dispute")
		say(schemas.ResultPaid, "", 0, rng.IntN(3))
		after := 3 + rng.IntN(15)
		say(schemas.ResultDisputed, "30", after, after)
	case fate < 97:
		b.count("bank: dispute first")
		say(schemas.ResultDisputed, "30", 1, 1)
		say(schemas.ResultPaid, "", 0, 2)
	default:
		b.count("bank: very late")
		say(schemas.ResultPaid, "", 0, 10+rng.IntN(20))
	}
	b.mischief(rng, d, action, id)
}

// mischief is what else the bank says, of this debit or of none.
func (b *bank) mischief(rng *rand.Rand, d schemas.DebitInstruction, action civil.Date, said int) {
	when := action.AddDays(rng.IntN(6))
	res := schemas.Result{
		ResultID: fmt.Sprintf("r-%s-1", d.DebitID), DebitID: d.DebitID, Status: schemas.ResultPaid,
		EffectiveDate: d.ActionDate,
	}
	if said > 0 && rng.IntN(3) == 0 {
		b.count("bank: duplicate")
		i := slices.IndexFunc(b.answer, func(a answer) bool { return slices.Contains(resultIDs(a.value), res.ResultID) })
		again := b.answer[i]
		b.later(again.due.AddDays(rng.IntN(9)), false, again.value)
	}
	switch rng.IntN(13) {
	case 7:
		if said > 0 {
			b.count("bank: the same under another id")
			i := slices.IndexFunc(b.answer, func(a answer) bool { return slices.Contains(resultIDs(a.value), res.ResultID) })
			var again schemas.Result
			b.check(json.Unmarshal(b.answer[i].value, &again))
			again.ResultID += "-again"
			b.later(b.answer[i].due.AddDays(rng.IntN(5)), false, again)
		}
	case 0: // the id of an answer that was given, with another content
		if said > 0 {
			b.count("bank: id used twice")
			res.Status, res.ReasonCode, res.ReasonScheme, res.EffectiveDate = schemas.ResultUnpaid, "02", "ZA",
				action.AddDays(1).String()
			b.later(when, false, res)
		}
	case 1, 2:
		b.count("bank: contradiction")
		res.ResultID += "-c"
		res.Status, res.EffectiveDate = []schemas.ResultStatus{
			schemas.ResultRejected, schemas.ResultUnpaid,
			schemas.ResultPaid,
		}[rng.IntN(3)], action.AddDays(-1).String()
		b.later(when, false, res)
	case 3:
		b.count("bank: another amount")
		wrong := d.AmountCents + 1
		res.ResultID, res.AmountCents = res.ResultID+"-a", &wrong
		b.later(when, false, res)
	case 4:
		b.count("bank: unknown debit")
		res.ResultID += "-u"
		res.DebitID = schemas.DebitID(d.TenantID, d.CustomerID, d.CollectionID, d.Attempt+500)
		b.later(when, false, res)
	case 5:
		b.count("bank: foreign debit id")
		res.DebitID = "0123456789abcdef0123456789abcdef"
		b.later(when, true, res)
	case 6:
		b.count("bank: malformed")
		b.later(when, true, []byte(`{"result_id":"x","debit_id":`))
	}
}

func resultIDs(value []byte) []string {
	var res schemas.Result
	if json.Unmarshal(value, &res) != nil {
		return nil
	}
	return []string{res.ResultID}
}

// day sends the answers that are due, in any order.
func (b *bank) day(today civil.Date, rng *rand.Rand) {
	var due []answer
	b.answer = slices.DeleteFunc(b.answer, func(a answer) bool {
		if a.due.After(today) {
			return false
		}
		due = append(due, a)
		return true
	})
	rng.Shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] })
	for _, a := range due {
		b.produce(a.bad, &kgo.Record{Topic: schemas.TopicRailResults, Value: a.value})
	}
}
