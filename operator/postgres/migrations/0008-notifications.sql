-- What people are told of (operator/notifications). One row per occasion, whoever announces it and however often: this is what "once" means.
CREATE TABLE occasion (
  installation text NOT NULL,
  -- occasionKey(): identity, kind of occasion, credential, and the time of what is still to come.
  key          text NOT NULL,
  detail       jsonb NOT NULL,
  announced_at timestamptz NOT NULL,
  PRIMARY KEY (installation, key)
);
CREATE INDEX occasion_announced_at ON occasion (announced_at);

-- One row per message to be sent for it. Waiting: neither sent_at nor given_up_at.
CREATE TABLE notification (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  installation    text NOT NULL,
  occasion        text NOT NULL,
  channel         text NOT NULL CHECK (channel IN ('Mail', 'Webhook')),
  -- A mail address; empty for the webhook, whose URL is a secret.
  recipient       text NOT NULL,
  attempts        int NOT NULL DEFAULT 0,
  -- Also the end of the time that whoever took it up has to send it.
  next_attempt_at timestamptz NOT NULL,
  sent_at         timestamptz,
  given_up_at     timestamptz,
  -- What the server said last; never a password or a URL.
  last_error      text,
  FOREIGN KEY (installation, occasion) REFERENCES occasion ON DELETE CASCADE,
  UNIQUE (installation, occasion, channel, recipient)
);
CREATE INDEX notification_waiting ON notification (installation, channel, next_attempt_at) WHERE sent_at IS NULL AND given_up_at IS NULL;
