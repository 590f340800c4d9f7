package book

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/kasi-collections/kasi/schemas"
)

// seenIDs holds the transaction ids of the last days, in the order of their arrival, in blocks of so many. A block is
// never changed; a longer one takes its place. So copies of a customer share them, and a new id writes one small row.
//
// An entry is 14 bytes: the id's hash, a hash of the content (0: not known), and the day of the booking, which is taken
// for one of 1970 to 2149.
type seenIDs struct {
	first  int      // number of the oldest block; 0 where there is none
	blocks []string // all but the latest are full
	index  []seenRun
}

const (
	seenSize  = 14
	seenBlock = 16 // ids
	// seenUnsorted is how many full blocks are looked through one by one. More are sorted into runs.
	seenUnsorted = 64
)

// seenRun is the ids of some full blocks, sorted by hash. It is found again from the blocks, and is in no row.
type seenRun struct {
	end int // number of the block after the last of it
	ids []seenID
}

type seenID struct {
	hash    uint64
	content uint32
}

func (s *seenIDs) empty() bool { return len(s.blocks) == 0 }

func (s *seenIDs) clone() seenIDs {
	return seenIDs{s.first, slices.Clone(s.blocks), slices.Clip(s.index)}
}

// find is the content of the id of that hash, and whether the id is known. Of one added twice the later counts.
func (s *seenIDs) find(hash uint64) (content uint32, known bool) {
	s.sortRuns()
	for i := len(s.blocks) - 1; i >= s.sorted(); i-- { // a duplicate mostly follows soon
		b := s.blocks[i]
		for at := len(b) - seenSize; at >= 0; at -= seenSize {
			if id := seenAt(b, at); id.hash == hash {
				return id.content, true
			}
		}
	}
	for _, run := range slices.Backward(s.index) {
		i, ok := slices.BinarySearchFunc(run.ids, hash, func(id seenID, h uint64) int { return cmp.Compare(id.hash, h) })
		for ; ok && i+1 < len(run.ids) && run.ids[i+1].hash == hash; i++ { // the same id's later content
		}
		if ok {
			return run.ids[i].content, true
		}
	}
	return 0, false
}

// add adds an id after all others.
func (s *seenIDs) add(hash uint64, content uint32, booked schemas.Day) {
	last := len(s.blocks) - 1
	if last < 0 || len(s.blocks[last]) == seenBlock*seenSize {
		s.blocks = append(s.blocks, "")
		last++
	}
	b := make([]byte, 0, len(s.blocks[last])+seenSize)
	b = append(b, s.blocks[last]...)
	b = binary.LittleEndian.AppendUint64(b, hash)
	b = binary.LittleEndian.AppendUint32(b, content)
	b = binary.LittleEndian.AppendUint16(b, uint16(min(max(booked, 0), math.MaxUint16)))
	s.blocks[last] = string(b)
}

// forget drops the oldest blocks as far as all their ids were booked before a day. An id counts as booked on the day
// from which the customer was known, where that is later.
func (s *seenIDs) forget(before, known schemas.Day) {
	n := 0
	for n < len(s.blocks) && (known < before) && s.allBefore(n, before) {
		n++
	}
	if n == 0 {
		return
	}
	s.blocks = slices.Delete(s.blocks, 0, n)
	s.first, s.index = s.first+n, nil
	if len(s.blocks) == 0 {
		s.first = 0 // as a restore would find it
	}
}

func (s *seenIDs) allBefore(block int, day schemas.Day) bool {
	b := s.blocks[block]
	for at := 0; at < len(b); at += seenSize {
		if schemas.Day(b[at+12])+schemas.Day(b[at+13])<<8 >= day {
			return false
		}
	}
	return true
}

// sorted is how many blocks stand in runs.
func (s *seenIDs) sorted() int {
	if len(s.index) == 0 {
		return 0
	}
	return s.index[len(s.index)-1].end - s.first
}

// sortRuns makes a run of the full blocks that are in none, once there are many. Two runs become one where the later is
// not the shorter, so that there are few, and an id is sorted a few times only.
func (s *seenIDs) sortRuns() {
	from, full := s.sorted(), len(s.blocks)-1
	if full-from < seenUnsorted {
		return
	}
	run := seenRun{end: s.first + full}
	for _, b := range s.blocks[from:full] {
		for at := 0; at < len(b); at += seenSize {
			run.ids = append(run.ids, seenAt(b, at))
		}
	}
	for n := len(s.index); n > 0 && len(s.index[n-1].ids) <= len(run.ids); n-- {
		run.ids = append(slices.Clone(s.index[n-1].ids), run.ids...)
		s.index = slices.Clip(s.index[:n-1])
	}
	slices.SortStableFunc(run.ids, func(a, b seenID) int { return cmp.Compare(a.hash, b.hash) })
	s.index = append(s.index, run)
}

func seenAt(b string, at int) seenID {
	e := []byte(b[at : at+12])
	return seenID{binary.LittleEndian.Uint64(e), binary.LittleEndian.Uint32(e[8:])}
}

// put puts a block of that number in its place, or takes it away: "". Blocks come in any order while a customer is
// restored.
func (s *seenIDs) put(no int, block string) {
	s.index = nil
	switch {
	case len(s.blocks) == 0:
		s.first, s.blocks = no, []string{block}
	case no < s.first:
		s.blocks = slices.Concat([]string{block}, make([]string, s.first-no-1), s.blocks)
		s.first = no
	default:
		for no >= s.first+len(s.blocks) {
			s.blocks = append(s.blocks, "")
		}
		s.blocks[no-s.first] = block
	}
	for len(s.blocks) > 0 && s.blocks[0] == "" {
		s.first, s.blocks = s.first+1, s.blocks[1:]
	}
	for n := len(s.blocks); n > 0 && s.blocks[n-1] == ""; n-- {
		s.blocks = s.blocks[:n-1]
	}
	if len(s.blocks) == 0 {
		s.first = 0
	}
}

// block is the block of that number, "" where there is none.
func (s *seenIDs) block(no int) string {
	if i := no - s.first; i >= 0 && i < len(s.blocks) {
		return s.blocks[i]
	}
	return ""
}
