-- What an operator should know. id is what webhooks and people see; payload is the JSON that is sent. Rows with the same dedup_key
-- are one alert.
CREATE TABLE alerts (
    number            INTEGER PRIMARY KEY AUTOINCREMENT,
    id                TEXT    NOT NULL UNIQUE,
    event             TEXT    NOT NULL,
    created_at_ms     INTEGER NOT NULL,
    payload           TEXT    NOT NULL,
    dedup_key         TEXT,
    forget_dedup_at_ms INTEGER
) STRICT;
CREATE INDEX alerts_by_event ON alerts (event, created_at_ms);

-- The keys of alerts outlive the alerts themselves: an alert is not raised again because its row was deleted. forget_at_ms is NULL
-- for a key that can come up at any time, such as that of a budget without an end.
CREATE TABLE alert_keys (
    dedup_key    TEXT    PRIMARY KEY,
    forget_at_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE TRIGGER alerts_inserted AFTER INSERT ON alerts WHEN NEW.dedup_key IS NOT NULL BEGIN
    INSERT INTO alert_keys (dedup_key, forget_at_ms) VALUES (NEW.dedup_key, NEW.forget_dedup_at_ms);
END;

-- The webhooks that servers had. webhook is a hash of the URL, which is a secret; label is its scheme and host. Alerts above
-- last_number have not been queued for it yet.
CREATE TABLE alert_webhooks (
    webhook     TEXT    PRIMARY KEY,
    label       TEXT    NOT NULL,
    last_number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for each alert and webhook. claimed_until_ms keeps a second server on this file from sending the same one.
CREATE TABLE alert_deliveries (
    webhook            TEXT    NOT NULL,
    number             INTEGER NOT NULL,
    state              TEXT    NOT NULL CHECK (state IN ('pending', 'sent', 'failed')),
    attempts           INTEGER NOT NULL DEFAULT 0,
    next_attempt_at_ms INTEGER NOT NULL DEFAULT 0,
    claimed_until_ms   INTEGER NOT NULL DEFAULT 0,
    last_error         TEXT,
    sent_at_ms         INTEGER,
    PRIMARY KEY (webhook, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX alert_deliveries_pending ON alert_deliveries (webhook, number) WHERE state = 'pending';
CREATE INDEX alert_deliveries_by_alert ON alert_deliveries (number);
CREATE TRIGGER alerts_deleted AFTER DELETE ON alerts BEGIN
    DELETE FROM alert_deliveries WHERE number = OLD.number;
END;
