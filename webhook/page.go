package webhook

import "time"

// Page is what the status page shows. Zero times are shown as "never".
type Page struct {
	Version  string    // of the program
	Org      string    // the organisation's slug in incident.io, may be empty
	Now      time.Time // when the data were read
	NotReady []string  // reasons why the agent is not ready; none if it is
	Warnings []PageWarning
	Contacts []PageContact // last contact each way, in the order to show
	Queue    PageQueue
	Hours    []PageHour // the last day by hour, oldest first; fewer or none is fine
	// HoursSince is when their counting began, which the page tells if it is less than a day ago.
	HoursSince time.Time
	// Incidents are the tied ones, those out of step first; More counts those beyond the ones given.
	Incidents     []PageIncident
	IncidentsMore int
	Dead          []PageEvent // with retry and discard at hand
	DeadMore      int
	Waiting       []PageEvent
	WaitingMore   int
}

// Young tells whether the counts of the charts are of less than a day.
func (p Page) Young() bool { return p.Now.Sub(p.HoursSince) < 23*time.Hour }

// PageWarning is something that a person should look at.
type PageWarning struct {
	Text string // what is wrong
	Mend string // what to do about it, may be empty
}

// PageContact is when something last went from one side to the other.
type PageContact struct {
	Name string // "webhook from incident.io"
	At   time.Time
	Note string // may be empty
}

// PageQueue counts what is under way.
type PageQueue struct {
	Waiting, Parked, Dead       int       // events towards incident.io
	Oldest                      time.Time // when the oldest waiting event came; zero if none waits
	Webhooks                    int       // webhooks not looked at yet
	InboxPending, InboxRejected int       // changes for TigerOps
}

// PageHour is one hour of the charts.
type PageHour struct {
	Start     time.Time
	Delivered int // events done
	Failed    int // attempts that failed
	Changes   int // changes told to TigerOps
}

// PageIncident is one tie, both sides.
type PageIncident struct {
	TigerOpsID, Title                    string
	TigerOpsURL                          string // may be empty
	TigerOpsStatus, TigerOpsSeverity     string
	IncidentID, Reference, Permalink     string
	IncidentIOStatus, IncidentIOSeverity string // incident.io's own names
	Origin                               string // declared, attached, alert_route
	Waiting, Dead                        int    // events of it that wait or are dead
	Inbox                                int    // its changes that TigerOps has not taken
	Closed                               bool
	UpdatedAt                            time.Time
}

// InStep tells whether nothing is under way either way.
func (p PageIncident) InStep() bool { return p.Waiting == 0 && p.Dead == 0 && p.Inbox == 0 }

// PageEvent is one event of the outbox.
type PageEvent struct {
	ID          int64 // of the outbox row
	EventID     string
	Type        string
	Incident    string // TigerOps id, empty for an event without an incident
	Reason      string // why it waits or is dead
	Attempts    int
	CreatedAt   time.Time
	NextAttempt time.Time // zero if none is planned
}

// Story is what the page of one incident shows.
type Story struct {
	Version  string
	Now      time.Time
	Incident PageIncident
	Dead     []PageEvent // with retry and discard at hand
	Lines    []StoryLine // in time order
}

// StoryLine is one step, either way.
type StoryLine struct {
	At     time.Time
	Out    bool   // true: TigerOps → incident.io; false: incident.io → TigerOps
	What   string // "incident.update", "incident.status_changed"
	Detail string // what it said, or what went wrong; may be empty
	State  string // done, pending, dead, applied, rejected, …
}
