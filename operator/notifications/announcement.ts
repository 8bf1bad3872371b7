import type { Happening, Occasion, OccasionSubject } from './occasion.ts';

/** An occasion, and whom it concerns besides those who watch the whole installation. */
export type Announcement = {
  readonly occasion: Occasion;
  /** Mail addresses: `spec.rotation.notify` of the app that the credential belongs to. May be none. */
  readonly to: readonly string[];
};

/** What is told with a change of the registry, in its transaction: with it, or not at all. Left out: nothing. */
export type Announcements = readonly Announcement[];

/** By which ways this operator can tell anybody. */
export type Channels = {
  /** SMTP_URL is set. */
  readonly mail: boolean;
  /** NOTIFY_WEBHOOK_URL is set: it is told of every occasion. */
  readonly webhook: boolean;
};

/** Whose credential something happens to, and who is told. */
export type Concerned = OccasionSubject & Pick<Announcement, 'to'>;

export function announcement({ to, ...subject }: Concerned, happening: Happening): Announcement {
  return { occasion: { ...subject, ...happening }, to };
}
