package mapping

// Apply adds an event up. The result shares no memory with s; applying the same event again changes nothing.
func (s State) Apply(ev Event) State {
	return s
}

// Foldable returns the indexes of the events of later, waiting behind head in the same lane, whose effect head can
// carry along. It is empty unless head is an incident.updated.
func Foldable(head Event, later []Event) []int {
	return nil
}
