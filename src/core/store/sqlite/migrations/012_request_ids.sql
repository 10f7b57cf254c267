-- The id of each request, 16 bytes of a UUID that begins with started_at_ms, and how long it waited for its turn. Rows from before have
-- none. Only the definition of the table changes, as in 008.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
    SET sql = substr(sql, 1, length(sql) - length(') STRICT')) || ',
    request_id BLOB,
    wait_ms INTEGER NOT NULL DEFAULT 0
) STRICT'
    WHERE type = 'table' AND name = 'usage_logs' AND sql LIKE '%) STRICT';
PRAGMA writable_schema = RESET;

ALTER TABLE running_requests ADD COLUMN request_id BLOB;

-- The newest requests that llmproxy itself answered with an error, as far as a user is known.
CREATE TABLE refusals (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms      INTEGER NOT NULL,
    request_id BLOB    NOT NULL,
    user_id    INTEGER NOT NULL,
    endpoint   TEXT    NOT NULL,
    status     INTEGER NOT NULL,
    code       TEXT    NOT NULL,
    message    TEXT    NOT NULL
) STRICT;
CREATE INDEX refusals_by_time ON refusals (at_ms);

-- For people who write their own reports: names instead of ids, ISO times, dollars, adjustments included.
DROP VIEW usage;
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
    wait_ms, duration_ms, first_byte_ms, nullif(lower(hex(request_id)), '') AS request_id, backend_request_id
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
