import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { parseChannelName } from '../../protocol/channel-name.ts';
import type { ChannelCounts } from '../channel-counts.ts';
import { gated, gatedApp } from '../http-gate.ts';
import { parseInfo } from '../info.ts';
import { Refused } from '../refuse.ts';

const PRESENCE_PREFIX = 'presence-';
const params = z.object({ channel: z.string() });

/** GET channels and channels/{name}: what is occupied now, over all replicas. */
export function channelRoutes(scope: FastifyInstance, { counts }: { readonly counts: ChannelCounts }): void {
  const listChannels = async (request: FastifyRequest): Promise<object> => {
    const { parameters } = gated(request);
    const parameter = (name: string): string | undefined => parameters.find(([n]) => n === name)?.[1];
    const info = parseInfo(parameter('info'));
    const prefix = parameter('filter_by_prefix') ?? '';
    if (info.userCount && !prefix.startsWith(PRESENCE_PREFIX)) {
      throw new Refused(
        'parameter_invalid',
        'user_count may only be requested for presence channels: filter_by_prefix=presence-',
      );
    }
    const channels: [name: string, attributes: object][] = [];
    for (const [name, count] of await counts.all(gatedApp(request).appId)) {
      if (name.startsWith(prefix)) channels.push([name, info.subscriptionCount ? { subscription_count: count } : {}]);
    }
    // Not by assignment: `__proto__` is a valid name.
    return { channels: Object.fromEntries(channels) };
  };

  const showChannel = async (request: FastifyRequest): Promise<object> => {
    const { channel: name } = params.parse(request.params);
    const info = parseInfo(gated(request).parameters.find(([n]) => n === 'info')?.[1]);
    const channel = parseChannelName(name);
    if ('fault' in channel) {
      throw new Refused(channel.fault === 'not_served' ? 'channel_not_served' : 'channel_invalid', channel.message);
    }
    if (info.userCount)
      throw new Refused('parameter_invalid', 'user_count may only be requested for presence channels');
    const count = await counts.ofChannel(gatedApp(request).appId, name);
    return { occupied: count > 0, ...(info.subscriptionCount ? { subscription_count: count } : {}) };
  };

  scope.get('/channels', (request) => listChannels(request));
  scope.get('/channels/:channel', (request) => showChannel(request));
}
