package mapping

// StatusFromRemote says what a status of incident.io is called in TigerOps. Several TigerOps statuses may share one,
// so the current one is kept where it fits.
func StatusFromRemote(remote Status, r *Rules, d *Directory, current string) string {
	return current
}

// SeverityFromRemote says what a severity of incident.io is called in TigerOps. Several TigerOps severities may share
// one, so the current one is kept where it fits.
func SeverityFromRemote(remote *Severity, r *Rules, d *Directory, current string) string {
	return current
}
