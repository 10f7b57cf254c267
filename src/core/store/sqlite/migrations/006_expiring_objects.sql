-- outcome is set for what uses its tokens later, from its creation on. While is_settled is 0, input_tokens and output_tokens are what
-- it is taken to have used so far. Afterwards they are what was booked where that is an estimate, so that what passes of it later
-- is booked too; NULL where the backend has said what it used.
-- Kinds that are nobody's object, and expire: 'given', an id that a client has given to an item of its own; 'closed', a response that
-- was deleted while its answer may still be passing.
CREATE INDEX objects_expiring ON objects (made_at_ms) WHERE kind IN ('given', 'closed');
