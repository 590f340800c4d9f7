package processors

import "strconv"

func (w *stateWriter) policy(p *policy) {
	w.text(`"n":`, p.Number)
	w.number(`"v":`, p.Version)
	w.optionalText(`"x":`, p.Ref)
	w.optionalText(`"q":`, p.Product)
	w.number(`"c":`, int64(p.Premium))
	w.text(`"s":`, string(p.Status))
	w.text(`"r":`, string(p.Rail))
	w.optionalText(`"m":`, p.Mandate)
	w.optional(`"l":`, int64(p.Max))
	w.flag(`"f":`, p.Fixed)
	w.optional(`"d":`, int64(p.Day))
	w.optionalText(`"h":`, p.Hold)
	w.number(`"a":`, p.CreatedMs)
	w.optional(`"u":`, int64(p.Unpaids))
}

func (w *stateWriter) collection(k *collection) {
	w.text(`"n":`, k.Number)
	w.text(`"p":`, string(k.Period))
	w.optionalText(`"x":`, k.Execution)
	w.number(`"v":`, k.Version)
	w.number(`"d":`, int64(k.Due))
	w.optional(`"c":`, int64(k.Collected))
	w.number(`"g":`, int64(k.Plan))
	w.optional(`"f":`, int64(k.First))
	w.optional(`"l":`, int64(k.Last))
	w.optional(`"a":`, int64(k.Attempts))
	w.optionalText(`"e":`, k.Failure)
	w.flag(`"o":`, k.Cancelled)
	w.flag(`"u":`, k.Stopped)
	w.flag(`"z":`, k.Closed)
	w.flag(`"y":`, k.Reopened)
	w.optional(`"i":`, int64(k.Decisions))
	w.key(`"w":`)
	w.b = append(w.b, '{')
	w.optionalText(`"r":`, k.Decided.Reason)
	w.optional(`"n":`, int64(k.Decided.Next))
	w.optional(`"a":`, int64(k.Decided.Amount))
	w.b = append(w.b, '}')
	list(w, `"b":`, k.Debits, (*stateWriter).debit)
}

func (w *stateWriter) debit(d *debit) {
	w.text(`"i":`, d.ID)
	w.number(`"c":`, int64(d.Cents))
	w.number(`"a":`, int64(d.Action))
	w.text(`"r":`, string(d.Rail))
	w.optional(`"s":`, int64(d.State))
	w.optional(`"p":`, int64(d.PaidOn))
	w.optional(`"b":`, int64(d.BackOn))
	w.optionalText(`"e":`, d.Code)
	w.optional(`"u":`, int64(d.RowBefore))
	if len(d.Uses) > 0 {
		pairs(w, `"d":`, d.Uses)
	}
	if len(d.Results) > 0 {
		w.key(`"x":`)
		for i, hash := range d.Results {
			w.b = strconv.AppendUint(append(w.b, "[,"[min(i, 1)]), hash, 10)
		}
		w.b = append(w.b, ']')
	}
}

func (w *stateWriter) stream(s *stream) {
	w.number(`"k":`, int64(s.Key))
	w.text(`"n":`, string(s.Kind))
	pairs(w, `"h":`, s.History)
	w.optionalText(`"f":`, s.Freq)
	w.optional(`"p":`, int64(s.Confidence))
	w.optional(`"a":`, int64(s.A))
	w.optional(`"b":`, int64(s.B))
	w.optional(`"x":`, int64(s.Next))
}

func (w *stateWriter) deposit(d *deposit) {
	w.number(`"n":`, int64(d.No))
	w.number(`"t":`, d.At)
	w.number(`"c":`, int64(d.Cents))
	w.optional(`"r":`, int64(d.Remaining))
	w.optional(`"s":`, int64(d.Stream))
	w.optionalText(`"a":`, d.Account)
	w.number(`"f":`, int64(d.From))
	w.optionalText(`"i":`, d.Income)
}

func (w *stateWriter) waiting(x *waiting) {
	w.optionalText(`"i":`, x.TxID)
	w.number(`"t":`, x.At)
	w.optional(`"c":`, int64(x.Cents))
	w.optionalText(`"n":`, string(x.Kind))
	w.optional(`"s":`, int64(x.Stream))
	w.optionalText(`"a":`, x.Account)
	if x.Balance != nil {
		w.number(`"b":`, int64(*x.Balance))
	}
}

func (w *stateWriter) income(i *income) {
	w.text(`"i":`, i.ID)
	w.text(`"n":`, string(i.Kind))
	w.number(`"d":`, int64(i.Day))
	w.text(`"s":`, string(i.State))
	w.optional(`"c":`, int64(i.Cents))
	w.optional(`"k":`, int64(i.Stream))
	w.flag(`"f":`, i.Done)
}

func (w *stateWriter) balance(b *balance) {
	w.optionalText(`"a":`, b.Account)
	w.number(`"t":`, b.At)
	w.number(`"c":`, int64(b.Cents))
}
