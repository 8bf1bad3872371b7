import type { Occasion } from './occasion.ts';

/** An occasion, and whom it concerns besides those who watch the whole installation. */
export type Announcement = {
  readonly occasion: Occasion;
  /** Mail addresses: `spec.rotation.notify` of the app that the credential belongs to. May be none. */
  readonly to: readonly string[];
};

/** By which ways this operator can tell anybody. */
export type Channels = {
  /** SMTP_URL is set. */
  readonly mail: boolean;
  /** NOTIFY_WEBHOOK_URL is set: it is told of every occasion. */
  readonly webhook: boolean;
};
