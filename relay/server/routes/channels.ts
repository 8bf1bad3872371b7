import { z } from 'zod';
import { channelAttributes, type ChannelAttributes, type ChannelFacts } from '../channel-facts.ts';
import { channelNamed } from '../channel-parameter.ts';
import { endpoint, NOTHING, type Endpoint } from '../endpoint.ts';
import { infoOf, infoText } from '../info.ts';
import { Refused } from '../refuse.ts';

const PRESENCE_PREFIX = 'presence-';
const params = z.object({ channel: z.string() });

/** What is occupied now, and by whom, over all replicas. */
export function channelEndpoints(facts: ChannelFacts): readonly Endpoint[] {
  return [
    endpoint({
      method: 'GET',
      path: '/channels',
      surface: 'pusher',
      scope: 'channels:read',
      id: 'listChannels',
      summary: 'List the occupied channels',
      params: NOTHING,
      query: z.object({ filter_by_prefix: z.string().default(''), info: infoText.optional() }),
      body: NOTHING,
      answer: z.object({ channels: z.record(z.string(), channelAttributes.omit({ cache: true })) }),
      refusals: [],
      handle: async ({ app: { appId }, query: { filter_by_prefix: prefix, info: asked } }) => {
        const info = infoOf(asked);
        if (info.userCount && !prefix.startsWith(PRESENCE_PREFIX)) {
          throw new Refused(
            'parameter_invalid',
            'user_count may only be requested for presence channels: filter_by_prefix=presence-',
          );
        }
        const occupied = [...(await facts.all(appId))].filter(([name]) => name.startsWith(prefix));
        const users = info.userCount
          ? await facts.userCounts(
              appId,
              occupied.map(([name]) => name),
            )
          : new Map<string, number>();
        const told = occupied.map(([name, count]): [string, ChannelAttributes] => [
          name,
          {
            ...(info.subscriptionCount ? { subscription_count: count } : {}),
            ...(info.userCount ? { user_count: users.get(name) ?? 0 } : {}),
          },
        ]);
        // Not by assignment: `__proto__` is a valid name.
        return { channels: Object.fromEntries(told) };
      },
    }),
    endpoint({
      method: 'GET',
      path: '/channels/:channel',
      surface: 'pusher',
      scope: 'channels:read',
      id: 'showChannel',
      summary: 'Show one channel',
      params,
      query: z.object({ info: infoText.optional() }),
      body: NOTHING,
      answer: channelAttributes.extend({ occupied: z.boolean() }),
      refusals: ['channel_invalid'],
      handle: async ({ app: { appId }, params: { channel: name }, query }) => {
        const info = infoOf(query.info);
        if (channelNamed(name).kind !== 'presence' && info.userCount) {
          throw new Refused('parameter_invalid', 'user_count may only be requested for presence channels');
        }
        const { subscription_count: count = 0, ...others } = await facts.of(appId, name, {
          ...info,
          subscriptionCount: true,
        });
        return { occupied: count > 0, ...others, ...(info.subscriptionCount ? { subscription_count: count } : {}) };
      },
    }),
    endpoint({
      method: 'GET',
      path: '/channels/:channel/users',
      surface: 'pusher',
      scope: 'presence:read',
      id: 'listUsers',
      summary: 'List the users in a presence channel',
      params,
      query: NOTHING,
      body: NOTHING,
      answer: z.object({ users: z.array(z.object({ id: z.string() })) }),
      refusals: ['channel_invalid', 'channel_not_presence'],
      handle: async ({ app: { appId }, params: { channel: name } }) => {
        if (channelNamed(name).kind !== 'presence') throw new Refused('channel_not_presence');
        return { users: (await facts.userIds(appId, name)).map((id) => ({ id })) };
      },
    }),
  ];
}
