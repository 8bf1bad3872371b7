import type { Occasion } from './occasion.ts';

export type ChannelName = 'Mail' | 'Webhook';

/** What is kept as the error of what nobody can send here. */
export const NOT_CONFIGURED: Readonly<Record<ChannelName, string>> = {
  Mail: 'MailNotConfigured',
  Webhook: 'WebhookNotConfigured',
};

/** One message to be sent, taken up by whoever got it from `claim`. */
export type Notification = {
  readonly id: number;
  readonly channel: ChannelName;
  readonly recipient: string;
  /** The occasion's key. */
  readonly key: string;
  /** null: announced by a newer version, and not understood by this one. */
  readonly occasion: Occasion | null;
  /** This one included. */
  readonly attempts: number;
  /** Epoch ms. */
  readonly announcedAt: number;
};

/** What has been announced and is not sent yet. All times epoch ms. */
export interface NotificationQueue {
  /**
   * Takes up at most `limit` messages of a channel that are due, oldest first. Nobody else gets them before `until`. None for an operator that
   * does not lead.
   */
  claim(
    channel: ChannelName,
    options: { readonly limit: number; readonly now: number; readonly until: number },
  ): Promise<readonly Notification[]>;
  /** It was sent. That is a fact, whoever leads by now. */
  sent(notification: Notification, at: number): Promise<void>;
  /** It was not, and is due again at `next`. Changes nothing if somebody else has taken it up meanwhile. */
  failed(notification: Notification, error: string, next: number): Promise<void>;
  /** It was not, and will not be. Likewise. */
  giveUp(notification: Notification, error: string, at: number): Promise<void>;
  /** Nothing of this channel can be sent. */
  giveUpAll(channel: ChannelName, error: string, at: number): Promise<void>;
  /** How many wait, by channel. */
  waiting(): Promise<ReadonlyMap<ChannelName, number>>;
  /** Forgets what was announced before that. */
  forget(before: number): Promise<void>;
}
