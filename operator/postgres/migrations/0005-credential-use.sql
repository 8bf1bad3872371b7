-- Who uses which credential, as relays told. Rows of keys and tokens that are gone are purged.
CREATE TABLE credential_use (
  app_id        text NOT NULL REFERENCES app ON DELETE CASCADE,
  -- Of an app key its id, of a token the public part.
  credential_id text NOT NULL,
  last_used_at  timestamptz NOT NULL,
  requests      bigint NOT NULL,
  -- SDK name and version; never an address.
  client        text,
  PRIMARY KEY (app_id, credential_id)
) WITH (fillfactor = 70);

-- How far each relay process has been read, so that a report counts once however often it is read.
CREATE TABLE fact_source (
  replica text PRIMARY KEY,
  -- Of one run of the process.
  boot    text NOT NULL,
  -- Number of the newest report with facts.
  seq     bigint NOT NULL,
  -- Epoch ms: everything until then was told. Behind the truth while there is nothing to tell: that alone is no reason to write.
  until   bigint NOT NULL,
  -- It said that it ends.
  ended   boolean NOT NULL
);

-- Since when nothing that relays had to tell was lost. A database without apps has nothing to know.
CREATE TABLE fact_knowledge (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  -- Epoch ms.
  since    bigint NOT NULL
);
INSERT INTO fact_knowledge (since)
  SELECT CASE WHEN EXISTS (SELECT FROM app) THEN (extract(epoch FROM now()) * 1000)::bigint ELSE 0 END;
