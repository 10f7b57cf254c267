-- Users who were imported from other programs, so that importing again doubles nothing. source_user is what the other program calls the
-- user by. Rows of usage up to last_row of its table are booked. is_complete is 0 while an import runs: the user's keys do not work yet.
CREATE TABLE import_users (
    user_id        INTEGER NOT NULL,
    format         TEXT    NOT NULL,
    source_user    TEXT    NOT NULL,
    last_row       INTEGER NOT NULL,
    is_complete    INTEGER NOT NULL,
    imported_at_ms INTEGER NOT NULL,
    PRIMARY KEY (user_id, format)
) STRICT, WITHOUT ROWID;
CREATE INDEX import_users_by_source ON import_users (format, source_user);
