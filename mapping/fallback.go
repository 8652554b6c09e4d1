package mapping

// Fallback is what to do instead of a call that the account answers 404 to, with a warning; false if there is none.
func Fallback(req Request, in Input) (Request, string, bool) { return Request{}, "", false }
