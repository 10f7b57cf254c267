-- How much of a row's tokens is an estimate, where usage_source is 'estimate': the backend may have reported the rest. NULL in
-- other rows, and in those of earlier versions, where all tokens of such a row count as estimated.
ALTER TABLE usage_logs ADD COLUMN estimated_input_tokens INTEGER;
ALTER TABLE usage_logs ADD COLUMN estimated_output_tokens INTEGER;
