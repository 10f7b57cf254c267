-- Seconds of audio (as milliseconds) and images, which some endpoints are billed by; they are no tokens.
-- Only the definition of the table changes, as in the eighth migration: ALTER TABLE would check all rows for each column.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
    SET sql = substr(sql, 1, length(sql) - length(') STRICT')) || ',
    audio_ms INTEGER NOT NULL DEFAULT 0,
    images INTEGER NOT NULL DEFAULT 0
) STRICT'
    WHERE type = 'table' AND name = 'usage_logs' AND sql LIKE '%) STRICT';
PRAGMA writable_schema = RESET;
ALTER TABLE usage_hourly ADD COLUMN audio_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_hourly ADD COLUMN images INTEGER NOT NULL DEFAULT 0;

-- One row: usage_hourly holds the rows of usage_logs up to this id, reports read the few above it one by one.
-- Summing many rows at once costs a fraction of adding each to its hour as it is written.
CREATE TABLE usage_rollup (last_id INTEGER NOT NULL) STRICT;
INSERT INTO usage_rollup (last_id) SELECT coalesce(max(id), 0) FROM usage_logs;
-- An id is given again when the newest rows are deleted by hand; a row that gets one is still to be summed.
CREATE TRIGGER usage_logs_deleted AFTER DELETE ON usage_logs
    WHEN OLD.id > (SELECT coalesce(max(id), 0) FROM usage_logs)
BEGIN
    UPDATE usage_rollup SET last_id = min(last_id, (SELECT coalesce(max(id), 0) FROM usage_logs));
END;
