import type { Connections } from '../connections/connections.ts';
import type { PublicKeys } from '../encryption/public-keys.ts';
import type { Usage } from '../usage/usage.ts';
import type { UsageStore } from '../usage/usage-store.ts';
import type { Endpoint } from './endpoint.ts';
import { analyticsEndpoint } from './routes/analytics.ts';
import { authEndpoints } from './routes/auth.ts';
import { channelEndpoints } from './routes/channels.ts';
import { connectionEndpoints } from './routes/connections.ts';
import { encryptionEndpoints } from './routes/encryption.ts';
import { eventEndpoints, type EventEndpointsParts } from './routes/events.ts';
import { terminateEndpoint, type UserEndpointsParts } from './routes/users.ts';

export type EndpointParts = EventEndpointsParts &
  UserEndpointsParts & {
    readonly connections: Connections;
    readonly usage: Usage;
    readonly usageStore: UsageStore;
    readonly publicKeys: PublicKeys;
    /** Epoch milliseconds. */
    readonly wallClock: () => number;
  };

const API_PREFIX = '/api/v1/apps/:appId';
const PUSHER_PREFIX = '/apps/:appId';

/** Every endpoint of an app: routes, gate and the OpenAPI document are made from this one table. */
export function endpointTable(parts: EndpointParts): readonly Endpoint[] {
  return [
    ...eventEndpoints(parts),
    ...channelEndpoints(parts.facts),
    terminateEndpoint(parts),
    ...authEndpoints(),
    ...connectionEndpoints(parts.connections),
    analyticsEndpoint({ usage: parts.usage, store: parts.usageStore, wallClock: parts.wallClock }),
    ...encryptionEndpoints(parts.publicKeys, parts.wallClock),
  ];
}

export type ServedPath = {
  /** In Fastify's notation. */
  readonly url: string;
  /** How the path says which app it is about: in itself, or by the key that signed the request. */
  readonly app: 'path' | 'key';
};

/** Where an endpoint is served. */
export function pathsOf({ id, path, surface }: Pick<Endpoint, 'id' | 'path' | 'surface'>): readonly ServedPath[] {
  const paths: ServedPath[] = [{ url: `${API_PREFIX}${path}`, app: 'path' }];
  if (surface === 'pusher') paths.push({ url: `${PUSHER_PREFIX}${path}`, app: 'path' });
  if (id === 'terminateUserConnections') paths.push({ url: path, app: 'key' });
  return paths;
}
