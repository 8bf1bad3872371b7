import { z } from 'zod';
import type { Bus } from '../../bus/bus.ts';
import { signal, type Signals } from '../../bus/signals.ts';
import { terminateUser } from '../../connections/termination.ts';
import { isUserId } from '../../protocol/user-id.ts';
import { endpoint, NOTHING, type Endpoint } from '../endpoint.ts';

export type UserEndpointsParts = { readonly bus: Bus; readonly signals: Signals };

/** The one endpoint that an SDK (PyPI `pusher` 3.3.4) also asks for without the app in the path. */
export function terminateEndpoint({ bus, signals }: UserEndpointsParts): Endpoint {
  return endpoint({
    method: 'POST',
    path: '/users/:user/terminate_connections',
    surface: 'pusher',
    scope: 'connections:manage',
    id: 'terminateUserConnections',
    summary: 'Close all connections of a signed-in user',
    description: 'They get close code 4009 and do not come back by themselves.',
    params: z.object({ user: z.string().refine(isUserId, 'is not a user id') }),
    query: NOTHING,
    body: NOTHING,
    answer: z.object({}),
    refusals: [],
    handle: async ({ app: { appId }, params: { user }, reply }) => {
      const { channel, content } = terminateUser(user);
      const reach = await signal(bus, signals, appId, channel, content);
      if (reach === 'local') reply.header('x-relay-delivery', 'local');
      return {};
    },
  });
}
