package systemd

// NewJournal is Journal with another end than the journal's socket.
var NewJournal = newJournal
