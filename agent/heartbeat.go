package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/tigerops/tigerops-incidentio/agent/incidentio"
	"github.com/tigerops/tigerops-incidentio/store"
)

const (
	// stuckAfter is how long a due row may go untried until it counts as stuck (architecture section 6).
	stuckAfter = 2 * time.Minute
	// silentHeart is how long something may be stuck or dead until the heartbeat stops.
	silentHeart = 10 * time.Minute
)

// heart is what the heartbeat remembers.
type heart struct {
	dead map[int64]time.Time // when a dead event was first seen
}

// heartbeatLoop pings the heartbeat alert source, also when there is nothing to do, and stops while something has been
// stuck or dead for long, so that incident.io itself raises the alarm.
func (a *Agent) heartbeatLoop(ctx context.Context) error {
	h := heart{dead: make(map[int64]time.Time)}
	for {
		wait := time.Minute
		if c := a.cfg.Load(); c.Heartbeat.ID != "" {
			a.beat(ctx, c, &h)
			wait = c.Heartbeat.Every
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// beat pings once unless there is a reason not to.
func (a *Agent) beat(ctx context.Context, c *Config, h *heart) {
	why, err := a.ailing(ctx, h)
	if err != nil {
		why = "the database can't be read: " + err.Error()
	}
	if ctx.Err() != nil {
		return
	}
	if why != "" {
		a.in.tell.failed(levelError, "heartbeat stops", "no heartbeat is sent, so that incident.io raises the alarm", "reason", why)
		return
	}
	a.in.tell.works("heartbeat stops", "the heartbeat goes on")
	r := a.io.PingHeartbeat(ctx, c.Heartbeat.ID, c.Heartbeat.Token.Reveal())
	if r.Class != incidentio.Done {
		if ctx.Err() == nil {
			a.m.failure("heartbeat")
			a.in.tell.failed(levelWarn, "heartbeat", "the heartbeat was not taken", "error", r.Error())
		}
		return
	}
	a.in.tell.works("heartbeat", "the heartbeat is taken again")
}

// ailing says what has been stuck or dead for so long that people have to be told; nothing if all is well.
func (a *Agent) ailing(ctx context.Context, h *heart) (string, error) {
	if err := a.st.Damaged(); err != nil {
		return err.Error(), nil
	}
	now := a.now()
	why := ""
	dead := make(map[int64]time.Time)
	_, err := a.st.EachHead(ctx, func(head store.Head) {
		switch {
		case head.State == store.Dead:
			since, known := h.dead[head.OutboxID]
			if !known {
				since = now
			}
			dead[head.OutboxID] = since
			if now.Sub(since) >= silentHeart {
				why = fmt.Sprintf("event %d is dead", head.OutboxID)
			}
		case now.Sub(head.NextAttempt) >= stuckAfter+silentHeart && a.drain.stuckFor(now) >= stuckAfter+silentHeart:
			why = fmt.Sprintf("event %d was due at %s and has not been tried", head.OutboxID, head.NextAttempt.Format(time.RFC3339))
		}
	})
	if err != nil {
		return "", fmt.Errorf("read the outbox: %w", err)
	}
	h.dead = dead
	if why != "" {
		return why, nil
	}
	oldest, err := a.st.WaitingWebhooks(ctx, 1)
	if err != nil {
		return "", fmt.Errorf("list the webhooks: %w", err)
	}
	hooks, err := a.st.Webhooks(ctx, oldest...)
	if err != nil {
		return "", fmt.Errorf("read the webhooks: %w", err)
	}
	for _, w := range hooks {
		h := hookOf(w)
		if w.Attempts == 0 && now.Sub(w.ReceivedAt) >= stuckAfter+silentHeart && a.in.pullDue(h.subject.group(h.EventType)) {
			return "webhook " + w.ID + " has not been looked at", nil
		}
	}
	if a.cfg.Load().ApplyURL == "" {
		return "", nil
	}
	changes, err := a.st.Inbox(ctx, store.InboxQuery{State: store.Pending, Due: true, Limit: 1})
	if err != nil {
		return "", fmt.Errorf("read the inbox: %w", err)
	}
	for _, e := range changes {
		if now.Sub(e.NextAttempt) >= stuckAfter+silentHeart {
			return fmt.Sprintf("change %d has not been pushed", e.ID), nil
		}
	}
	return "", nil
}
