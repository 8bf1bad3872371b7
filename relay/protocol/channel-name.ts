import { isUserId } from './user-id.ts';

/**
 * What a channel's prefix makes of it. `cache` is an orthogonal property: `private-cache-x` is a private channel that keeps its last
 * event. `user` is `#server-to-user-{id}`: to the sockets that are signed in as that user.
 */
export type ChannelKind = 'public' | 'private' | 'presence' | 'encrypted' | 'user';

export type Channel = { readonly name: string; readonly kind: ChannelKind; readonly cache: boolean };

export type ChannelFault = { readonly fault: 'malformed' | 'too_long' | 'reserved'; readonly message: string };

/** Some SDKs allow 200, Pusher itself 164 (pusher-protocol: Channels). */
export const MAX_CHANNEL_NAME = 164;

const CHARSET = /^[A-Za-z0-9_\-=@,.;]+$/;
const SERVER_TO_USER = '#server-to-user-';

// Longest first: a prefix counts only whole, with its hyphen, so "presence" and "private" alone are public names.
const PREFIXES: readonly (readonly [prefix: string, kind: ChannelKind, cache: boolean])[] = [
  ['private-encrypted-cache-', 'encrypted', true],
  ['private-encrypted-', 'encrypted', false],
  ['private-cache-', 'private', true],
  ['private-', 'private', false],
  ['presence-cache-', 'presence', true],
  ['presence-', 'presence', false],
  ['cache-', 'public', true],
];

/** Reads a channel's name as a client or a publisher gave it. Says what is wrong with it, in words for the developer who sent it. */
export function parseChannelName(name: string): Channel | ChannelFault {
  if (name.length > MAX_CHANNEL_NAME) {
    return { fault: 'too_long', message: `Channel names have at most ${MAX_CHANNEL_NAME} characters` };
  }
  if (name.startsWith('#')) {
    return isServerToUser(name)
      ? { name, kind: 'user', cache: false }
      : { fault: 'reserved', message: 'Channel names starting with # are reserved, except #server-to-user-{id}' };
  }
  if (!CHARSET.test(name)) {
    return { fault: 'malformed', message: 'Invalid channel name: letters, digits and _ - = @ , . ; are allowed' };
  }
  const row = prefixOf(name);
  return row === undefined ? { name, kind: 'public', cache: false } : { name, kind: row[1], cache: row[2] };
}

/** For every publish, more than once: most names begin with none of the first letters. */
function prefixOf(name: string): (typeof PREFIXES)[number] | undefined {
  if (!name.startsWith('p') && !name.startsWith('c')) return undefined;
  for (const row of PREFIXES) if (name.startsWith(row[0])) return row;
  return undefined;
}

/** The channel on which a backend speaks to one user, wherever that is signed in. */
export const serverToUserChannel = (userId: string): string => SERVER_TO_USER + userId;

export function isServerToUser(name: string): boolean {
  return name.startsWith(SERVER_TO_USER) && isUserId(name.slice(SERVER_TO_USER.length));
}

/** Whether events of the channel are kept for who comes later; cheap, for every publish. */
export function isCacheChannel(name: string): boolean {
  return prefixOf(name)?.[2] ?? false;
}
