-- A row may end as 'backend_error': the backend reported an error inside an answer that had begun with a status of success.
-- A CHECK is no part of the stored data, so only the text of the table's definition changes (sqlite.org/lang_altertable.html,
-- "Making Other Kinds Of Table Schema Changes", names this procedure); copying the rows would take a second for each million.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
    SET sql = replace(sql, '''client_gone'', ''backend_broke'')', '''client_gone'', ''backend_broke'', ''backend_error'')')
    WHERE type = 'table' AND name = 'usage_logs';
PRAGMA writable_schema = RESET;

-- How much of the sums is an estimate: of the requests with a status of success, and of all tokens.
ALTER TABLE usage_hourly ADD COLUMN estimated_requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_hourly ADD COLUMN estimated_input_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_hourly ADD COLUMN estimated_output_tokens INTEGER NOT NULL DEFAULT 0;
-- Their hours are there already. (An UPDATE ... FROM would compare each hour with each of these sums.)
INSERT INTO usage_hourly (hour, user_id, endpoint, model, requests, requests_ok, input_tokens, output_tokens, cached_tokens,
    reasoning_tokens, estimated_requests, estimated_input_tokens, estimated_output_tokens)
SELECT started_at_ms / 3600000, user_id, endpoint, model, 0, 0, 0, 0, 0, 0,
    sum(status BETWEEN 200 AND 299), sum(input_tokens), sum(output_tokens)
FROM usage_logs
WHERE usage_source = 'estimate' AND id <= (SELECT last_id FROM usage_rollup)
GROUP BY 1, 2, 3, 4
ON CONFLICT DO UPDATE SET estimated_requests = excluded.estimated_requests,
    estimated_input_tokens = excluded.estimated_input_tokens,
    estimated_output_tokens = excluded.estimated_output_tokens;
