-- Limits of users, groups and everybody. subject_id is the id of the user or group, 0 for everybody. window is that of a budget, else
-- empty. amount is in nano-dollars, tokens or requests; patterns has names of models, separated by commas.
CREATE TABLE limits (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    scope      TEXT    NOT NULL CHECK (scope IN ('user', 'group', 'everybody')),
    subject_id INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    window     TEXT    NOT NULL DEFAULT '',
    amount     INTEGER,
    patterns   TEXT,
    is_watched INTEGER NOT NULL DEFAULT 0,
    set_at_ms  INTEGER NOT NULL,
    UNIQUE (scope, subject_id, kind, window)
) STRICT;

-- What raises budgets until a time. window is NULL if it raises every budget in the unit.
CREATE TABLE limit_extras (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    scope      TEXT    NOT NULL CHECK (scope IN ('user', 'group', 'everybody')),
    subject_id INTEGER NOT NULL,
    unit       TEXT    NOT NULL,
    window     TEXT,
    amount     INTEGER NOT NULL,
    until_ms   INTEGER NOT NULL,
    set_at_ms  INTEGER NOT NULL
) STRICT;
CREATE INDEX limit_extras_by_subject ON limit_extras (scope, subject_id);

-- What a batch or a background response may still use: reserved in budgets until its account is closed.
CREATE TABLE reservations (
    object_id     TEXT    PRIMARY KEY,
    user_id       INTEGER NOT NULL,
    started_at_ms INTEGER NOT NULL,
    nano_usd      INTEGER NOT NULL,
    tokens        INTEGER NOT NULL,
    requests      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER limits_inserted AFTER INSERT ON limits BEGIN UPDATE users_version SET version = version + 1; END;
CREATE TRIGGER limits_updated  AFTER UPDATE ON limits BEGIN UPDATE users_version SET version = version + 1; END;
CREATE TRIGGER limits_deleted  AFTER DELETE ON limits BEGIN UPDATE users_version SET version = version + 1; END;
CREATE TRIGGER limit_extras_inserted AFTER INSERT ON limit_extras BEGIN UPDATE users_version SET version = version + 1; END;
CREATE TRIGGER limit_extras_deleted  AFTER DELETE ON limit_extras BEGIN UPDATE users_version SET version = version + 1; END;
-- An id is never given twice, so that this is only about space.
CREATE TRIGGER limits_of_deleted_group AFTER DELETE ON groups BEGIN
    DELETE FROM limits WHERE scope = 'group' AND subject_id = OLD.id;
    DELETE FROM limit_extras WHERE scope = 'group' AND subject_id = OLD.id;
END;
CREATE TRIGGER limits_of_deleted_user AFTER UPDATE OF deleted_at_ms ON users WHEN NEW.deleted_at_ms IS NOT NULL BEGIN
    DELETE FROM limits WHERE scope = 'user' AND subject_id = OLD.id;
    DELETE FROM limit_extras WHERE scope = 'user' AND subject_id = OLD.id;
END;
