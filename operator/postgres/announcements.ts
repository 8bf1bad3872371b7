import type pg from 'pg';
import type { Announcement, Channels } from '../notifications/announcement.ts';
import { occasionKey } from '../notifications/occasion.ts';
import { NOT_CONFIGURED } from '../notifications/queue.ts';
import type { Registry } from '../registry/registry.ts';
import type { RegistryOptions } from './app-change.ts';
import { asTransient } from './backend-error.ts';

const NONE: Channels = { mail: false, webhook: false };

type Announcing = Pick<RegistryOptions, 'now' | 'channels'> & { readonly rings: { readonly installation: string } };

/**
 * Announces within the caller's transaction: with the change that it tells of, or not at all. An occasion that was announced before adds
 * nothing. Mail that cannot be sent for want of SMTP_URL is kept as given up at once: it must not arrive by surprise a year later.
 */
export async function announceIn(
  tx: pg.PoolClient,
  { rings: { installation }, now, channels = NONE }: Announcing,
  announcements: readonly Announcement[],
): Promise<void> {
  const at = new Date(now());
  for (const { occasion, to } of announcements) {
    const key = occasionKey(occasion);
    const { rowCount } = await tx.query(
      'INSERT INTO occasion (installation, key, detail, announced_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING',
      [installation, key, occasion, at],
    );
    if (rowCount === 0) continue;
    await tx.query(
      `INSERT INTO notification (installation, occasion, channel, recipient, next_attempt_at, given_up_at, last_error)
       SELECT $1, $2, 'Mail', recipient, $3::timestamptz, CASE WHEN $5 THEN NULL ELSE $3::timestamptz END, CASE WHEN $5 THEN NULL ELSE $6 END
         FROM unnest($4::text[]) AS recipient`,
      [installation, key, at, [...new Set(to)], channels.mail, NOT_CONFIGURED.Mail],
    );
    if (channels.webhook)
      await tx.query(
        `INSERT INTO notification (installation, occasion, channel, recipient, next_attempt_at) VALUES ($1, $2, 'Webhook', '', $3)`,
        [installation, key, at],
      );
  }
}

/** What goes with no other change; see the port. */
export function createAnnouncementRegistry(options: RegistryOptions): Pick<Registry, 'announced' | 'announce'> {
  const { pool, commit, rings } = options;
  return {
    announced: async (keys) => {
      if (keys.length === 0) return new Set();
      return asTransient(async () => {
        const { rows } = await pool.query<{ key: string }>(
          'SELECT key FROM occasion WHERE installation = $1 AND key = ANY($2)',
          [rings.installation, keys],
        );
        return new Set(rows.map(({ key }) => key));
      });
    },
    announce: async (announcement) => {
      await asTransient(() =>
        commit.commit(async (tx) => {
          await announceIn(tx, options, [announcement]);
          // Nothing that a relay enforces, and nothing that anybody configured: no entry, no audit row.
          return { result: undefined, changes: [], audit: [] };
        }),
      );
    },
  };
}
