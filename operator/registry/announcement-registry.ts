import type { Announcement } from '../notifications/announcement.ts';

/**
 * What was announced (registry.ts). An occasion that comes with a change of the registry goes with that change, in its transaction: the
 * methods that rotate and end credentials take `announce`. These two are for occasions that come by the clock alone.
 */
export interface AnnouncementRegistry {
  /**
   * Which of these occasions (`occasionKey`) were announced before. For `observe`, which asks only about what is due at the moment: a plan
   * announces what is due and not in here. Without keys nobody is asked.
   */
  announced(keys: readonly string[]): Promise<ReadonlySet<string>>;
  /** Once for each occasion, however often it is called and by however many leaders. To nobody is fine too, and counts as announced. */
  announce(announcement: Announcement): Promise<void>;
}
