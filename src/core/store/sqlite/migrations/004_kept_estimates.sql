-- What a response in the background is taken to have used, from what had passed of its answer when that ended: booked when its
-- account is given up, for its client may have had the text. NULL where nothing is kept.
ALTER TABLE objects ADD COLUMN model TEXT;
ALTER TABLE objects ADD COLUMN served_model TEXT;
ALTER TABLE objects ADD COLUMN outcome TEXT;
ALTER TABLE objects ADD COLUMN input_tokens INTEGER;
ALTER TABLE objects ADD COLUMN output_tokens INTEGER;
