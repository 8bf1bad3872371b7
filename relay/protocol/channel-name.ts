/** What a channel's prefix makes of it. `cache` is an orthogonal property: `private-cache-x` is a private channel that keeps its last event. */
export type ChannelKind = 'public' | 'private' | 'presence' | 'encrypted';

export type Channel = { readonly name: string; readonly kind: ChannelKind; readonly cache: boolean };

export type ChannelFault = {
  readonly fault: 'malformed' | 'too_long' | 'reserved' | 'not_served';
  readonly message: string;
};

/** Some SDKs allow 200, Pusher itself 164 (pusher-protocol: Channels). */
export const MAX_CHANNEL_NAME = 164;

const CHARSET = /^[A-Za-z0-9_\-=@,.;]+$/;

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
    return { fault: 'reserved', message: 'Channel names starting with # are reserved and not served by this version' };
  }
  if (!CHARSET.test(name)) {
    return { fault: 'malformed', message: 'Invalid channel name: letters, digits and _ - = @ , . ; are allowed' };
  }
  const row = PREFIXES.find(([prefix]) => name.startsWith(prefix));
  const channel: Channel =
    row === undefined ? { name, kind: 'public', cache: false } : { name, kind: row[1], cache: row[2] };
  if (channel.cache || channel.kind === 'presence' || channel.kind === 'encrypted') {
    const kind = channel.cache ? 'Cache' : channel.kind === 'presence' ? 'Presence' : 'Encrypted';
    return { fault: 'not_served', message: `${kind} channels are not served by this version` };
  }
  return channel;
}
