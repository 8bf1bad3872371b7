-- Rotation of app keys. Pending: relays verify it, no Secret holds it yet. Active: handed out. Retiring: replaced, and still verified. A key
-- that is gone has no row: the audit log knows it.
ALTER TABLE app_key ADD COLUMN state text NOT NULL DEFAULT 'Active' CHECK (state IN ('Pending', 'Active', 'Retiring'));
ALTER TABLE app_key ADD COLUMN origin text NOT NULL DEFAULT 'Minted' CHECK (origin IN ('Minted', 'Imported'));
ALTER TABLE app_key ADD COLUMN activated_at timestamptz;
UPDATE app_key SET activated_at = created_at;
-- Of a Retiring one: since its successor was handed out, until when it works in any case, and when it goes at the latest.
ALTER TABLE app_key ADD COLUMN retiring_at timestamptz;
ALTER TABLE app_key ADD COLUMN overlap_until timestamptz;
ALTER TABLE app_key ADD COLUMN expires_at timestamptz;
-- People were told that it is still used after the overlap.
ALTER TABLE app_key ADD COLUMN in_use_told boolean NOT NULL DEFAULT false;
ALTER TABLE app_key ADD CHECK ((state = 'Pending') = (activated_at IS NULL));
ALTER TABLE app_key ADD CHECK ((state = 'Retiring') = (retiring_at IS NOT NULL));
ALTER TABLE app_key ADD CHECK ((retiring_at IS NULL) = (overlap_until IS NULL) AND (retiring_at IS NULL) = (expires_at IS NULL));
CREATE UNIQUE INDEX app_key_one_active ON app_key (app_id) WHERE state = 'Active';
CREATE UNIQUE INDEX app_key_one_pending ON app_key (app_id) WHERE state = 'Pending';

-- Whose a public key is. Several keys of one app may share it (rotates: Secret), two apps never; and it stays the app's as long as there is
-- the app, because browsers that were deployed with it still ask for it.
CREATE TABLE public_key (
  key    text PRIMARY KEY,
  app_id text NOT NULL REFERENCES app ON DELETE CASCADE,
  UNIQUE (key, app_id)
);
INSERT INTO public_key (key, app_id) SELECT key, app_id FROM app_key;
ALTER TABLE app_key DROP CONSTRAINT app_key_key_key;
ALTER TABLE app_key ADD FOREIGN KEY (key, app_id) REFERENCES public_key (key, app_id) ON DELETE CASCADE;

-- When a key of it was last replaced, and the last value of the annotation that was acted on.
ALTER TABLE app ADD COLUMN rotated_at timestamptz;
ALTER TABLE app ADD COLUMN rotate_request text;
