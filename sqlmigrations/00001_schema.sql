-- The database of tigerops-incidentio. Times are RFC 3339 in UTC with milliseconds. Small columns stand before large
-- ones, so that a scan does not read through payloads.

-- +goose Up

-- An event from TigerOps. INSERT INTO outbox(payload) VALUES (:json) is all that a stranger needs.
--
-- event_id is the payload's "id"; where it has none but a timestamp, the id is derived from the content: 'content:' and
-- the payload without white space between its members. A number as an id counts as its text, an empty text as absent.
-- A repeated event_id is passed over in silence, also after the row that held it has been pruned (event_seen).
--
-- rev counts the agent's own changes of a row. A change that does not count it up is somebody else's: triggers see to it
-- that it makes sense, and write it to outbox_change for the running agent to notice.
--
-- known_… is what the agent's own door has read of the payload before it puts the row in: all four of them, or none where
-- it leaves the reading to SQLite, as everybody else does. It fills them with nothing but what the payload's expressions say,
-- and a row that has them is not parsed for its INSERT nor for any UPDATE. The generated columns are STORED
-- nevertheless: the rows of others would be parsed to be read.
--
-- Any other payload is parsed for every INSERT and UPDATE, so the expressions say as little as they can: an event_type that
-- is there means that the payload is a JSON object, which the others and the first constraint go by.
--
-- The constraints ask with = and OR: for a longer list IN builds a table, for every row anew.
CREATE TABLE outbox (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id         TEXT GENERATED ALWAYS AS (
        CASE WHEN known_type IS NOT NULL THEN known_id WHEN event_type IS NOT NULL THEN coalesce(
            CASE json_type(payload, '$.id')
                WHEN 'text' THEN nullif(payload ->> '$.id', '')
                WHEN 'integer' THEN payload -> '$.id'
                WHEN 'real' THEN payload -> '$.id'
            END,
            CASE WHEN payload ->> '$.timestamp' <> '' THEN 'content:' || json(payload) END)
        END) STORED,
    event_type       TEXT GENERATED ALWAYS AS (
        CASE WHEN known_type IS NOT NULL THEN known_type WHEN json_valid(payload) THEN
            coalesce(nullif(payload ->> '$.type', ''), nullif(payload ->> '$.event', ''))
        END) STORED,
    incident_key     TEXT GENERATED ALWAYS AS (
        CASE WHEN known_type IS NOT NULL THEN known_incident WHEN event_type IS NOT NULL THEN coalesce(
            CASE json_type(payload, '$.incident.id')
                WHEN 'text' THEN nullif(payload ->> '$.incident.id', '')
                WHEN 'integer' THEN payload -> '$.incident.id'
                WHEN 'real' THEN payload -> '$.incident.id'
            END,
            CASE json_type(payload, '$.incident_id')
                WHEN 'text' THEN nullif(payload ->> '$.incident_id', '')
                WHEN 'integer' THEN payload -> '$.incident_id'
                WHEN 'real' THEN payload -> '$.incident_id'
            END)
        END) STORED,
    severity         TEXT GENERATED ALWAYS AS (
        CASE WHEN known_type IS NOT NULL THEN known_severity WHEN event_type IS NOT NULL THEN
            coalesce(nullif(payload ->> '$.incident.severity', ''), nullif(payload ->> '$.severity', ''))
        END) STORED,
    state            TEXT NOT NULL DEFAULT 'pending',
    attempts         INTEGER NOT NULL DEFAULT 0,
    parked           INTEGER NOT NULL DEFAULT 0,  -- 1: set aside until an incident is tied
    merged           INTEGER NOT NULL DEFAULT 0,  -- 1: its effect is in incident.state already
    folded_into      INTEGER,                     -- the event that carried this one's effect
    rev              INTEGER NOT NULL DEFAULT 0,
    charged_ms       INTEGER NOT NULL DEFAULT 0,  -- time that counts towards giving up
    created_at       TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    next_attempt_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    first_attempt_at TEXT,
    finished_at      TEXT,
    reason           TEXT NOT NULL DEFAULT '',
    known_id         TEXT,
    known_type       TEXT,
    known_incident   TEXT,                        -- NULL: the event names none
    known_severity   TEXT,                        -- the same
    payload          TEXT NOT NULL,
    CONSTRAINT known_columns_are_for_the_agent_and_all_or_none CHECK (CASE WHEN known_type IS NULL
        THEN known_id IS NULL AND known_incident IS NULL AND known_severity IS NULL
        ELSE known_type <> '' AND known_id IS NOT NULL AND known_id <> '' END),
    CONSTRAINT payload_must_be_a_json_object CHECK (
        event_type IS NOT NULL OR CASE WHEN json_valid(payload) THEN json_type(payload) = 'object' ELSE 0 END),
    CONSTRAINT event_needs_a_type CHECK (event_type IS NOT NULL),
    CONSTRAINT event_needs_an_incident_id CHECK (incident_key IS NOT NULL OR event_type NOT IN (
        'incident.created', 'incident.updated', 'incident.acknowledged', 'incident.escalated', 'incident.resolved',
        'incident.reopened', 'investigation.step', 'runbook.action', 'postmortem.ready')),
    CONSTRAINT event_needs_an_id_or_a_timestamp CHECK (event_id IS NOT NULL),
    CONSTRAINT event_id_must_not_be_longer_than_512_characters
        CHECK (length(event_id) <= 512 OR event_id GLOB 'content:{*'),
    CONSTRAINT incident_id_must_not_be_longer_than_512_characters CHECK (length(incident_key) <= 512),
    CONSTRAINT state_must_be_pending_done_skipped_or_dead CHECK (state = 'pending' OR state = 'done' OR state = 'skipped' OR state = 'dead'),
    CONSTRAINT next_attempt_at_must_be_utc_with_milliseconds
        CHECK (next_attempt_at GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z'),
    CONSTRAINT event_id_is_unique UNIQUE (event_id) ON CONFLICT IGNORE
) STRICT;

-- The queue: the oldest row of a lane here is its head. With the state, so that counting reads nothing else.
CREATE INDEX outbox_unfinished ON outbox (incident_key, id, state) WHERE state IN ('pending', 'dead') AND parked = 0;
CREATE INDEX outbox_parked ON outbox (incident_key, id) WHERE state = 'pending' AND parked = 1;
CREATE INDEX outbox_dead ON outbox (id) WHERE state = 'dead';
-- The story of an incident.
CREATE INDEX outbox_finished ON outbox (incident_key, id) WHERE state IN ('done', 'skipped');

-- Event ids that outlive their rows.
CREATE TABLE event_seen (
    seq      INTEGER PRIMARY KEY,
    seen_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    event_id TEXT NOT NULL UNIQUE ON CONFLICT IGNORE
) STRICT;

-- Changes of old outbox rows that were not the agent's own. lane as the agent names it: the incident's id (with one more
-- "#" before an id that begins with "#"), or "#" and the row's id.
CREATE TABLE outbox_change (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    lane TEXT NOT NULL
) STRICT;

-- After, not before: a BEFORE trigger makes SQLite compute every generated column twice. The agent's own
-- statement asks event_seen itself before it puts a row in whose id is known.
-- +goose StatementBegin
CREATE TRIGGER outbox_passes_over_an_event_seen_before AFTER INSERT ON outbox
WHEN NEW.known_type IS NULL AND EXISTS (SELECT 1 FROM event_seen WHERE event_id = NEW.event_id)
BEGIN
    DELETE FROM outbox WHERE id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER outbox_payload_is_final
AFTER UPDATE OF payload, known_id, known_type, known_incident, known_severity ON outbox
WHEN (NEW.payload, NEW.known_id, NEW.known_type, NEW.known_incident, NEW.known_severity)
    IS NOT (OLD.payload, OLD.known_id, OLD.known_type, OLD.known_incident, OLD.known_severity)
BEGIN
    SELECT RAISE(ABORT, 'an event stays as it came: discard it and insert another under a new id');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER outbox_is_changed_by_hand AFTER UPDATE OF state, next_attempt_at, parked ON outbox WHEN NEW.rev = OLD.rev
BEGIN
    SELECT RAISE(ABORT, 'an event goes from pending to done, skipped or dead, and from dead to pending (retry) or skipped (discard); one that is done or skipped does not come back')
    WHERE NEW.state <> OLD.state AND OLD.state <> 'pending'
        AND NOT (OLD.state = 'dead' AND NEW.state IN ('pending', 'skipped'));
    INSERT INTO outbox_change (lane)
    SELECT coalesce(iif(NEW.incident_key GLOB '[#]*', '#', '') || NEW.incident_key, '#' || NEW.id)
    WHERE (NEW.state, NEW.next_attempt_at, NEW.parked) <> (OLD.state, OLD.next_attempt_at, OLD.parked);
    -- A retry starts anew.
    UPDATE outbox
    SET attempts = 0, charged_ms = 0, first_attempt_at = NULL, rev = rev + 1,
        next_attempt_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    WHERE id = NEW.id AND OLD.state = 'dead' AND NEW.state = 'pending';
    UPDATE outbox SET finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), rev = rev + 1
    WHERE id = NEW.id AND NEW.state IN ('done', 'skipped') AND NEW.finished_at IS NULL;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER outbox_event_id_outlives_its_row AFTER DELETE ON outbox
BEGIN
    INSERT INTO event_seen (event_id) VALUES (OLD.event_id);
    DELETE FROM delivery WHERE outbox_id = OLD.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER outbox_delete_is_noticed AFTER DELETE ON outbox WHEN OLD.state IN ('pending', 'dead')
BEGIN
    INSERT INTO outbox_change (lane)
    VALUES (coalesce(iif(OLD.incident_key GLOB '[#]*', '#', '') || OLD.incident_key, '#' || OLD.id));
END;
-- +goose StatementEnd

-- The ledger: one step of an event towards incident.io, frozen before its first send. An open step is sent again byte for
-- byte until it is known what became of it.
CREATE TABLE delivery (
    outbox_id       INTEGER NOT NULL,
    step            TEXT NOT NULL,
    state           TEXT NOT NULL DEFAULT 'open',
    attempts        INTEGER NOT NULL DEFAULT 1,
    http_status     INTEGER,
    started_at      TEXT NOT NULL,
    finished_at     TEXT,
    call            TEXT NOT NULL DEFAULT '',
    method          TEXT NOT NULL,
    path            TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    mark            TEXT NOT NULL DEFAULT '',  -- text that only this step puts there, to know its own by
    request_id      TEXT NOT NULL DEFAULT '',
    remote_id       TEXT NOT NULL DEFAULT '',
    folded          TEXT NOT NULL DEFAULT '[]', -- outbox ids whose effect this step carries too
    error           TEXT NOT NULL DEFAULT '',
    effect          TEXT NOT NULL DEFAULT '{}', -- what the step is expected to change
    request         TEXT NOT NULL,
    CONSTRAINT state_must_be_open_done_refused_or_left_out CHECK (state = 'open' OR state = 'done' OR state = 'refused' OR state = 'left_out'),
    PRIMARY KEY (outbox_id, step)
) STRICT;

CREATE INDEX delivery_open ON delivery (outbox_id) WHERE state = 'open';

-- A TigerOps incident as all its events so far tell it.
CREATE TABLE incident (
    tigerops_incident_id TEXT NOT NULL PRIMARY KEY,
    updated_at           TEXT NOT NULL,
    open                 INTEGER GENERATED ALWAYS AS (coalesce(state ->> '$.open', 0) = 1) STORED,
    state                TEXT NOT NULL,
    CONSTRAINT state_must_be_a_json_object
        CHECK (CASE WHEN json_valid(state) THEN json_type(state) = 'object' ELSE 0 END)
) STRICT;

CREATE INDEX incident_open ON incident (tigerops_incident_id) WHERE open = 1;

-- A TigerOps incident tied to an incident.io incident; many of the former to one of the latter. A TigerOps incident is
-- kept in step with one of the latter; beside it there may be those that an alert route made of its alert too late.
CREATE TABLE link (
    tigerops_incident_id TEXT NOT NULL,
    incident_id          TEXT NOT NULL,
    reference            TEXT NOT NULL DEFAULT '',
    permalink            TEXT NOT NULL DEFAULT '',
    origin               TEXT NOT NULL,
    alert_id             TEXT NOT NULL DEFAULT '',
    generation           TEXT NOT NULL DEFAULT '', -- the event that reopened the TigerOps incident last
    tigerops_status      TEXT NOT NULL DEFAULT '',
    tigerops_severity    TEXT NOT NULL DEFAULT '',
    incident_io_status   TEXT NOT NULL DEFAULT '',
    incident_io_category TEXT NOT NULL DEFAULT '',
    incident_io_severity TEXT NOT NULL DEFAULT '',
    closed               INTEGER NOT NULL DEFAULT 0,
    beside               INTEGER NOT NULL DEFAULT 0, -- 1: not the one that is kept in step
    created_at           TEXT NOT NULL,
    updated_at           TEXT NOT NULL,
    agreed               TEXT NOT NULL DEFAULT '{}', -- incident.io's side as both last agreed on it
    pushed               TEXT NOT NULL DEFAULT '{}', -- TigerOps' side as it was last sent
    PRIMARY KEY (tigerops_incident_id, incident_id),
    CONSTRAINT origin_must_be_declared_attached_or_alert_route CHECK (origin IN ('declared', 'attached', 'alert_route')),
    CONSTRAINT agreed_and_pushed_must_be_json CHECK (json_valid(agreed) AND json_valid(pushed))
) STRICT;

CREATE UNIQUE INDEX link_in_step ON link (tigerops_incident_id) WHERE beside = 0;
CREATE INDEX link_incident ON link (incident_id);
CREATE INDEX link_open ON link (tigerops_incident_id) WHERE closed = 0;

-- Ties that a reopen ended.
CREATE TABLE former_link (
    tigerops_incident_id TEXT NOT NULL,
    incident_id          TEXT NOT NULL,
    reference            TEXT NOT NULL,
    permalink            TEXT NOT NULL,
    origin               TEXT NOT NULL,
    alert_id             TEXT NOT NULL,
    generation           TEXT NOT NULL,
    tigerops_status      TEXT NOT NULL,
    tigerops_severity    TEXT NOT NULL,
    incident_io_status   TEXT NOT NULL,
    incident_io_category TEXT NOT NULL,
    incident_io_severity TEXT NOT NULL,
    closed               INTEGER NOT NULL,
    created_at           TEXT NOT NULL,
    updated_at           TEXT NOT NULL,
    agreed               TEXT NOT NULL,
    pushed               TEXT NOT NULL,
    dropped_at           TEXT NOT NULL,
    PRIMARY KEY (tigerops_incident_id, incident_id)
) STRICT;

CREATE INDEX former_link_incident ON former_link (incident_id);

-- Alerts sent to incident.io's alert source, by TigerOps incident (or event id, for an event without an incident).
CREATE TABLE alert (
    tigerops_incident_id TEXT NOT NULL,
    generation           TEXT NOT NULL DEFAULT '',
    key                  TEXT NOT NULL,
    alert_id             TEXT NOT NULL DEFAULT '',
    state                TEXT NOT NULL,
    updated_at           TEXT NOT NULL,
    CONSTRAINT state_must_be_fired_or_resolved CHECK (state IN ('fired', 'resolved')),
    PRIMARY KEY (tigerops_incident_id, generation)
) STRICT;

CREATE INDEX alert_fired ON alert (tigerops_incident_id) WHERE state = 'fired';

-- A webhook as it came. Its meaning is read after it is safe on disk: event_type and incident_id are filled when the
-- agent has looked at it.
--
-- room holds nothing. It gives way to what is filled in: a row that keeps its size is changed in place, while one that
-- grows is written anew with its body.
CREATE TABLE webhook (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL,
    event_type   TEXT,
    incident_id  TEXT,
    state        TEXT NOT NULL DEFAULT 'pending',
    attempts     INTEGER NOT NULL DEFAULT 0,
    received_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    processed_at TEXT,
    error        TEXT NOT NULL DEFAULT '',
    room         BLOB NOT NULL DEFAULT (zeroblob(160)),
    body         TEXT NOT NULL,
    CONSTRAINT webhook_needs_an_id CHECK (id <> ''),
    CONSTRAINT state_must_be_pending_done_failed_or_ignored CHECK (state = 'pending' OR state = 'done' OR state = 'failed' OR state = 'ignored'),
    CONSTRAINT webhook_id_is_unique UNIQUE (id) ON CONFLICT IGNORE
) STRICT;

CREATE INDEX webhook_pending ON webhook (seq) WHERE state = 'pending';
CREATE INDEX webhook_failed ON webhook (seq) WHERE state = 'failed';
CREATE INDEX webhook_incident ON webhook (incident_id, seq) WHERE incident_id IS NOT NULL;

-- A change for TigerOps to apply: SELECT … WHERE state = 'pending' ORDER BY id, then UPDATE … SET state = 'applied', or
-- 'rejected' with a reason.
CREATE TABLE inbox (
    id                   INTEGER PRIMARY KEY AUTOINCREMENT,
    key                  TEXT NOT NULL,
    type                 TEXT NOT NULL,
    tigerops_incident_id TEXT,
    incident_id          TEXT,
    state                TEXT NOT NULL DEFAULT 'pending',
    attempts             INTEGER NOT NULL DEFAULT 0,  -- of pushing it to TigerOps
    reason               TEXT NOT NULL DEFAULT '',
    source               TEXT NOT NULL DEFAULT '',
    created_at           TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    next_attempt_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    applied_at           TEXT,                        -- when it was applied or rejected
    payload              TEXT NOT NULL,
    CONSTRAINT payload_must_be_a_json_object
        CHECK (CASE WHEN json_valid(payload) THEN json_type(payload) = 'object' ELSE 0 END),
    CONSTRAINT state_must_be_pending_applied_or_rejected CHECK (state = 'pending' OR state = 'applied' OR state = 'rejected'),
    CONSTRAINT key_is_unique UNIQUE (key)
) STRICT;

CREATE INDEX inbox_pending ON inbox (id) WHERE state = 'pending';
CREATE INDEX inbox_pending_incident ON inbox (tigerops_incident_id, id) WHERE state = 'pending';
CREATE INDEX inbox_rejected ON inbox (id) WHERE state = 'rejected';
CREATE INDEX inbox_incident ON inbox (tigerops_incident_id, id);

-- How often a change without an id of incident.io's own has happened, so that each time has a key of its own and a
-- restored old copy counts on to the same keys.
CREATE TABLE inbox_key (
    base TEXT NOT NULL PRIMARY KEY,
    n    INTEGER NOT NULL,
    at   TEXT NOT NULL
) STRICT;

-- +goose StatementBegin
CREATE TRIGGER inbox_state_must_follow BEFORE UPDATE OF state ON inbox
WHEN NEW.state <> OLD.state AND OLD.state <> 'pending' AND NOT (OLD.state = 'rejected' AND NEW.state = 'pending')
BEGIN
    SELECT RAISE(ABORT, 'a change goes from pending to applied or rejected, and from rejected to pending (retry); one that is applied stays so');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER inbox_end_is_timed AFTER UPDATE OF state ON inbox
WHEN NEW.state <> OLD.state AND NEW.state <> 'pending'
BEGIN
    UPDATE inbox SET applied_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = NEW.id AND applied_at IS NULL;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER inbox_retry_starts_anew AFTER UPDATE OF state ON inbox
WHEN OLD.state = 'rejected' AND NEW.state = 'pending'
BEGIN
    UPDATE inbox
    SET applied_at = NULL, attempts = 0, reason = '', next_attempt_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    WHERE id = NEW.id;
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER inbox_change_is_final BEFORE UPDATE OF key, payload ON inbox
WHEN NEW.payload IS NOT OLD.payload OR NEW.key IS NOT OLD.key
BEGIN
    SELECT RAISE(ABORT, 'a change is told once and stays as it was told');
END;
-- +goose StatementEnd

-- What the agent remembers beside: the time of the last sweep, and the like.
CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- A webhook with its meaning, also while nobody has looked at it.
CREATE VIEW webhook_meaning AS
WITH typed AS (
    SELECT seq, id, state, attempts, received_at, processed_at, error, body, event_type, incident_id,
           CASE WHEN event_type IS NULL AND json_valid(body) AND body ->> '$.event_type' NOT GLOB '*[^a-zA-Z0-9._-]*'
               THEN body ->> '$.event_type' END AS told
    FROM webhook
)
SELECT seq, id, state, attempts, received_at, processed_at, error, body,
       coalesce(event_type, told) AS event_type,
       coalesce(incident_id, CASE WHEN told IS NOT NULL THEN coalesce(
           body ->> ('$."' || told || '".incident_id'),
           body ->> ('$."' || told || '".incident.id'),
           body ->> ('$."' || told || '".postmortem_document.incident_id'),
           CASE WHEN told GLOB '*_incident.incident_*' THEN body ->> ('$."' || told || '".id') END,
           body ->> ('$."' || told || '".related_incidents[0].id'),
           body ->> ('$."' || told || '".escalation.related_incidents[0].id')) END) AS incident_id
FROM typed;

-- For people: a line per link, with both sides' states and how far behind they are.
CREATE VIEW sync_state AS
SELECT l.tigerops_incident_id, l.reference, l.tigerops_status, l.incident_io_status, l.tigerops_severity,
       l.incident_io_severity, l.incident_io_category, l.origin, l.incident_id, l.permalink, l.closed, l.updated_at,
       (SELECT count(*) FROM outbox o
        WHERE o.incident_key = l.tigerops_incident_id AND o.state IN ('pending', 'dead') AND o.parked = 0
          AND o.state = 'pending') AS waiting,
       (SELECT count(*) FROM outbox o
        WHERE o.incident_key = l.tigerops_incident_id AND o.state IN ('pending', 'dead') AND o.parked = 0
          AND o.state = 'dead') AS dead,
       (SELECT count(*) FROM inbox i
        WHERE i.tigerops_incident_id = l.tigerops_incident_id AND i.state = 'pending') AS unapplied,
       coalesce(round((julianday('now') - julianday(nullif(min(
           coalesce((SELECT o.created_at FROM outbox o
                     WHERE o.incident_key = l.tigerops_incident_id AND o.state IN ('pending', 'dead') AND o.parked = 0
                     ORDER BY o.id LIMIT 1), 'none'),
           coalesce((SELECT i.created_at FROM inbox i
                     WHERE i.tigerops_incident_id = l.tigerops_incident_id AND i.state = 'pending'
                     ORDER BY i.id LIMIT 1), 'none')), 'none'))) * 86400, 1), 0.0) AS lag_seconds
FROM link l
ORDER BY l.closed, l.updated_at DESC;

-- For people: what does not move, and why.
CREATE VIEW stuck AS
WITH t AS (
    SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 minutes') AS two_minutes_ago,
           strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-10 minutes') AS ten_minutes_ago,
           -- One of the newest steps was just done: the agent runs, and incident.io takes what it sends.
           coalesce((SELECT max(d.state = 'done' AND d.started_at >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 minutes'))
                     FROM (SELECT state, started_at FROM delivery ORDER BY rowid DESC LIMIT 200) d), 0) AS moves
),
head AS (
    SELECT min(id) AS id FROM outbox WHERE state IN ('pending', 'dead') AND parked = 0 AND incident_key IS NOT NULL
    GROUP BY incident_key
    UNION ALL
    SELECT id FROM outbox WHERE state IN ('pending', 'dead') AND parked = 0 AND incident_key IS NULL
)
SELECT 'event' AS kind, CAST(o.id AS TEXT) AS id, coalesce(o.incident_key, '') AS incident, o.event_type AS what,
       o.created_at AS since,
       CASE
           WHEN o.state = 'dead' THEN 'dead, its incident waits behind it; retry or discard: ' || o.reason
           WHEN o.next_attempt_at < t.two_minutes_ago
               THEN 'due since ' || o.next_attempt_at
                    || iif(t.moves, ' and not tried yet, while others are delivered: it waits for its turn, as a rate limit of incident.io allows.',
                           ' and not tried: does the agent run, is incident.io reachable?')
                    || iif(o.reason = '', '', ' Last: ' || o.reason)
           ELSE 'tried ' || o.attempts || ' times, again at ' || o.next_attempt_at || ': ' || o.reason
       END AS why
FROM head JOIN outbox o ON o.id = head.id CROSS JOIN t
WHERE o.state = 'dead' OR o.next_attempt_at < t.two_minutes_ago
   OR (o.attempts > 0 AND o.created_at < t.two_minutes_ago)
UNION ALL
SELECT 'event', CAST(o.id AS TEXT), o.incident_key, o.event_type, o.created_at,
       'set aside until an incident is tied: ' || o.reason
FROM outbox o WHERE o.state = 'pending' AND o.parked = 1
UNION ALL
SELECT 'webhook', w.id, coalesce(w.incident_id, ''), coalesce(w.event_type, ''), w.received_at,
       CASE WHEN w.error = '' THEN 'waits to be looked at: does the agent run, is incident.io reachable?' ELSE w.error END
FROM webhook p INDEXED BY webhook_pending JOIN webhook_meaning w ON w.seq = p.seq
WHERE p.state = 'pending' AND p.received_at < (SELECT two_minutes_ago FROM t)
UNION ALL
SELECT 'webhook', w.id, coalesce(w.incident_id, ''), coalesce(w.event_type, ''), w.received_at, 'failed: ' || w.error
FROM webhook w WHERE w.state = 'failed'
UNION ALL
SELECT 'change', CAST(i.id AS TEXT), coalesce(i.tigerops_incident_id, i.incident_id, ''), i.type, i.created_at,
       'TigerOps has not taken it' || iif(i.reason = '', '', ': ' || i.reason)
FROM inbox i INDEXED BY inbox_pending
WHERE i.state = 'pending' AND i.created_at < (SELECT ten_minutes_ago FROM t)
UNION ALL
SELECT 'change', CAST(i.id AS TEXT), coalesce(i.tigerops_incident_id, i.incident_id, ''), i.type, i.created_at,
       'TigerOps rejected it; retry once the cause is mended: ' || i.reason
FROM inbox i WHERE i.state = 'rejected';

-- For people: every step both ways, in time order; WHERE tigerops_incident_id = '…' for one incident.
CREATE VIEW story AS
WITH event AS NOT MATERIALIZED (
    SELECT id, incident_key, event_type, state, reason, created_at, folded_into, payload FROM outbox
    WHERE state IN ('pending', 'dead') AND parked = 0
    UNION ALL
    SELECT id, incident_key, event_type, state, reason, created_at, folded_into, payload FROM outbox
    WHERE state = 'pending' AND parked = 1
    UNION ALL
    SELECT id, incident_key, event_type, state, reason, created_at, folded_into, payload FROM outbox
    WHERE state IN ('done', 'skipped')
)
SELECT e.incident_key AS tigerops_incident_id,
       coalesce((SELECT f.incident_id FROM former_link f
                 WHERE f.tigerops_incident_id = e.incident_key AND f.dropped_at > e.created_at
                 ORDER BY f.dropped_at LIMIT 1),
                (SELECT l.incident_id FROM link l WHERE l.tigerops_incident_id = e.incident_key AND l.beside = 0)) AS incident_id,
       e.created_at AS at, 'TigerOps → incident.io' AS direction, e.event_type AS what,
       trim(coalesce(e.payload ->> '$.step.title', e.payload ->> '$.action.title', e.payload ->> '$.incident.title',
                     e.payload ->> '$.title', '')
            || CASE WHEN e.folded_into IS NULL THEN '' ELSE ' (carried by event ' || e.folded_into || ')' END
            || CASE WHEN e.reason = '' THEN '' ELSE ' [' || e.reason || ']' END) AS detail,
       e.state AS state
FROM event e
UNION ALL
SELECT e.incident_key,
       coalesce((SELECT f.incident_id FROM former_link f
                 WHERE f.tigerops_incident_id = e.incident_key AND f.dropped_at > d.started_at
                 ORDER BY f.dropped_at LIMIT 1),
                (SELECT l.incident_id FROM link l WHERE l.tigerops_incident_id = e.incident_key AND l.beside = 0)),
       coalesce(d.finished_at, d.started_at), 'TigerOps → incident.io', d.step,
       trim(d.method || ' ' || d.path || coalesce(' ' || d.http_status, '')
            || iif(d.attempts > 1, ', attempt ' || d.attempts, '')
            || iif(d.error = '', '', ': ' || d.error)),
       d.state
FROM event e JOIN delivery d ON d.outbox_id = e.id
UNION ALL
SELECT l.tigerops_incident_id, w.incident_id, w.received_at, 'incident.io → TigerOps', coalesce(w.event_type, ''),
       trim('webhook ' || w.id || iif(w.error = '', '', ': ' || w.error)), w.state
FROM (SELECT tigerops_incident_id, incident_id FROM link
      UNION SELECT tigerops_incident_id, incident_id FROM former_link) l
JOIN webhook w ON w.incident_id = l.incident_id
UNION ALL
SELECT i.tigerops_incident_id, i.incident_id, i.created_at, 'incident.io → TigerOps', i.type,
       trim(coalesce(i.payload ->> '$.message', '')
            || coalesce(' ' || (i.payload ->> '$.after'), ' no longer ' || (i.payload ->> '$.before'), '')
            || CASE WHEN i.payload ->> '$.actor.name' IS NULL THEN '' ELSE ' by ' || (i.payload ->> '$.actor.name') END
            || iif(i.reason = '', '', ' [' || i.reason || ']')),
       i.state
FROM inbox i
ORDER BY at;

PRAGMA user_version = 1;
