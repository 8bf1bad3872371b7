-- The directory (ARCHITECTURE.md): PostgreSQL is the truth of what the relays enforce.

CREATE TABLE directory (
  only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  -- Grows with every leader: a write of an earlier term is refused.
  term       bigint NOT NULL DEFAULT 0,
  epoch      bigint NOT NULL DEFAULT 0,
  revision   bigint NOT NULL DEFAULT 0,
  -- Of the living entries, made with the key of DIRECTORY_KEYS named by key_id.
  digest     text   NOT NULL,
  count      bigint NOT NULL DEFAULT 0,
  key_id     text   NOT NULL DEFAULT ''
);
INSERT INTO directory (digest) VALUES (repeat('0', 64));

CREATE TABLE entry (
  key      text PRIMARY KEY,
  -- The revision at which it last changed.
  revision bigint NOT NULL,
  -- The signed text as relays receive it, byte for byte.
  text     text NOT NULL
);

-- One row per revision; kept for at least 24 h, so that a lost tail of the log can be published again.
CREATE TABLE outbox (
  revision   bigint PRIMARY KEY,
  epoch      bigint NOT NULL,
  -- The log entry as published, byte for byte (JSON).
  log_entry  text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_created_at ON outbox (created_at);

-- Relays that count: a restart of the operator or a flush of Redis must not forget one that still serves.
CREATE TABLE replica (
  id             text PRIMARY KEY,
  nonce          text NOT NULL,
  pod_uid        text,
  fence_after_ms bigint
);

-- Who changed what. Each row carries the SHA-256 over the previous row's hash and its own content, so that a gap or an edit shows.
CREATE TABLE audit (
  id       bigint PRIMARY KEY,
  at       timestamptz NOT NULL,
  actor    text NOT NULL,
  action   text NOT NULL,
  object   text NOT NULL,
  detail   jsonb NOT NULL,
  hash     text NOT NULL
);
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'audit rows are append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
