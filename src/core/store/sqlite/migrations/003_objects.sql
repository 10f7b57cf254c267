-- Who made what at the backend, by the backend's id. All users share the backend's key, so the backend cannot tell them apart.
-- is_settled: what the object used has its row in usage_logs, or it uses nothing (batches and background responses use later).
CREATE TABLE objects (
    id         TEXT    NOT NULL PRIMARY KEY,
    kind       TEXT    NOT NULL,
    user_id    INTEGER NOT NULL,
    made_at_ms INTEGER NOT NULL,
    is_settled INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- For lists of a user's own objects, and how many are left to look for.
CREATE INDEX objects_by_user ON objects (user_id, kind);
-- For those that are looked at now and then because nobody else has looked.
CREATE INDEX objects_pending ON objects (made_at_ms) WHERE is_settled = 0;
