package mapping

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// move is what an update changed, as against the update before it.
type move struct{ status, severity bool }

// sortUpdates brings the updates into order and finds what each of them changed. The incident and its updates are
// two requests, so that an update can be seen whose effect the incident does not show yet: that one and all behind
// it are left for the next look, else a change would be told without its actor and message.
func (w *comparison) sortUpdates() {
	w.updates = slices.Clone(w.Look.Updates)
	slices.SortStableFunc(w.updates, func(a, b Update) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	w.updates = slices.DeleteFunc(w.updates, func(u Update) bool { return u.ID == "" })

	remote := w.Look.Remote
	settled := func(carries func(Update) (told, fits bool)) int {
		end := len(w.updates)
		for i, u := range slices.Backward(w.updates) {
			told, fits := carries(u)
			if fits {
				break
			}
			if told && !remote.UpdatedAt.IsZero() && u.At.After(remote.UpdatedAt) && !w.seen(seenUpdate, u.ID) {
				end = i
			}
		}
		return end
	}
	w.updates = w.updates[:min(
		settled(func(u Update) (bool, bool) {
			return u.Status != nil, u.Status != nil && sameStatus(*u.Status, remote.Status)
		}),
		settled(func(u Update) (bool, bool) {
			return u.Severity != nil, u.Severity != nil && sameSeverity(u.Severity, remote.Severity)
		}),
	)]

	status, severity := w.base.Status, w.base.Severity
	for _, u := range w.updates {
		var m move
		if u.Status != nil {
			m.status = !sameStatus(*u.Status, status)
			status = *u.Status
		}
		if u.Severity != nil {
			m.severity = !sameSeverity(u.Severity, severity)
			severity = u.Severity
		}
		w.moves = append(w.moves, m)
	}
}

// mover is the newest update not seen before that made the change, nil if there is none.
func (w *comparison) mover(made func(Update, move) bool) *Update {
	for i, u := range slices.Backward(w.updates) {
		if !w.seen(seenUpdate, u.ID) && made(u, w.moves[i]) {
			return &w.updates[i]
		}
	}
	return nil
}

// ownUpdate says whether a step of the agent's made the update.
func (w *comparison) ownUpdate(u *Update) bool {
	return u != nil && (w.OwnIDs[u.ID] || w.machine(&u.By) && w.ownText(u.Message))
}

// by fills in what an update tells of the change that it made. Its message is told once, in the first row that takes
// it. The parts are those of the row's key: the update's id if it is known, else what the change came to, which may
// come again.
func (w *comparison) by(c *Change, u *Update, values ...string) (parts []string) {
	if u == nil {
		c.Repeatable = true
		return values
	}
	c.OccurredAt = u.At
	c.Actor = actorOf(&u.By)
	if !w.told[u.ID] {
		c.Message = strings.TrimSpace(u.Message)
		w.told[u.ID] = true
	}
	return []string{u.ID}
}

// movedAt is when a change was made in incident.io.
func (w *comparison) movedAt(u *Update) time.Time {
	if u == nil || u.At.IsZero() {
		return w.Look.Remote.UpdatedAt
	}
	return u.At
}

// tellMessages tells what people said in updates, unless a row tells it together with what they changed. What nobody
// is named for at the first look came with the declaration.
func (w *comparison) tellMessages() {
	for _, u := range w.updates {
		if _, seen := w.see(seenUpdate, u.ID, "1"); seen {
			continue
		}
		text := strings.TrimSpace(u.Message)
		if text == "" || w.told[u.ID] || w.old(u.At) || !w.Rules.PullTimeline || w.ownUpdate(&u) || w.ownKey(&u.By) || w.Look.First && w.machine(&u.By) {
			continue
		}
		w.row(Change{Type: ChangeMessage, Actor: actorOf(&u.By), Message: text, OccurredAt: u.At}, "message", u.ID)
	}
}
