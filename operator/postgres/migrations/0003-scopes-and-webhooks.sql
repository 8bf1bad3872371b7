-- What a token may do; null: everything, which is what the tokens of earlier versions mean.
ALTER TABLE token ADD COLUMN scopes text[];

-- Extra headers of an app's webhooks by webhook name, each a sealed JSON object (AES-256-GCM, ENCRYPTION_KEYS; owner
-- [installation, app_id], field webhook.{name}.headers). The webhooks themselves are part of the policy.
ALTER TABLE app ADD COLUMN webhook_headers jsonb NOT NULL DEFAULT '{}';
