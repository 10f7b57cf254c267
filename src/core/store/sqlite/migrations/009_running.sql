-- A row may end as 'crashed': the server was killed while the request ran. Only the text of the definition changes, as in 005.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
    SET sql = replace(sql, '''backend_broke'', ''backend_error'')', '''backend_broke'', ''backend_error'', ''crashed'')')
    WHERE type = 'table' AND name = 'usage_logs';
PRAGMA writable_schema = RESET;

-- The servers that have requests in running_requests, by a random number. process identifies the process on its machine, and is empty
-- where that is not known. alive_at_ms moves every 100 ms meanwhile.
CREATE TABLE server_runs (
    id          INTEGER PRIMARY KEY,
    process     TEXT    NOT NULL,
    alive_at_ms INTEGER NOT NULL
) STRICT;

-- Requests that have run for longer than a second, with what they used until noted_at_ms. The row of a request deletes its note. What
-- a dead server leaves is booked as 'crashed'. No text is kept.
CREATE TABLE running_requests (
    run_id            INTEGER NOT NULL,
    id                INTEGER NOT NULL,
    user_id           INTEGER NOT NULL,
    key_id            INTEGER NOT NULL,
    started_at_ms     INTEGER NOT NULL,
    endpoint          TEXT    NOT NULL,
    model             TEXT    NOT NULL,
    service_tier      TEXT,
    status            INTEGER NOT NULL,
    input_tokens      INTEGER NOT NULL,
    output_tokens     INTEGER NOT NULL,
    tokens_per_second INTEGER NOT NULL,
    noted_at_ms       INTEGER NOT NULL,
    PRIMARY KEY (run_id, id)
) STRICT, WITHOUT ROWID;
