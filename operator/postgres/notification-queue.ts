import type pg from 'pg';
import { occasion } from '../notifications/occasion.ts';
import type { ChannelName, NotificationQueue } from '../notifications/queue.ts';

export type NotificationQueueOptions = {
  readonly pool: pg.Pool;
  readonly installation: string;
  /** The term of the publisher that leads in this process; undefined: none does. */
  readonly term: () => number | undefined;
};

type ClaimedRow = { id: number; recipient: string; key: string; attempts: number; detail: unknown; announced_at: Date };

/** What waits to be sent, in PostgreSQL; see the port for what each method promises. */
export function createNotificationQueue({ pool, installation, term }: NotificationQueueOptions): NotificationQueue {
  const WAITING = 'sent_at IS NULL AND given_up_at IS NULL';
  return {
    claim: async (channel, { limit, now, until }) => {
      const mine = term();
      if (mine === undefined) return [];
      // Counted as an attempt before it is one: an operator that dies of a letter must not take it up at once for ever.
      const { rows } = await pool.query<ClaimedRow>(
        `WITH due AS MATERIALIZED (
           SELECT id FROM notification
            WHERE installation = $1 AND channel = $2 AND ${WAITING} AND next_attempt_at <= $4
              AND EXISTS (SELECT FROM directory WHERE term = $6)
            ORDER BY next_attempt_at, id LIMIT $3 FOR UPDATE SKIP LOCKED)
         UPDATE notification SET attempts = attempts + 1, next_attempt_at = $5 FROM due, occasion
          WHERE notification.id = due.id AND occasion.installation = $1 AND occasion.key = notification.occasion
         RETURNING notification.id, recipient, occasion.key, attempts, detail, announced_at`,
        [installation, channel, limit, new Date(now), new Date(until), mine],
      );
      return rows
        .toSorted((a, b) => a.id - b.id)
        .map(({ detail, announced_at: announcedAt, ...row }) => ({
          ...row,
          channel,
          occasion: occasion.safeParse(detail).data ?? null,
          announcedAt: announcedAt.getTime(),
        }));
    },
    sent: async ({ id }, at) => {
      await pool.query(
        'UPDATE notification SET sent_at = $2, given_up_at = NULL, last_error = NULL WHERE id = $1 AND sent_at IS NULL',
        [id, new Date(at)],
      );
    },
    failed: async ({ id, attempts }, error, next) => {
      await pool.query(
        `UPDATE notification SET next_attempt_at = $3, last_error = $4 WHERE id = $1 AND attempts = $2 AND ${WAITING}`,
        [id, attempts, new Date(next), error],
      );
    },
    giveUp: async ({ id, attempts }, error, at) => {
      await pool.query(
        `UPDATE notification SET given_up_at = $3, last_error = $4 WHERE id = $1 AND attempts = $2 AND ${WAITING}`,
        [id, attempts, new Date(at), error],
      );
    },
    giveUpAll: async (channel, error, at) => {
      await pool.query(
        `UPDATE notification SET given_up_at = $3, last_error = $4 WHERE installation = $1 AND channel = $2 AND ${WAITING}
            AND EXISTS (SELECT FROM directory WHERE term = $5)`,
        [installation, channel, new Date(at), error, term()],
      );
    },
    waiting: async () => {
      const { rows } = await pool.query<{ channel: ChannelName; waiting: number }>(
        `SELECT channel, count(*) AS waiting FROM notification WHERE installation = $1 AND ${WAITING} GROUP BY channel`,
        [installation],
      );
      return new Map(rows.map(({ channel, waiting }) => [channel, waiting]));
    },
    forget: async (before) => {
      await pool.query(
        `DELETE FROM occasion WHERE installation = $1 AND announced_at < $2 AND EXISTS (SELECT FROM directory WHERE term = $3)
            AND NOT EXISTS (SELECT FROM notification WHERE notification.installation = $1 AND notification.occasion = key AND ${WAITING})`,
        [installation, new Date(before), term()],
      );
    },
  };
}
