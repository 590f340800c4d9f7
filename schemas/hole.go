package schemas

import "fmt"

// Hole is a run of events that ClickHouse ought to hold and does not: those of one partition of a topic whose seq lies
// between From and To, both included. It is an error, because over a hole no sum may be told.
type Hole struct {
	Topic     string
	Partition int32
	// Stage counts the events where several stages write one topic (kasi.outcomes.v1); else empty.
	Stage    string
	From, To int64
}

// Twins says that two events of a partition have one number (seq) in ClickHouse. One of them is not Kasi's, so no sum
// is told over them.
type Twins struct {
	Topic     string
	Partition int32
}

func (t *Twins) Error() string {
	return fmt.Sprintf("two events of %s partition %d have one number in ClickHouse: kasi verify says more; drop the "+
		"table %s, and the sink fills it again", t.Topic, t.Partition, SunkTopics[t.Topic])
}

func (h *Hole) Error() string {
	return fmt.Sprintf("%s lacks numbers %d to %d in ClickHouse", h.Place(), h.From, h.To)
}

// Place names the partition.
func (h *Hole) Place() string {
	place := fmt.Sprintf("partition %d of %s", h.Partition, h.Topic)
	if h.Stage != "" {
		place += " (" + h.Stage + ")"
	}
	return place
}

// Missing is how many events the hole swallows.
func (h *Hole) Missing() int64 { return h.To - h.From + 1 }
