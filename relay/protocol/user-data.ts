import { z } from 'zod';
import { parseJson } from '#crds/json-text.ts';
import { isUserId } from './user-id.ts';

/** Most of `user_info` on a presence channel, in bytes of its JSON (pusher-protocol: Channels). */
export const MAX_USER_INFO_BYTES = 1_024;
/** Most users that one may watch (pusher-protocol: Close codes). */
export const MAX_WATCHLIST = 100;

/** Who somebody is on a presence channel; `info` is the JSON text of `user_info`, `null` when there is none. */
export type PresenceIdentity = { readonly userId: string; readonly info: string };

/** Who a socket is signed in as. */
export type User = {
  readonly id: string;
  /** JSON text of `user_info`, for presence channels; undefined: too large for them. */
  readonly info: string | undefined;
  /** At most {@link MAX_WATCHLIST} distinct ids. */
  readonly watchlist: readonly string[];
  /** It had more than that; the rest was left out. */
  readonly watchlistCut: boolean;
};

const channelData = z.object({ user_id: z.union([z.string(), z.number()]), user_info: z.unknown().optional() });
const userData = z.object({
  id: z.string(),
  user_info: z.unknown().optional(),
  watchlist: z.array(z.unknown()).optional().catch(undefined),
});

/** Reads the `channel_data` of a presence subscription; numbers are ids too. In words what is wrong with it, otherwise. */
export function parseChannelData(text: string): PresenceIdentity | { readonly fault: string } {
  const parsed = channelData.safeParse(parseJson(text)).data;
  if (parsed === undefined) return { fault: 'channel_data must be a JSON object with a user_id' };
  const userId = String(parsed.user_id);
  if (!isUserId(userId)) return { fault: 'user_id must have 1 to 128 characters' };
  const info = infoText(parsed.user_info);
  return info === undefined ? { fault: USER_INFO_TOO_LARGE } : { userId, info };
}

export const USER_INFO_TOO_LARGE = `user_info has at most ${MAX_USER_INFO_BYTES} bytes of JSON`;

/** Reads the `user_data` of a sign-in. pusher-js accepts only a text as id. */
export function parseUserData(text: string): User | undefined {
  const parsed = userData.safeParse(parseJson(text)).data;
  if (parsed === undefined || !isUserId(parsed.id)) return undefined;
  const watched = new Set((parsed.watchlist ?? []).filter(isWatchable).map(String));
  return {
    id: parsed.id,
    info: infoText(parsed.user_info),
    watchlist: [...watched].slice(0, MAX_WATCHLIST),
    watchlistCut: watched.size > MAX_WATCHLIST,
  };
}

const isWatchable = (id: unknown): boolean =>
  (typeof id === 'string' || typeof id === 'number') && isUserId(String(id));

/** undefined: too large, or nested too deeply to be written again. */
function infoText(info: unknown): string | undefined {
  try {
    const text = JSON.stringify(info ?? null);
    return Buffer.byteLength(text) > MAX_USER_INFO_BYTES ? undefined : text;
  } catch {
    return undefined;
  }
}
