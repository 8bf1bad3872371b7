import { z } from 'zod';
import { connection, type Connections } from '../../connections/connections.ts';
import { isUserId } from '../../protocol/user-id.ts';
import { SOCKET_ID_PATTERN } from '../../protocol/socket-id.ts';
import { channelNamed } from '../channel-parameter.ts';
import { endpoint, NOTHING, type Endpoint } from '../endpoint.ts';
import { Refused } from '../refuse.ts';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 100;
const socketId = z.string().regex(SOCKET_ID_PATTERN, 'must be a socket id such as 123.456');

export function connectionEndpoints(connections: Connections): readonly Endpoint[] {
  return [
    endpoint({
      method: 'GET',
      path: '/connections',
      surface: 'relay',
      scope: 'connections:read',
      id: 'listConnections',
      summary: 'List the open connections',
      description:
        'Over all replicas, by socket id. A replica that does not answer within a second is named in `incomplete` (`*`: Redis is away); what it holds is missing.',
      params: NOTHING,
      query: z.object({
        channel: z.string().optional(),
        user: z.string().refine(isUserId, 'is not a user id').optional(),
        limit: z.coerce.number().int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT),
        cursor: socketId.optional().meta({ description: '`next` of the page before.' }),
      }),
      body: NOTHING,
      answer: z.object({
        connections: z.array(connection),
        next: z.string().nullable(),
        incomplete: z.array(z.string()),
      }),
      refusals: ['channel_invalid'],
      handle: ({ app: { appId }, query: { channel, user, limit, cursor } }) => {
        if (channel !== undefined) channelNamed(channel);
        return connections.list(appId, { channel, user, limit, after: cursor ?? '' });
      },
    }),
    endpoint({
      method: 'DELETE',
      path: '/connections/:socketId',
      surface: 'relay',
      scope: 'connections:manage',
      id: 'disconnect',
      summary: 'Close one connection',
      description: 'It gets close code 4009 and does not come back by itself.',
      params: z.object({ socketId }),
      query: NOTHING,
      body: NOTHING,
      answer: null,
      refusals: ['socket_unknown', 'replica_silent'],
      handle: async ({ app: { appId }, params }) => {
        const outcome = await connections.disconnect(appId, params.socketId);
        if (outcome === 'unknown') throw new Refused('socket_unknown');
        if (outcome === 'unanswered') throw new Refused('replica_silent');
        return {};
      },
    }),
  ];
}
