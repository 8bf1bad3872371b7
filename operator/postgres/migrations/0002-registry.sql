-- The registry of what was minted. Identity is (installation, namespace, name), never the object's UID: a rebuilt cluster must find its
-- keys again. object_uid only remembers which object was last responsible.
CREATE TABLE app (
  app_id       text PRIMARY KEY,
  installation text NOT NULL,
  namespace    text NOT NULL,
  name         text NOT NULL,
  object_uid   text NOT NULL,
  state        text NOT NULL CHECK (state IN ('Active', 'Retained', 'Deleted')),
  policy       jsonb NOT NULL,
  revision     bigint NOT NULL DEFAULT 0,
  changed_at   timestamptz NOT NULL,
  created_at   timestamptz NOT NULL
);
CREATE UNIQUE INDEX app_one_active_per_identity ON app (installation, namespace, name) WHERE state = 'Active';
CREATE INDEX app_by_identity ON app (installation, namespace, name);

-- secret is sealed (AES-256-GCM, ENCRYPTION_KEYS; owner [installation, app_id], field key.{id}).
CREATE TABLE app_key (
  app_id     text NOT NULL REFERENCES app ON DELETE CASCADE,
  id         text NOT NULL,
  key        text NOT NULL UNIQUE,
  secret     text NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (app_id, id)
);

-- Only the SHA-256 of a token is ever stored. Revoked rows stay: a Secret restored from an old backup must not be believed.
CREATE TABLE token (
  sha256       text PRIMARY KEY CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  id           text NOT NULL,
  app_id       text NOT NULL REFERENCES app ON DELETE CASCADE,
  installation text NOT NULL,
  namespace    text NOT NULL,
  name         text NOT NULL,
  object_uid   text NOT NULL,
  environment  text NOT NULL CHECK (environment IN ('Live', 'Test')),
  state        text NOT NULL CHECK (state IN ('Active', 'Retiring', 'Revoked')),
  expires_at   timestamptz,
  revision     bigint NOT NULL DEFAULT 0,
  changed_at   timestamptz NOT NULL,
  created_at   timestamptz NOT NULL
);
CREATE UNIQUE INDEX token_one_active_per_identity ON token (installation, namespace, name) WHERE state = 'Active';
CREATE INDEX token_by_identity ON token (installation, namespace, name);
CREATE INDEX token_by_app ON token (app_id);
