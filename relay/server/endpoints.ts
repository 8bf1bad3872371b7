import type { Endpoint } from './endpoint.ts';
import { authEndpoints } from './routes/auth.ts';
import { channelEndpoints } from './routes/channels.ts';
import { eventEndpoints, type EventEndpointsParts } from './routes/events.ts';
import { terminateEndpoint, type UserEndpointsParts } from './routes/users.ts';

export type EndpointParts = EventEndpointsParts & UserEndpointsParts;

const API_PREFIX = '/api/v1/apps/:appId';
const PUSHER_PREFIX = '/apps/:appId';

/** Every endpoint of an app: routes, gate and the OpenAPI document are made from this one table. */
export function endpointTable(parts: EndpointParts): readonly Endpoint[] {
  return [...eventEndpoints(parts), ...channelEndpoints(parts.facts), terminateEndpoint(parts), ...authEndpoints()];
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
