package store

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

var errPending = errors.New("store: method under construction")

type Options struct {
	Path       string
	Owner      bool
	Group      string
	Logger     *slog.Logger
	Version    string
	ReadOnly   bool
	Litestream bool
}
type Store struct{}

func Open(ctx context.Context, o Options) (*Store, error) { return nil, errPending }
func (s *Store) Close() error                             { return nil }
func (s *Store) InsertEvents(ctx context.Context, payloads [][]byte) ([]Inserted, error) {
	return nil, errPending
}
func (s *Store) Heads(ctx context.Context) ([]Head, Cursor, error) { return nil, Cursor{}, errPending }
func (s *Store) Touched(ctx context.Context, c Cursor) (lanes []string, next Cursor, more bool, err error) {
	return nil, c, false, errPending
}
func (s *Store) Head(ctx context.Context, lane string) (Head, bool, error) {
	return Head{}, false, errPending
}
func (s *Store) DataVersion(ctx context.Context) (int64, error)     { return 0, errPending }
func (s *Store) Event(ctx context.Context, id int64) (Event, error) { return Event{}, errPending }
func (s *Store) Waiting(ctx context.Context, lane string, after int64, limit int) ([]Event, error) {
	return nil, errPending
}
func (s *Store) IncidentState(ctx context.Context, tigeropsID string) ([]byte, bool, error) {
	return nil, false, errPending
}
func (s *Store) Link(ctx context.Context, tigeropsID string) (*Link, error) { return nil, errPending }
func (s *Store) LinksOf(ctx context.Context, incidentID string) ([]Link, error) {
	return nil, errPending
}
func (s *Store) OpenLinks(ctx context.Context) ([]Link, error) { return nil, errPending }
func (s *Store) FormerLinks(ctx context.Context, tigeropsID string) ([]Link, error) {
	return nil, errPending
}
func (s *Store) Steps(ctx context.Context, outboxID int64) ([]Step, error) { return nil, errPending }
func (s *Store) OpenStepsOf(ctx context.Context, incidentID string) ([]Step, error) {
	return nil, errPending
}
func (s *Store) OwnRemoteIDs(ctx context.Context, incidentID string) (map[string]bool, error) {
	return nil, errPending
}
func (s *Store) Commit(ctx context.Context, c Commit) (inboxIDs []int64, err error) {
	return nil, errPending
}
func (s *Store) Alert(ctx context.Context, tigeropsID, generation string) (*Alert, error) {
	return nil, errPending
}
func (s *Store) OpenAlertsWithoutLink(ctx context.Context) ([]Alert, error) { return nil, errPending }
func (s *Store) InsertWebhook(ctx context.Context, id string, body []byte) (duplicate bool, err error) {
	return false, errPending
}
func (s *Store) PendingWebhooks(ctx context.Context, limit int) ([]Webhook, error) {
	return nil, errPending
}
func (s *Store) Inbox(ctx context.Context, q InboxQuery) ([]InboxEntry, error) {
	return nil, errPending
}
func (s *Store) AckInbox(ctx context.Context, ids ...int64) (int, error) { return 0, errPending }
func (s *Store) RejectInbox(ctx context.Context, reason string, ids ...int64) (int, error) {
	return 0, errPending
}

// RetryInbox makes rejected rows pending again; without ids every rejected one.
func (s *Store) RetryInbox(ctx context.Context, ids ...int64) (int, error) { return 0, errPending }
func (s *Store) PushDefer(ctx context.Context, id int64, next time.Time, reason string) error {
	return errPending
}

type Topic uint8

const (
	TopicOutbox Topic = iota
	TopicInbox
	TopicWebhooks
)

// Changed returns a channel that is closed at the next commit of this process to the topic (without one, to any).
// Take it first, look second, wait third.
func (s *Store) Changed(topics ...Topic) <-chan struct{} { return nil }

// RetryEvents makes dead events pending again; without ids every dead one.
func (s *Store) RetryEvents(ctx context.Context, ids ...int64) (int, error) { return 0, errPending }
func (s *Store) DiscardEvents(ctx context.Context, reason string, ids ...int64) (int, error) {
	return 0, errPending
}
func (s *Store) Outbox(ctx context.Context, q OutboxQuery) ([]Event, error) { return nil, errPending }
func (s *Store) Status(ctx context.Context) (Status, error)                 { return Status{}, errPending }
func (s *Store) Story(ctx context.Context, incident string) ([]StoryRow, error) {
	return nil, errPending
}
func (s *Store) Stuck(ctx context.Context) ([]StuckRow, error)        { return nil, errPending }
func (s *Store) Meta(ctx context.Context, key string) (string, error) { return "", errPending }
func (s *Store) SetMeta(ctx context.Context, key, value string) error { return errPending }
func (s *Store) Probe(ctx context.Context) error                      { return errPending }
func (s *Store) Backup(ctx context.Context, path string) error        { return errPending }
func (s *Store) Prune(ctx context.Context, before time.Time, limit int) (n int, err error) {
	return 0, errPending
}
func (s *Store) Checkpoint(ctx context.Context) error                   { return errPending }
func (s *Store) IncrementalVacuum(ctx context.Context, pages int) error { return errPending }
func (s *Store) Check(ctx context.Context) error                        { return errPending }
