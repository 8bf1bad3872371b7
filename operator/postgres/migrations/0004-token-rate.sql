-- A token's own rate limit as {"requestsPerMinute", "burst"}; null: it draws on the app's, which is what the tokens of earlier versions do.
ALTER TABLE token ADD COLUMN rate jsonb;
