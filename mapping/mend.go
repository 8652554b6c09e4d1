package mapping

// Mend is the request without the part that incident.io refused, a warning, and whether anything worth sending is left.
func Mend(req Request, code, field, message string, in Input) (Request, string, bool) {
	return Request{}, "", false
}
