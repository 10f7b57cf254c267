-- Users have groups and any number of keys. A key has a table of its own, so that rotating or revoking one loses nothing.
CREATE TABLE groups (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT    NOT NULL UNIQUE,
    created_at_ms INTEGER NOT NULL
) STRICT;

-- hash (SHA-256) is what a request's key is looked up by. clear is the whole key, NULL where only hashes are kept; display has its
-- first and last characters. last_used_at_ms is written once a minute at most.
CREATE TABLE keys (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id         INTEGER NOT NULL,
    hash            BLOB    NOT NULL UNIQUE,
    clear           TEXT,
    display         TEXT    NOT NULL,
    label           TEXT,
    created_at_ms   INTEGER NOT NULL,
    expires_at_ms   INTEGER,
    revoked_at_ms   INTEGER,
    last_used_at_ms INTEGER
) STRICT;
CREATE INDEX keys_by_user ON keys (user_id);

-- Each user's key gets the id of its user: so a row of usage without a key is one of the key with the user's id.
INSERT INTO keys (id, user_id, hash, clear, display, created_at_ms)
SELECT id, id, key_hash,
    iif(instr(api_key, '…'), NULL, api_key),
    CASE
        WHEN instr(api_key, '…') THEN api_key
        WHEN length(api_key) < 24 THEN '…'
        ELSE substr(api_key, 1, 9) || '…' || substr(api_key, -4)
    END,
    created_at_ms
FROM users;

-- A deleted user stays, because usage was booked to it; the name is free again.
CREATE TABLE new_users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    username      TEXT    NOT NULL,
    group_id      INTEGER,
    created_at_ms INTEGER NOT NULL,
    is_active     INTEGER NOT NULL DEFAULT 1,
    deleted_at_ms INTEGER
) STRICT;
INSERT INTO new_users (id, username, created_at_ms, is_active) SELECT id, username, created_at_ms, is_active FROM users;
-- No id is given twice, neither that of a user who was removed by hand, nor one of a key that is its user's.
DELETE FROM sqlite_sequence WHERE name IN ('new_users', 'keys');
INSERT INTO sqlite_sequence (name, seq)
    SELECT fresh.name, max(used.id) FROM (SELECT 'new_users' AS name UNION ALL SELECT 'keys') AS fresh,
        (SELECT seq AS id FROM sqlite_sequence WHERE name = 'users'
            UNION ALL SELECT coalesce(max(user_id), 0) FROM usage_logs
            UNION ALL SELECT coalesce(max(user_id), 0) FROM usage_hourly) AS used
    GROUP BY fresh.name;
DROP TABLE users;
ALTER TABLE new_users RENAME TO users;
CREATE UNIQUE INDEX users_by_name ON users (username) WHERE deleted_at_ms IS NULL;
CREATE INDEX users_by_group ON users (group_id);

-- The prices that rows were priced by, and those that an operator sets (source 'set', from from_ms on). fields is a JSON object with
-- the names of LiteLLM's price file and decimal texts.
CREATE TABLE prices (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    model           TEXT    NOT NULL,
    source          TEXT    NOT NULL CHECK (source IN ('set', 'file', 'snapshot')),
    fields          TEXT    NOT NULL,
    from_ms         INTEGER,
    created_at_ms   INTEGER NOT NULL,
    withdrawn_at_ms INTEGER
) STRICT;
CREATE INDEX prices_by_model ON prices (model);
-- Which prices the rows of a model were priced by.
CREATE TABLE model_prices (
    model    TEXT    NOT NULL,
    price_id INTEGER NOT NULL,
    PRIMARY KEY (model, price_id)
) STRICT, WITHOUT ROWID;

-- What repricing adds to the cost of a row, which itself never changes. prices_row is 1 for the first cost of a row without one.
CREATE TABLE usage_adjustments (
    id                  INTEGER PRIMARY KEY,
    usage_id            INTEGER NOT NULL,
    made_at_ms          INTEGER NOT NULL,
    cost_delta_nano_usd INTEGER NOT NULL,
    prices_row          INTEGER NOT NULL,
    price_id            INTEGER NOT NULL
) STRICT;
CREATE INDEX usage_adjustments_by_usage ON usage_adjustments (usage_id);
-- An id of usage_logs is given again when the newest rows are deleted by hand.
CREATE TRIGGER usage_adjustments_deleted AFTER DELETE ON usage_logs BEGIN
    DELETE FROM usage_adjustments WHERE usage_id = OLD.id;
END;

-- The counter moves with all that a running server keeps in memory. last_used_at_ms is its own note.
CREATE TRIGGER users_inserted  AFTER INSERT ON users  BEGIN UPDATE users_version SET version = version + 1; END;
CREATE TRIGGER users_updated   AFTER UPDATE ON users  BEGIN UPDATE users_version SET version = version + 1; END;
CREATE TRIGGER users_deleted   AFTER DELETE ON users  BEGIN UPDATE users_version SET version = version + 1; END;
CREATE TRIGGER groups_inserted AFTER INSERT ON groups BEGIN UPDATE users_version SET version = version + 1; END;
CREATE TRIGGER groups_updated  AFTER UPDATE ON groups BEGIN UPDATE users_version SET version = version + 1; END;
CREATE TRIGGER groups_deleted  AFTER DELETE ON groups BEGIN UPDATE users_version SET version = version + 1; END;
CREATE TRIGGER keys_inserted   AFTER INSERT ON keys   BEGIN UPDATE users_version SET version = version + 1; END;
CREATE TRIGGER keys_updated    AFTER UPDATE OF id, user_id, hash, expires_at_ms, revoked_at_ms ON keys
    BEGIN UPDATE users_version SET version = version + 1; END;
CREATE TRIGGER keys_deleted    AFTER DELETE ON keys   BEGIN UPDATE users_version SET version = version + 1; END;
CREATE TRIGGER prices_inserted AFTER INSERT ON prices WHEN NEW.source = 'set'
    BEGIN UPDATE users_version SET version = version + 1; END;
CREATE TRIGGER prices_updated  AFTER UPDATE ON prices WHEN NEW.source = 'set'
    BEGIN UPDATE users_version SET version = version + 1; END;

-- Classes of usage: parts of input_tokens or output_tokens, and calls that are billed one by one. key_id 0 is the key with the id of
-- the user. cost_nano_usd is NULL where no price was known.
-- ALTER TABLE checks all rows of a STRICT table for each column that it adds (sqlite.org/lang_altertable.html), two seconds for each
-- million. That a new column is at the end and has a default is all that matters to the rows, so only the definition changes.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
    SET sql = substr(sql, 1, length(sql) - length(') STRICT')) || ',
    key_id INTEGER NOT NULL DEFAULT 0,
    cost_nano_usd INTEGER,
    price_id INTEGER,
    service_tier TEXT,
    is_batch INTEGER NOT NULL DEFAULT 0,
    cache_write_5m_tokens INTEGER NOT NULL DEFAULT 0,
    cache_write_1h_tokens INTEGER NOT NULL DEFAULT 0,
    audio_input_tokens INTEGER NOT NULL DEFAULT 0,
    image_input_tokens INTEGER NOT NULL DEFAULT 0,
    cached_audio_tokens INTEGER NOT NULL DEFAULT 0,
    cached_image_tokens INTEGER NOT NULL DEFAULT 0,
    audio_output_tokens INTEGER NOT NULL DEFAULT 0,
    image_output_tokens INTEGER NOT NULL DEFAULT 0,
    web_searches INTEGER NOT NULL DEFAULT 0,
    file_searches INTEGER NOT NULL DEFAULT 0,
    code_calls INTEGER NOT NULL DEFAULT 0
) STRICT'
    WHERE type = 'table' AND name = 'usage_logs' AND sql LIKE '%) STRICT';
PRAGMA writable_schema = RESET;

-- Who made an object, by key: what it uses later is booked to that key.
ALTER TABLE objects ADD COLUMN key_id INTEGER NOT NULL DEFAULT 0;

-- The hourly sums by key too, with all classes and the cost. unpriced_requests are those without a cost that used something or
-- succeeded.
CREATE TABLE new_usage_hourly (
    hour                    INTEGER NOT NULL,
    user_id                 INTEGER NOT NULL,
    key_id                  INTEGER NOT NULL,
    endpoint                TEXT    NOT NULL,
    model                   TEXT    NOT NULL,
    requests                INTEGER NOT NULL,
    requests_ok             INTEGER NOT NULL,
    input_tokens            INTEGER NOT NULL,
    output_tokens           INTEGER NOT NULL,
    cached_tokens           INTEGER NOT NULL,
    reasoning_tokens        INTEGER NOT NULL,
    audio_ms                INTEGER NOT NULL,
    images                  INTEGER NOT NULL,
    estimated_requests      INTEGER NOT NULL,
    estimated_input_tokens  INTEGER NOT NULL,
    estimated_output_tokens INTEGER NOT NULL,
    cost_nano_usd           INTEGER NOT NULL,
    unpriced_requests       INTEGER NOT NULL,
    cache_write_5m_tokens   INTEGER NOT NULL,
    cache_write_1h_tokens   INTEGER NOT NULL,
    audio_input_tokens      INTEGER NOT NULL,
    image_input_tokens      INTEGER NOT NULL,
    cached_audio_tokens     INTEGER NOT NULL,
    cached_image_tokens     INTEGER NOT NULL,
    audio_output_tokens     INTEGER NOT NULL,
    image_output_tokens     INTEGER NOT NULL,
    web_searches            INTEGER NOT NULL,
    file_searches           INTEGER NOT NULL,
    code_calls              INTEGER NOT NULL,
    PRIMARY KEY (hour, user_id, key_id, endpoint, model)
) STRICT, WITHOUT ROWID;
INSERT INTO new_usage_hourly
SELECT hour, user_id, user_id, endpoint, model, requests, requests_ok, input_tokens, output_tokens, cached_tokens, reasoning_tokens,
    audio_ms, images, estimated_requests, estimated_input_tokens, estimated_output_tokens,
    0, requests_ok, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
FROM usage_hourly;
DROP TABLE usage_hourly;
ALTER TABLE new_usage_hourly RENAME TO usage_hourly;
-- Requests that failed and yet used something have no cost either. Their hours are there already. (An UPDATE ... FROM would compare
-- each hour with each of these sums.)
INSERT INTO usage_hourly
SELECT started_at_ms / 3600000, user_id, user_id, endpoint, model, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, count(*),
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
FROM usage_logs
WHERE NOT (status BETWEEN 200 AND 299) AND (input_tokens > 0 OR output_tokens > 0) AND id <= (SELECT last_id FROM usage_rollup)
GROUP BY 1, 2, 3, 4, 5
ON CONFLICT DO UPDATE SET unpriced_requests = unpriced_requests + excluded.unpriced_requests;

-- The same sums by day (started_at_ms / 86400000): a year of them is read in a fraction of a second.
CREATE TABLE usage_daily (
    day                     INTEGER NOT NULL,
    user_id                 INTEGER NOT NULL,
    key_id                  INTEGER NOT NULL,
    endpoint                TEXT    NOT NULL,
    model                   TEXT    NOT NULL,
    requests                INTEGER NOT NULL,
    requests_ok             INTEGER NOT NULL,
    input_tokens            INTEGER NOT NULL,
    output_tokens           INTEGER NOT NULL,
    cached_tokens           INTEGER NOT NULL,
    reasoning_tokens        INTEGER NOT NULL,
    audio_ms                INTEGER NOT NULL,
    images                  INTEGER NOT NULL,
    estimated_requests      INTEGER NOT NULL,
    estimated_input_tokens  INTEGER NOT NULL,
    estimated_output_tokens INTEGER NOT NULL,
    cost_nano_usd           INTEGER NOT NULL,
    unpriced_requests       INTEGER NOT NULL,
    cache_write_5m_tokens   INTEGER NOT NULL,
    cache_write_1h_tokens   INTEGER NOT NULL,
    audio_input_tokens      INTEGER NOT NULL,
    image_input_tokens      INTEGER NOT NULL,
    cached_audio_tokens     INTEGER NOT NULL,
    cached_image_tokens     INTEGER NOT NULL,
    audio_output_tokens     INTEGER NOT NULL,
    image_output_tokens     INTEGER NOT NULL,
    web_searches            INTEGER NOT NULL,
    file_searches           INTEGER NOT NULL,
    code_calls              INTEGER NOT NULL,
    PRIMARY KEY (day, user_id, key_id, endpoint, model)
) STRICT, WITHOUT ROWID;
INSERT INTO usage_daily
SELECT hour / 24, user_id, key_id, endpoint, model,
    sum(requests), sum(requests_ok), sum(input_tokens), sum(output_tokens),
    sum(cached_tokens), sum(reasoning_tokens), sum(audio_ms), sum(images),
    sum(estimated_requests), sum(estimated_input_tokens), sum(estimated_output_tokens), sum(cost_nano_usd),
    sum(unpriced_requests), sum(cache_write_5m_tokens), sum(cache_write_1h_tokens), sum(audio_input_tokens),
    sum(image_input_tokens), sum(cached_audio_tokens), sum(cached_image_tokens), sum(audio_output_tokens),
    sum(image_output_tokens), sum(web_searches), sum(file_searches), sum(code_calls)
FROM usage_hourly
GROUP BY 1, 2, 3, 4, 5;

-- Who deletes hourly sums, so that they are summed anew or because they are old, takes them out of the daily ones with them.
CREATE TRIGGER usage_hourly_deleted AFTER DELETE ON usage_hourly BEGIN
    UPDATE usage_daily SET
        requests = requests - OLD.requests,
        requests_ok = requests_ok - OLD.requests_ok,
        input_tokens = input_tokens - OLD.input_tokens,
        output_tokens = output_tokens - OLD.output_tokens,
        cached_tokens = cached_tokens - OLD.cached_tokens,
        reasoning_tokens = reasoning_tokens - OLD.reasoning_tokens,
        audio_ms = audio_ms - OLD.audio_ms,
        images = images - OLD.images,
        estimated_requests = estimated_requests - OLD.estimated_requests,
        estimated_input_tokens = estimated_input_tokens - OLD.estimated_input_tokens,
        estimated_output_tokens = estimated_output_tokens - OLD.estimated_output_tokens,
        cost_nano_usd = cost_nano_usd - OLD.cost_nano_usd,
        unpriced_requests = unpriced_requests - OLD.unpriced_requests,
        cache_write_5m_tokens = cache_write_5m_tokens - OLD.cache_write_5m_tokens,
        cache_write_1h_tokens = cache_write_1h_tokens - OLD.cache_write_1h_tokens,
        audio_input_tokens = audio_input_tokens - OLD.audio_input_tokens,
        image_input_tokens = image_input_tokens - OLD.image_input_tokens,
        cached_audio_tokens = cached_audio_tokens - OLD.cached_audio_tokens,
        cached_image_tokens = cached_image_tokens - OLD.cached_image_tokens,
        audio_output_tokens = audio_output_tokens - OLD.audio_output_tokens,
        image_output_tokens = image_output_tokens - OLD.image_output_tokens,
        web_searches = web_searches - OLD.web_searches,
        file_searches = file_searches - OLD.file_searches,
        code_calls = code_calls - OLD.code_calls
        WHERE day = OLD.hour / 24 AND user_id = OLD.user_id AND key_id = OLD.key_id AND endpoint = OLD.endpoint AND model = OLD.model;
    DELETE FROM usage_daily
        WHERE day = OLD.hour / 24 AND user_id = OLD.user_id AND key_id = OLD.key_id AND endpoint = OLD.endpoint AND model = OLD.model
            AND requests = 0;
END;

-- For people who write their own reports: names instead of ids, ISO times, dollars, adjustments included.
CREATE VIEW usage AS
SELECT usage_logs.id AS id,
    strftime('%Y-%m-%dT%H:%M:%fZ', started_at_ms / 1000.0, 'unixepoch') AS started_at,
    coalesce(users.username, '(deleted user ' || usage_logs.user_id || ')') AS username,
    users.deleted_at_ms IS NOT NULL AS is_user_deleted,
    groups.name AS group_name,
    keys.id AS key_id,
    keys.label AS key_label,
    keys.display AS key_display,
    endpoint, usage_logs.model AS model, served_model, service_tier, is_batch, status, outcome, usage_source,
    input_tokens, cached_tokens, cache_write_5m_tokens, cache_write_1h_tokens, audio_input_tokens, image_input_tokens,
    cached_audio_tokens, cached_image_tokens, output_tokens, reasoning_tokens, audio_output_tokens, image_output_tokens,
    audio_ms, images, web_searches, file_searches, code_calls,
    iif(usage_source = 'estimate', coalesce(estimated_input_tokens, input_tokens), 0) AS estimated_input_tokens,
    iif(usage_source = 'estimate', coalesce(estimated_output_tokens, output_tokens), 0) AS estimated_output_tokens,
    coalesce(cost_nano_usd + coalesce(adjusted.delta, 0), adjusted.delta) AS cost_nano_usd,
    CASE WHEN coalesce(cost_nano_usd, adjusted.delta) IS NOT NULL THEN
        printf('%d.%09d', (coalesce(cost_nano_usd, 0) + coalesce(adjusted.delta, 0)) / 1000000000,
            (coalesce(cost_nano_usd, 0) + coalesce(adjusted.delta, 0)) % 1000000000) END AS cost_usd,
    coalesce(prices.model, first_prices.model) AS priced_as,
    coalesce(prices.source, first_prices.source) AS price_source,
    duration_ms, first_byte_ms, backend_request_id
FROM usage_logs
    LEFT JOIN users ON users.id = usage_logs.user_id
    LEFT JOIN groups ON groups.id = users.group_id
    LEFT JOIN keys ON keys.id = iif(usage_logs.key_id = 0, usage_logs.user_id, usage_logs.key_id)
    LEFT JOIN (
        SELECT usage_id, sum(cost_delta_nano_usd) AS delta, max(id) AS last_id FROM usage_adjustments GROUP BY usage_id
    ) AS adjusted ON adjusted.usage_id = usage_logs.id
    LEFT JOIN usage_adjustments AS last_adjustment ON last_adjustment.id = adjusted.last_id
    LEFT JOIN prices ON prices.id = last_adjustment.price_id
    LEFT JOIN prices AS first_prices ON first_prices.id = usage_logs.price_id;
