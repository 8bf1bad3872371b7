import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import fc from 'fast-check';
import Pusher from 'pusher';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { defaultedAccess } from '#crds/access.ts';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import type { Geography } from '#relay/access/countries.ts';
import { formatIpAddress } from '#relay/access/ip-address.ts';
import { IpRanges } from '#relay/access/ip-ranges.ts';
import { parseIpRanges } from '#relay/access/trusted-proxies.ts';
import { MemoryRateStore } from '#relay/limits/memory-rate-store.ts';
import type { Relay } from '#relay/relay.ts';
import { DEFAULT_POLICY } from '#test/parts/app-policy.ts';
import { effort } from '../conformance/effort.ts';
import { bytesOf, tricks, type RawRequest } from './gate-tricks.ts';
import type { AppFields } from './hand-built-directory.ts';
import { MemoryWorld } from './memory-relay.ts';

// A request that the gate refuses stays refused, however it is written. gate-tricks.ts has the ways to write it; this sends each of them, byte
// by byte, at each door against each rule, and then several at once.

const DOORS = ['channels', 'events', 'auth', 'websocket'] as const;
type DoorName = (typeof DOORS)[number];
const METHODS = ['bearer', 'keyAndSecret', 'signature'] as const;
type Method = (typeof METHODS)[number];

/** Why a request is refused: what its app declares, and what is wrong with the request. */
type Scenario = {
  readonly name: string;
  readonly app?: Omit<AppFields, 'appId' | 'keys'>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: { readonly appId?: string; readonly scopes?: readonly string[]; readonly unknown?: true };
  readonly secret?: string;
  readonly doors?: readonly DoorName[];
  readonly methods?: readonly Method[];
  readonly spent?: true;
};
const HTTP: readonly DoorName[] = ['channels', 'events', 'auth'];
const access = (rule: Partial<ReturnType<typeof defaultedAccess>>): AppFields => ({
  access: { ...defaultedAccess(undefined), ...rule },
});
const { authentication: switches, limits } = DEFAULT_POLICY;

const scenarios: readonly Scenario[] = [
  { name: 'nothing' },
  { name: 'disabled', app: { enabled: false } },
  { name: 'address', app: access({ ipAllowlist: ['203.0.113.0/24'] }), headers: { 'X-Forwarded-For': '198.51.100.7' } },
  {
    name: 'country',
    app: access({ countries: { mode: 'Allow', codes: ['DE'] } }),
    headers: { 'X-Forwarded-For': '198.51.100.7' },
  },
  { name: 'origin', app: access({ origins: ['https://example.com'] }), headers: { Origin: 'https://evil.net' } },
  { name: 'plaintext', headers: { 'X-Forwarded-Proto': 'http' } },
  { name: 'bearer off', app: { authentication: { ...switches, bearer: false } }, doors: HTTP, methods: ['bearer'] },
  {
    name: 'key and secret off',
    app: { authentication: { ...switches, keyAndSecret: false } },
    doors: HTTP,
    methods: ['keyAndSecret'],
  },
  {
    name: 'signature off',
    app: { authentication: { ...switches, signature: false } },
    doors: HTTP,
    methods: ['signature'],
  },
  { name: 'scope', token: { scopes: ['app:read'] }, doors: HTTP, methods: ['bearer'] },
  { name: 'token of another app', token: { appId: '101' }, doors: HTTP, methods: ['bearer'] },
  { name: 'unknown token', token: { unknown: true }, doors: HTTP, methods: ['bearer'] },
  { name: 'wrong secret', secret: 'guessed', doors: HTTP, methods: ['keyAndSecret', 'signature'] },
  { name: 'rate', app: { limits: { ...limits, rate: { requestsPerMinute: 1, burst: 1 } } }, spent: true },
  { name: 'quota', app: { limits: { ...limits, connections: 0 } }, doors: ['websocket'] },
];

type Case = { readonly scenario: Scenario; readonly door: DoorName; readonly method: Method };
const appIdOf = (scenario: Scenario): string => String(101 + scenarios.indexOf(scenario));
const cases: readonly Case[] = scenarios.flatMap((scenario) =>
  (scenario.doors ?? DOORS).flatMap((door): Case[] =>
    door === 'websocket'
      ? [{ scenario, door, method: 'bearer' }]
      : (scenario.methods ?? METHODS).map((method) => ({ scenario, door, method })),
  ),
);

const minted = (at: number) => mintToken('Live', new Uint8Array(MINT_BYTES).fill(at + 1));

function requestOf({ scenario, door, method }: Case): RawRequest {
  const appId = appIdOf(scenario);
  const key = `k${appId}`;
  const headers: Record<string, string> = { Host: 'relay.example' };
  const proxied = { 'X-Forwarded-For': '203.0.113.9', 'X-Forwarded-Proto': 'https', ...scenario.headers };
  const whole = (verb: string, target: string, body = ''): RawRequest => ({
    method: verb,
    target,
    version: 'HTTP/1.1',
    headers: Object.entries({ ...headers, ...proxied }).map(([name, value]) => [name, ` ${value}`] as const),
    body,
  });
  if (door === 'websocket') {
    Object.assign(headers, { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' });
    headers['Sec-WebSocket-Key'] = randomBytes(16).toString('base64');
    return whole('GET', `/app/${key}?protocol=7&client=x`);
  }
  const { verb, path, body } = {
    channels: { verb: 'GET', path: `/apps/${appId}/channels`, body: '' },
    events: {
      verb: 'POST',
      path: `/api/v1/apps/${appId}/events`,
      body: JSON.stringify({ name: 'x', channel: 'orders', data: '' }),
    },
    auth: {
      verb: 'POST',
      path: `/api/v1/apps/${appId}/auth/channel`,
      body: JSON.stringify({ socket_id: '1.2', channel_name: 'private-a' }),
    },
  }[door];
  if (body !== '') headers['Content-Length'] = String(body.length);
  const secret = scenario.secret ?? `s${appId}`;
  if (method === 'bearer') {
    const at = scenario.token?.unknown === true ? 200 : scenarios.indexOf(scenario);
    headers['Authorization'] = `Bearer ${minted(at).token}`;
  }
  if (method === 'keyAndSecret') Object.assign(headers, { 'X-Relay-Key': key, 'X-Relay-Secret': secret });
  if (method !== 'signature') return whole(verb, `${path}?page=1`, body);
  const query = new Pusher({ appId, key, secret, host: '127.0.0.1' }).createSignedQueryString({
    method: verb,
    path,
    params: {},
    ...(body === '' ? {} : { body }),
  });
  return whole(verb, `${path}?${query}`, body);
}

let relay: Relay;

beforeAll(async () => {
  const world = new MemoryWorld();
  for (const [at, scenario] of scenarios.entries()) {
    const appId = appIdOf(scenario);
    await world.directory.setApp({
      ...scenario.app,
      appId,
      keys: [{ id: 'k', key: `k${appId}`, secret: `s${appId}` }],
    });
    const { appId: other, scopes } = scenario.token ?? {};
    await world.directory.setToken(minted(at).sha256, {
      appId: other ?? appId,
      name: `t${appId}`,
      ...(scopes === undefined ? {} : { scopes: [...scopes] }),
    });
  }
  const geography: Geography = {
    available: true,
    countryOf: (address) => {
      const text = address === undefined ? '' : formatIpAddress(address);
      return text.startsWith('203.0.113.') ? 'DE' : text.startsWith('198.51.100.') ? 'FR' : undefined;
    },
    onChange: () => () => undefined,
  };
  relay = await world.relay(
    {
      transport: { certificate: undefined, requireTls: true },
      proxies: { trusted: new IpRanges(parseIpRanges('127.0.0.0/8')), header: 'x-forwarded-for' },
    },
    // Its clock stands still: what is spent does not come back.
    { geography, rateStore: new MemoryRateStore(() => 0) },
  );
  for (const one of cases.filter(({ scenario }) => scenario.spent === true)) await verdictOf(requestOf(one));
});
afterAll(() => relay[Symbol.asyncDispose]());

/** `in`: answered with 2xx, or a socket that is established. Else the status, or `closed` where there is none. */
function verdictOf(request: RawRequest): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(relay.port, '127.0.0.1');
    let text = '';
    const done = (verdict: string): void => {
      socket.destroy();
      resolve(verdict);
    };
    socket.on('error', () => done('closed'));
    socket.on('close', () => done('closed'));
    socket.on('data', (bytes: Buffer) => {
      text = (text + bytes.toString('latin1')).replace(/^HTTP\/1\.1 100 [^]*?\r\n\r\n/, '');
      const status = /^HTTP\/1\.1 (\d{3}) [^]*?\r\n\r\n/.exec(text)?.[1];
      if (status === '101') {
        if (text.includes('pusher:connection_established')) done('in');
        else if (text.includes('pusher:error')) done(/"code":(\d+)/.exec(text)?.[1] ?? 'closed');
      } else if (status !== undefined) done(status.startsWith('2') ? 'in' : status);
    });
    socket.write(bytesOf(request));
  });
}

const nameOf = ({ scenario, door, method }: Case): string =>
  `${scenario.name}, ${door}${door === 'websocket' ? '' : `, ${method}`}`;
const isAdmitted = ({ scenario }: Case): boolean => scenario.name === 'nothing';
/** What may come of a request that is refused as it stands: any refusal, but never a failure of the relay. */
const REFUSED = /^(4\d\d|4\d\d\d|501|505|closed)$/;

test.each(cases.map((one) => ({ ...one, what: nameOf(one) })))('as it stands: $what', async (one) => {
  expect(await verdictOf(requestOf(one))).toMatch(isAdmitted(one) ? /^in$/ : REFUSED);
});

/** Each rule at each door, with the ways to authenticate in turn: thousands of requests are enough. */
const turns = cases.filter(({ scenario, door, method }) => {
  const methods = scenario.methods ?? METHODS;
  return (
    door === 'websocket' || method === methods[(scenarios.indexOf(scenario) + DOORS.indexOf(door)) % methods.length]
  );
});

test.each(turns.map((one) => ({ ...one, what: nameOf(one) })))('with each trick: $what', async (one) => {
  const played = tricks.flatMap(({ name, places, play }) =>
    Array.from({ length: places(requestOf(one)) }, async (_, at) => {
      const request = play(requestOf(one), at);
      return { name, at, request, verdict: await verdictOf(request) };
    }),
  );
  const answers = await Promise.all(played);
  const wrong = answers.filter(({ verdict }) => !(isAdmitted(one) && verdict === 'in') && !REFUSED.test(verdict));
  expect(wrong).toEqual([]);
});

test('with several tricks at once', async () => {
  const play = fc.tuple(fc.constantFrom(...tricks), fc.nat({ max: 12 }));
  const refused = cases.filter((one) => !isAdmitted(one));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...refused),
      fc.array(play, { minLength: 2, maxLength: 4 }),
      async (one, plays) => {
        const request = plays.reduce((changed, [trick, at]) => trick.play(changed, at), requestOf(one));
        expect(await verdictOf(request)).toMatch(REFUSED);
      },
    ),
    effort(1_000),
  );
});
