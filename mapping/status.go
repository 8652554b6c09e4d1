package mapping

// ResolveStatus maps a TigerOps status to the account's status.
func ResolveStatus(tigeropsStatus string, r *Rules, d *Directory) (Status, bool) {
	return Status{}, false
}

// StatusPath is the legal way from one status to another: nil, true when there already; false when there is none.
func StatusPath(from, to Status, d *Directory) ([]Status, bool) { return nil, false }
