-- How much of a row's tokens is an estimate, where usage_source is 'estimate': the backend may have reported the rest. NULL in
-- other rows, and in those of earlier versions, where all tokens of such a row count as estimated.
-- Only the definition of the table changes, as in the eighth migration: ALTER TABLE would check all rows for each column.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema
    SET sql = substr(sql, 1, length(sql) - length(') STRICT')) || ',
    estimated_input_tokens INTEGER,
    estimated_output_tokens INTEGER
) STRICT'
    WHERE type = 'table' AND name = 'usage_logs' AND sql LIKE '%) STRICT';
PRAGMA writable_schema = RESET;
