package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tigerops/tigerops-incidentio/mapping"
	"github.com/tigerops/tigerops-incidentio/store"
	"github.com/tigerops/tigerops-incidentio/webhook"
)

// shownIncidents and shownEvents bound the page; the tables behind it have all.
const (
	shownIncidents = 200
	shownEvents    = 50
)

// Report is what GET /v1/status answers.
type Report struct {
	Version    string           `json:"version"`
	Now        time.Time        `json:"now"`
	Ready      bool             `json:"ready"`
	NotReady   []string         `json:"not_ready,omitempty"`
	Warnings   []string         `json:"warnings,omitempty"`
	IncidentIO IncidentIOReport `json:"incident_io"`
	PullOnly   bool             `json:"pull_only"`
	DryRun     bool             `json:"dry_run"`
	PushPaused string           `json:"push_paused,omitempty"`
	store.Status
}

// IncidentIOReport is how the agent stands with incident.io.
type IncidentIOReport struct {
	Usable      bool      `json:"usable"`
	Reason      string    `json:"reason,omitempty"` // why it is not
	LastContact time.Time `json:"last_contact,omitzero"`
	RateLeft    int       `json:"rate_budget_left"`
}

// IncidentReport is what GET /v1/incidents/{id} answers: one line per TigerOps incident, and the story in time order.
type IncidentReport struct {
	Links []store.Sync               `json:"links"`
	State map[string]json.RawMessage `json:"state"` // by TigerOps id: what TigerOps has told
	Story []store.StoryRow           `json:"story"`
}

func (a *Agent) report(ctx context.Context) (Report, error) {
	s, err := a.st.Status(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("read the status: %w", err)
	}
	c := a.cfg.Load()
	r := Report{
		Version: a.opts.Version, Now: a.now().Truncate(time.Millisecond), NotReady: a.notReady(), PullOnly: a.edges.webhookAddr() == "", DryRun: c.DryRun,
		PushPaused: a.in.paused(), Status: s,
	}
	r.Ready = len(r.NotReady) == 0
	r.Troubles = a.troubles()
	for _, w := range a.warnings() {
		r.Warnings = append(r.Warnings, w.Text)
	}
	r.IncidentIO.Usable, r.IncidentIO.Reason = a.up.usable()
	r.IncidentIO.RateLeft, r.IncidentIO.LastContact = int(a.up.left()), a.up.contact()
	return r, nil
}

// contact is when incident.io last answered.
func (u *upstream) contact() time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.lastContact.UTC().Truncate(time.Millisecond)
}

// warnings are what a person should look at although the agent works.
func (a *Agent) warnings() []webhook.PageWarning {
	c := a.cfg.Load()
	var all []webhook.PageWarning
	for _, w := range c.Warnings {
		mend := w.Mend
		w.Mend = ""
		all = append(all, webhook.PageWarning{Text: w.String(), Mend: mend})
	}
	if why := a.in.silence(); why != "" {
		all = append(all, webhook.PageWarning{Text: why, Mend: "Is the webhook endpoint switched off in incident.io? Switch it on again under Settings, Webhooks."})
	}
	if c.DryRun {
		all = append(all, webhook.PageWarning{Text: "Dry run: nothing is sent to incident.io.", Mend: "set AGENT_DRY_RUN=false"})
	}
	if a.edges.webhookAddr() == "" {
		all = append(all, webhook.PageWarning{
			Text: "Pull-only: changes in incident.io come by the sweep, every " + c.ReconcileInterval.String() + ".",
			Mend: "set INCIDENT_IO_WEBHOOK_SECRET and point a webhook endpoint of incident.io here",
		})
	}
	return all
}

// incidentReport tells all of one incident, named by either side's id or by its reference.
func (a *Agent) incidentReport(ctx context.Context, id string) (IncidentReport, error) {
	var r IncidentReport
	var err error
	if r.Links, r.Story, err = a.incident(ctx, id); err != nil {
		return r, err
	}
	r.State = make(map[string]json.RawMessage)
	for _, key := range tigeropsIDs(id, r.Links, r.Story) {
		raw, ok, err := a.st.IncidentState(ctx, key)
		if err != nil {
			return r, fmt.Errorf("read incident %s: %w", key, err)
		}
		if ok {
			r.State[key] = raw
		}
	}
	if len(r.Links)+len(r.Story)+len(r.State) == 0 {
		return r, fmt.Errorf("incident %q: %w", id, webhook.ErrNotFound)
	}
	return r, nil
}

// incident finds an incident's ties and its story.
func (a *Agent) incident(ctx context.Context, id string) ([]store.Sync, []store.StoryRow, error) {
	links, err := a.st.Syncs(ctx, id)
	if err != nil {
		return nil, nil, fmt.Errorf("read the links: %w", err)
	}
	story, err := a.st.Story(ctx, id)
	if err != nil {
		return nil, nil, fmt.Errorf("read the story of %s: %w", id, err)
	}
	return links, append([]store.StoryRow{}, story...), nil // a list in JSON, also without an element
}

// tigeropsIDs are the TigerOps incidents that a report is about.
func tigeropsIDs(id string, links []store.Sync, story []store.StoryRow) []string {
	ids := []string{id}
	for _, l := range links {
		ids = append(ids, l.TigerOpsID)
	}
	for _, s := range story {
		ids = append(ids, s.TigerOpsID)
	}
	slices.Sort(ids)
	return slices.Compact(slices.DeleteFunc(ids, func(s string) bool { return s == "" }))
}

// page gives the data of the status page.
func (a *Agent) page(ctx context.Context) (webhook.Page, error) {
	s, err := a.st.Status(ctx)
	if err != nil {
		return webhook.Page{}, fmt.Errorf("read the status: %w", err)
	}
	p := webhook.Page{
		Version: a.opts.Version, Org: cmp.Or(a.cfg.Load().OrgSlug, a.dir.orgSlug()), Now: a.now(),
		NotReady: a.notReady(), Warnings: a.warnings(),
		Contacts: []webhook.PageContact{
			{Name: "event from TigerOps", At: s.LastEvent},
			{Name: "delivery to incident.io", At: s.LastDelivery},
			{Name: "answer from incident.io", At: a.up.contact()},
			{Name: "webhook from incident.io", At: s.LastWebhook},
			{Name: "sweep over incident.io", At: s.LastSweep},
		},
		Queue: webhook.PageQueue{
			Waiting: s.Waiting, Parked: s.Parked, Dead: s.Dead, Oldest: s.OldestWaiting,
			Webhooks: s.WebhooksPending, InboxPending: s.InboxPending, InboxRejected: s.InboxRejected,
		},
	}
	if ok, why := a.up.usable(); !ok && !slices.Contains(p.NotReady, why) {
		p.Warnings = append(p.Warnings, webhook.PageWarning{Text: why, Mend: "Events wait and are sent when it is back."})
	}
	p.HoursSince = a.m.day.began()
	for _, h := range a.m.day.last() {
		p.Hours = append(p.Hours, webhook.PageHour{Start: h.start, Delivered: h.delivered, Failed: h.failed, Changes: h.changes})
	}
	if p.Incidents, p.IncidentsMore, err = a.pageIncidents(ctx, s.Links); err != nil {
		return p, err
	}
	if p.Dead, err = a.pageEvents(ctx, store.OutboxQuery{State: store.Dead, Limit: shownEvents}); err != nil {
		return p, err
	}
	p.DeadMore = max(s.Dead-len(p.Dead), 0)
	if p.Waiting, err = a.pageEvents(ctx, store.OutboxQuery{State: store.Pending, Limit: shownEvents}); err != nil {
		return p, err
	}
	waitBehind(p.Waiting, p.Dead)
	p.WaitingMore = max(s.Waiting+s.Parked-len(p.Waiting), 0)
	return p, nil
}

// pageIncidents shows those that are out of step first, then the open ones, the latest first.
func (a *Agent) pageIncidents(ctx context.Context, links []store.Sync) (shown []webhook.PageIncident, more int, err error) {
	slices.SortStableFunc(links, func(x, y store.Sync) int {
		if c := cmp.Compare(rankOf(x), rankOf(y)); c != 0 {
			return c
		}
		return y.UpdatedAt.Compare(x.UpdatedAt)
	})
	if more = len(links) - shownIncidents; more > 0 {
		links = links[:shownIncidents]
	}
	for _, l := range links {
		i, err := a.pageIncident(ctx, l)
		if err != nil {
			return nil, 0, err
		}
		shown = append(shown, i)
	}
	return shown, max(more, 0), nil
}

func rankOf(l store.Sync) int {
	switch {
	case l.Dead > 0:
		return 0
	case l.Waiting+l.Unapplied > 0:
		return 1
	case !l.Closed:
		return 2
	}
	return 3
}

func (a *Agent) pageIncident(ctx context.Context, l store.Sync) (webhook.PageIncident, error) {
	state, err := a.stateOf(ctx, l.TigerOpsID)
	if err != nil {
		return webhook.PageIncident{}, err
	}
	return webhook.PageIncident{
		TigerOpsID: l.TigerOpsID, Title: state.Incident.Title, TigerOpsURL: state.Incident.URL,
		TigerOpsStatus: l.TigerOpsStatus, TigerOpsSeverity: l.TigerOpsSeverity,
		IncidentID: l.IncidentID, Reference: l.Reference, Permalink: l.Permalink,
		IncidentIOStatus: l.Status, IncidentIOSeverity: l.Severity, Origin: l.Origin,
		Waiting: l.Waiting, Dead: l.Dead, Inbox: l.Unapplied, Closed: l.Closed, UpdatedAt: l.UpdatedAt,
	}, nil
}

func (a *Agent) pageEvents(ctx context.Context, q store.OutboxQuery) ([]webhook.PageEvent, error) {
	rows, err := a.st.Outbox(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	var out []webhook.PageEvent
	for _, r := range rows {
		e := webhook.PageEvent{
			ID: r.ID, EventID: r.EventID, Type: r.Type, Incident: r.IncidentKey, Reason: r.Reason, Attempts: r.Attempts, CreatedAt: r.CreatedAt,
		}
		if r.State == store.Pending && !r.Parked {
			e.NextAttempt = r.NextAttempt
		}
		out = append(out, e)
	}
	return out, nil
}

// waitBehind says of events that wait for a dead one of their incident that they do: they are due and yet not sent.
func waitBehind(waiting, dead []webhook.PageEvent) {
	for i, w := range waiting {
		for _, d := range dead {
			if w.Incident != "" && w.Incident == d.Incident && w.ID > d.ID {
				waiting[i].Reason, waiting[i].NextAttempt = fmt.Sprintf("behind event %d, which is dead", d.ID), time.Time{}
			}
		}
	}
}

// storyPage gives the data of one incident's page.
func (a *Agent) storyPage(ctx context.Context, id string) (webhook.Story, error) {
	links, rows, err := a.incident(ctx, id)
	if err != nil {
		return webhook.Story{}, err
	}
	s := webhook.Story{Version: a.opts.Version, Now: a.now()}
	ids := tigeropsIDs(id, links, rows)
	if len(links) > 0 {
		if s.Incident, err = a.pageIncident(ctx, links[0]); err != nil {
			return s, err
		}
	} else {
		if len(rows) == 0 {
			return s, fmt.Errorf("incident %q: %w", id, webhook.ErrNotFound)
		}
		var state mapping.State
		if state, err = a.stateOf(ctx, rows[0].TigerOpsID); err != nil {
			return s, err
		}
		s.Incident = webhook.PageIncident{
			TigerOpsID: rows[0].TigerOpsID, Title: state.Incident.Title, TigerOpsURL: state.Incident.URL,
			TigerOpsStatus: state.Incident.Status, TigerOpsSeverity: state.Incident.Severity, UpdatedAt: rows[len(rows)-1].At,
		}
	}
	for _, key := range ids {
		dead, err := a.pageEvents(ctx, store.OutboxQuery{State: store.Dead, Incident: key, Limit: shownEvents})
		if err != nil {
			return s, err
		}
		s.Dead = append(s.Dead, dead...)
	}
	for _, r := range rows {
		s.Lines = append(s.Lines, webhook.StoryLine{
			At: r.At, Out: r.Direction == toIncidentIO, What: r.What, Detail: Detail(r), State: r.State,
		})
	}
	return s, nil
}
