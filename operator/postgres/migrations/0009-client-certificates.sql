-- Fingerprints of client certificates. What is no longer in the directory stays until the certificate is over: a Secret that was restored
-- from a backup must not bring a revoked certificate back.
CREATE TABLE certificate (
  app_id       text NOT NULL REFERENCES app ON DELETE CASCADE,
  sha256       text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  installation text NOT NULL,
  namespace    text NOT NULL,
  name         text NOT NULL,
  object_uid   text NOT NULL,
  state        text NOT NULL CHECK (state IN ('Active', 'Retiring', 'Revoked', 'Ended')),
  not_after    timestamptz,
  revision     bigint NOT NULL DEFAULT 0,
  changed_at   timestamptz NOT NULL,
  created_at   timestamptz NOT NULL,
  PRIMARY KEY (app_id, sha256, name)
);
-- A fingerprint belongs to one object of an app, also after that object revoked it.
CREATE UNIQUE INDEX certificate_one_holder ON certificate (app_id, sha256) WHERE state <> 'Ended';
CREATE INDEX certificate_by_identity ON certificate (installation, namespace, name);
