import { once } from 'node:events';
import { request as plainRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import type { ConnectionOptions } from 'node:tls';
import type { Registry } from 'prom-client';
import { expect } from 'vitest';
import type { Certificate } from '#test/parts/certificate.ts';
import { eventually } from '#test/parts/eventually.ts';
import { TestClient } from './test-client.ts';

/** Where somebody knocks: a relay, or a proxy in front of it. Serves app 101 with the key `appkey`. */
export type Door = {
  readonly port: number;
  /** PEM, of whom the server's certificate is. */
  readonly authority: string;
  /** A bearer token of the app. */
  readonly token: string;
  /** Of the relay. */
  readonly metrics: Registry;
};

export type Way = {
  /** Over TLS, with this certificate; null: with none. Left out: plaintext. */
  readonly tls?: Certificate | null;
  readonly headers?: OutgoingHttpHeaders;
  readonly connection?: Pick<ConnectionOptions, 'session' | 'minVersion' | 'maxVersion'>;
};

/** A request and a WebSocket on the same way: both are let in ('in'), or both refused with this code. */
export async function both(door: Door, way: Way): Promise<string> {
  const answers = [await http(door, way), await webSocket(door, way)];
  expect(answers[1]).toBe(answers[0]);
  return String(answers[0]);
}

export async function http(
  { port, authority, token }: Door,
  { tls, headers = {}, connection = {} }: Way,
): Promise<string> {
  const options = { host: '127.0.0.1', port, path: '/apps/101/channels', agent: false as const };
  const withToken = { authorization: `Bearer ${token}`, ...headers };
  const sent =
    tls === undefined
      ? plainRequest({ ...options, headers: withToken })
      : tlsRequest({ ...options, ...connection, ca: authority, ...tls, headers: withToken });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const body = JSON.parse(await text(response)) as { error?: { code: string } };
  const code = body.error?.code ?? 'in';
  const status =
    { in: 200, header_duplicated: 400 }[code] ?? (/_(sha1|unreadable|contradictory)$/.test(code) ? 400 : 403);
  expect({ code, status: response.statusCode }).toEqual({ code, status });
  return code;
}

async function webSocket(door: Door, way: Way): Promise<string> {
  const refusals = async (): Promise<Map<string, number>> => {
    const { values } = (await door.metrics.getSingleMetric('relay_refusals_total')?.get()) ?? { values: [] };
    const ofDoor = values.filter(({ labels }) => labels['door'] === 'websocket');
    return new Map(ofDoor.map(({ labels, value }) => [String(labels['code']), value]));
  };
  const before = await refusals();
  await using client = openSocket(door, way);
  await eventually(() => client.closeCode !== undefined || client.received.length > 0);
  if (client.received.some(({ event }) => event === 'pusher:connection_established')) return 'in';
  expect(await client.closed()).toBe(4009);
  return [...(await refusals())].find(([code, value]) => value !== (before.get(code) ?? 0))?.[0] ?? 'nothing';
}

export function openSocket({ port, authority }: Door, { tls, headers = {}, connection = {} }: Way): TestClient {
  const url = `${tls === undefined ? 'ws' : 'wss'}://127.0.0.1:${port}/app/appkey?protocol=7`;
  return new TestClient(url, {
    ca: authority,
    ...connection,
    ...tls,
    headers: { ...headers } as Record<string, string>,
  });
}
