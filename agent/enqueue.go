package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
)

// insertAtOnce is how many events are stored in one transaction: enough to make the commit's price small, few enough
// that a running agent's writes get their turn.
const insertAtOnce = 500

// Batch is the events of a file, each found good.
type Batch struct {
	Payloads [][]byte
	Known    []store.Known // what was read of each already
	Lines    []int         // where each begins, counted from 1
	Tests    int           // test events, which are good for nothing but testing the door
}

// EventFault is what is wrong with an event of a file.
type EventFault struct {
	Line int
	mapping.FieldError
}

// ParseEvents takes a file of events apart: a JSON object, an array, or NDJSON. The faults are those of single events;
// the error is that of a file that can't be taken apart at all.
func ParseEvents(body []byte) (Batch, []EventFault, error) {
	events, err := mapping.SplitBatch(body)
	if err != nil {
		return Batch{}, nil, err
	}
	var b Batch
	var faults []EventFault
	line, rest := 1, body
	for i, payload := range events {
		// Only blanks and commas stand between events, so the next place that holds these bytes is this event's.
		if at := bytes.Index(rest, payload); at >= 0 {
			line += bytes.Count(rest[:at], []byte("\n"))
			rest = rest[at:]
		}
		test, known, found := mapping.Check(payload)
		for _, f := range found {
			f.Index = i
			faults = append(faults, EventFault{Line: line, FieldError: f})
		}
		if test {
			b.Tests++
		} else {
			b.Payloads, b.Known, b.Lines = append(b.Payloads, payload), append(b.Known, store.Known(known)), append(b.Lines, line)
		}
		line += bytes.Count(payload, []byte("\n"))
		rest = rest[min(len(payload), len(rest)):]
	}
	return b, faults, nil
}

// Accepted tells what became of a batch.
type Accepted struct {
	Accepted   int      `json:"accepted"`
	Duplicates int      `json:"duplicates"` // seen before, nothing was written
	IDs        []string `json:"ids"`        // of every event in order, repeats included
}

// Enqueue stores a batch durably, insertAtOnce events a transaction, telling progress after each. When it fails
// midway, what it answers for is on disk, and the same batch can be given again: what is there already is passed over.
func (d *Desk) Enqueue(ctx context.Context, b Batch, progress func(done int)) (Accepted, error) {
	a := Accepted{IDs: []string{}}
	for from := 0; from < len(b.Payloads); from += insertAtOnce {
		to := min(from+insertAtOnce, len(b.Payloads))
		rows, err := d.InsertEvents(ctx, b.Payloads[from:to], b.Known[from:to]...)
		var refused *store.ConstraintError
		if errors.As(err, &refused) {
			return a, fmt.Errorf("line %d: the database refuses the event: %s", b.Lines[from+refused.Index], refused.Name)
		}
		if err != nil {
			return a, err
		}
		for _, row := range rows {
			if row.Duplicate {
				a.Duplicates++
			} else {
				a.Accepted++
			}
			a.IDs = append(a.IDs, row.EventID)
		}
		progress(len(a.IDs))
	}
	return a, nil
}
