import { parseChannelName, type Channel } from '../protocol/channel-name.ts';
import { Refused } from './refuse.ts';

/** A channel that a caller names. Throws {@link Refused} with what is wrong with the name. */
export function channelNamed(name: string): Channel {
  const channel = parseChannelName(name);
  if (!('fault' in channel)) return channel;
  throw new Refused('channel_invalid', `${channel.message} (${JSON.stringify(name.slice(0, 200))})`);
}
