-- How a token takes the place of another one. Pending: published, so that every relay accepts it, and not yet handed out. Active: the one in
-- the Secret, since activated_at. Retiring: replaced at retiring_at. Ending: found unused after its overlap, so that its end is put off no
-- more. Expired: over, and still in the directory, so that the relays can say so. Accepted until expires_at, and with a word of warning until
-- grace_until; null: no grace.
ALTER TABLE token
  DROP CONSTRAINT token_state_check,
  ADD CONSTRAINT token_state_check CHECK (state IN ('Pending', 'Active', 'Retiring', 'Ending', 'Expired', 'Revoked')),
  ADD COLUMN activated_at timestamptz,
  ADD COLUMN retiring_at timestamptz,
  ADD COLUMN grace_until timestamptz,
  -- The value of the annotation relay-operator.dev/rotate that was acted on, or only seen, when it came to be.
  ADD COLUMN rotate_request text;
UPDATE token SET activated_at = created_at;
UPDATE token SET retiring_at = changed_at WHERE state = 'Retiring';
CREATE UNIQUE INDEX token_one_pending_per_identity ON token (installation, namespace, name) WHERE state = 'Pending';
