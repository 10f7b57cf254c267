-- What is true of the whole database, such as ('store_keys', 'hashed').
CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Users and their keys. key_hash (SHA-256) is what a request's key is looked up by; api_key is the whole key, or its
-- first and last characters where only hashes are kept.
CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    username      TEXT    NOT NULL UNIQUE,
    api_key       TEXT    NOT NULL,
    key_hash      BLOB    NOT NULL UNIQUE,
    created_at_ms INTEGER NOT NULL,
    is_active     INTEGER NOT NULL DEFAULT 1
) STRICT;

-- One row: moves whenever a user changes, so that a running server reloads its keys then and only then.
-- Triggers move it, so that a change made with the sqlite3 shell counts too.
CREATE TABLE users_version (version INTEGER NOT NULL) STRICT;
INSERT INTO users_version (version) VALUES (0);
CREATE TRIGGER users_inserted AFTER INSERT ON users BEGIN UPDATE users_version SET version = version + 1; END;
CREATE TRIGGER users_updated  AFTER UPDATE ON users BEGIN UPDATE users_version SET version = version + 1; END;
CREATE TRIGGER users_deleted  AFTER DELETE ON users BEGIN UPDATE users_version SET version = version + 1; END;

-- One row per request that the backend answered. Times are Unix milliseconds; cached is a part of input, reasoning of output.
CREATE TABLE usage_logs (
    id                 INTEGER PRIMARY KEY,
    started_at_ms      INTEGER NOT NULL,
    user_id            INTEGER NOT NULL,
    endpoint           TEXT    NOT NULL,
    model              TEXT    NOT NULL,
    served_model       TEXT,
    input_tokens       INTEGER NOT NULL,
    output_tokens      INTEGER NOT NULL,
    cached_tokens      INTEGER NOT NULL,
    reasoning_tokens   INTEGER NOT NULL,
    status             INTEGER NOT NULL,
    outcome            TEXT    NOT NULL CHECK (outcome IN ('completed', 'client_gone', 'backend_broke')),
    usage_source       TEXT    NOT NULL CHECK (usage_source IN ('backend', 'estimate', 'none')),
    duration_ms        INTEGER NOT NULL,
    first_byte_ms      INTEGER,
    backend_request_id TEXT
) STRICT;
CREATE INDEX usage_logs_by_time ON usage_logs (started_at_ms);

-- The same rows summed by hour (started_at_ms / 3600000), written in the transaction that writes the row.
CREATE TABLE usage_hourly (
    hour             INTEGER NOT NULL,
    user_id          INTEGER NOT NULL,
    endpoint         TEXT    NOT NULL,
    model            TEXT    NOT NULL,
    requests         INTEGER NOT NULL,
    requests_ok      INTEGER NOT NULL,
    input_tokens     INTEGER NOT NULL,
    output_tokens    INTEGER NOT NULL,
    cached_tokens    INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    PRIMARY KEY (hour, user_id, endpoint, model)
) STRICT, WITHOUT ROWID;
