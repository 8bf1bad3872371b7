import { Agent, request } from 'node:http';
import type { KubernetesClient } from '#operator/kubernetes/client.ts';
import { SECRETS } from '#operator/kubernetes/resource-type.ts';
import type { KubernetesSecret } from '#operator/kubernetes/secrets.ts';

export type Values = Readonly<Record<string, string>>;

/** What a relay says to a request. `away`: nobody answered, or it is not ready and no load balancer would have asked it. */
export type Answer = 'accepted' | 'refused' | 'away';

/** A Secret as whoever may read it gets it. undefined: there is none. */
export async function readValues(
  client: KubernetesClient,
  namespace: string,
  name: string,
): Promise<Values | undefined> {
  const secret = await client.get<KubernetesSecret>(SECRETS, { namespace, name });
  if (secret === undefined) return undefined;
  const values = Object.entries(secret.data ?? {}).map(([key, value]) => [
    key,
    Buffer.from(value, 'base64').toString(),
  ]);
  return Object.fromEntries(values) as Values;
}

/** What makes two contents of a Secret different credentials. */
export const identityOf = ({ RELAY_TOKEN: token, PUSHER_APP_KEY: key, PUSHER_APP_SECRET: secret }: Values): string =>
  token ?? `${key} ${secret}`;

/** Publishes one event with what a Secret holds, over a connection that is not kept: each may meet another process. */
export function publishWith(port: number, values: Values): Promise<Answer> {
  const appId = values['RELAY_APP_ID'] ?? values['PUSHER_APP_ID'] ?? '';
  const token = values['RELAY_TOKEN'];
  const credentials =
    token === undefined
      ? { 'x-relay-key': values['PUSHER_APP_KEY'] ?? '', 'x-relay-secret': values['PUSHER_APP_SECRET'] ?? '' }
      : { authorization: `Bearer ${token}` };
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const sent = request(
    {
      port,
      host: '127.0.0.1',
      agent: new Agent(),
      method: 'POST',
      path: `/api/v1/apps/${appId}/events`,
      headers: { ...credentials, 'content-type': 'application/json' },
    },
    (response) => {
      response.resume();
      const { statusCode = 0 } = response;
      if (statusCode === 200) resolve('accepted');
      else if (statusCode === 401 || statusCode === 403) resolve('refused');
      else if (statusCode === 503) resolve('away');
      else reject(new Error(`the relay says ${statusCode}`));
    },
  );
  sent.once('error', () => resolve('away'));
  sent.end(JSON.stringify({ name: 'created', channel: 'orders', data: '{}' }));
  return promise;
}
