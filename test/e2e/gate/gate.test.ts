import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gate } from '#relay/gate/gate.ts';
import { installFor, type Installation } from '#test/parts/installation.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';
import { Tenant, type Declared as ManifestObject } from '#test/parts/tenant.ts';
import { anybody, type Call, type Caller } from './callers.ts';
import { doors, DOORS, knock, opened, signedFor, Socket, type Method } from './doors.ts';
import { changes, rules, verdictAt, type AtHttp, type Declared, type Situation } from './rules.ts';

// Every door, every rule, every way to authenticate, let in and refused: rules.ts is the table. Rules are manifests on a real API server, and
// both relays are asked as soon as `Enforced` is True.

const isEnforced = ({ metadata: { generation }, status }: ManifestObject): boolean =>
  status?.conditions?.some(
    ({ type, status, observedGeneration }) =>
      type === 'Enforced' && status === 'True' && observedGeneration === generation,
  ) === true;

const NAMESPACE = 'gate';

/** Apps by what they declare, and by the rule that will change; each has a token. */
const fixed = new Map<string, { readonly name: string; readonly declared: Declared }>();
for (const [, declared] of rules) {
  const text = JSON.stringify(declared);
  if (!fixed.has(text)) fixed.set(text, { name: `app-${fixed.size}`, declared });
}
const changing = new Map(
  changes.map(([rule, before, after]) => [
    rule,
    { name: `changing-${rule.toLowerCase().replaceAll(' ', '-')}`, before, after },
  ]),
);

describe('the table', () => {
  const codes = (verdicts: readonly string[]): Set<string> =>
    new Set(verdicts.map((verdict) => verdict.split(' ')[1] ?? ''));
  const seen = {
    http: codes(rules.flatMap(([, , , http]) => (typeof http === 'string' ? [http] : Object.values(http)))),
    websocket: codes(rules.map(([, , , , socket]) => socket)),
    live: codes(changes.map(([, , , , open]) => open)),
  };
  /** What no manifest brings about while sockets are open; shown there instead. */
  const elsewhere: ReadonlySet<string> = new Set([
    'serving live', // test/integration/directory/partition.test.ts
    'app-known live', // test/e2e/first-thread.test.ts
    'key-active websocket', // A key that is not there is no app's: app_unknown.
    'key-active live', // test/integration/relay/two-relays.test.ts
  ]);
  const asked = gate.flatMap(({ name, doors, refuses }) =>
    doors.map((door) => ({ what: `${name} ${door}`, door, refuses })),
  );

  test.each(asked.filter(({ what }) => !elsewhere.has(what)))(
    'has a row that is refused by $what',
    ({ door, refuses }) => {
      expect([...seen[door]]).toEqual(expect.arrayContaining([expect.toBeOneOf([...refuses])]));
    },
  );

  test('excuses no check that is not there', () => {
    expect(asked.map(({ what }) => what)).toEqual(expect.arrayContaining([...elsewhere]));
  });
});

describeOnControlPlane('the gate', (cluster) => {
  const tenant = new Tenant(cluster, NAMESPACE);
  const credentials = new Map<string, Pick<Call, 'appId' | 'key' | 'secret' | 'token'>>();
  let installation: Installation;
  /** Has no directory, and never will. */
  let lost = 0;

  const applied = new Set<string>();
  const apply = async (apps: readonly { readonly name: string; readonly declared: Declared }[]): Promise<void> => {
    const objects = apps.flatMap(({ name, declared: { app, token, certificate } }) => {
      for (const kind of ['RelayApp', 'RelayToken']) applied.add(`${kind}/${name}`);
      if (certificate !== undefined) applied.add(`ClientCertificate/${name}`);
      return [
        tenant.app(name, app),
        tenant.token(name, name, token),
        ...(certificate === undefined ? [] : [tenant.certificate(name, name, certificate)]),
      ];
    });
    await tenant.apply(...objects);
  };
  const enforced = async (): Promise<void> => {
    await tenant.until('all that was declared is enforced', async () => {
      const items = await tenant.list('relayapp,relaytoken,clientcertificate');
      const done = new Set(items.filter(isEnforced).map(({ kind, metadata }) => `${kind}/${metadata.name}`));
      return applied.isSubsetOf(done);
    });
  };
  const call = (name: string, { change }: Caller): Call =>
    change({
      ...(credentials.get(name) ?? expect.fail(`no credentials of ${name}`)),
      anonymous: false,
      headers: { 'x-forwarded-for': '203.0.113.9', 'x-forwarded-proto': 'https' },
      repeated: undefined,
      data: '{"order":1}',
      announcedBytes: undefined,
      altered: false,
      protocol: '7',
    });
  const ports = (when?: Situation): readonly number[] =>
    when === 'lost' ? [lost] : installation.relays.slice(0, 2).map(({ port }) => port);
  /** The same of all of them, else what each said. */
  const agreed = (verdicts: readonly string[]): string => [...new Set(verdicts)].join(' and ');

  beforeAll(async () => {
    installation = await installFor(cluster, NAMESPACE, {
      operators: 1,
      relayEnv: {
        TRUSTED_PROXIES: '127.0.0.1',
        REQUIRE_TLS: 'true',
        GEOIP_DATABASE: fileURLToPath(new URL('../../integration/relay/geoip/countries.mmdb', import.meta.url)),
      },
    });
    const changingFirst = [...changing.values()].map(({ name, before }) => ({ name, declared: before }));
    await Promise.all([
      apply([...fixed.values(), ...changingFirst]),
      installation.startRelay('lost', { REDIS_PREFIX: 'nothing-here' }).then(({ port }) => (lost = port)),
    ]);
    await enforced();
    const held = new Map((await tenant.secrets()).map((secret) => [secret.metadata.name, secret.data]));
    for (const { name } of [...fixed.values(), ...changing.values()]) {
      const value = (secret: string, key: string): string =>
        held.get(secret)?.[key] ?? expect.fail(`no ${key} in ${secret}`);
      credentials.set(name, {
        appId: value(`${name}-relay`, 'PUSHER_APP_ID'),
        key: value(`${name}-relay`, 'PUSHER_APP_KEY'),
        secret: value(`${name}-relay`, 'PUSHER_APP_SECRET'),
        token: value(`${name}-token`, 'RELAY_TOKEN'),
      });
    }
  });

  afterAll(() => installation?.[Symbol.asyncDispose]());

  /** A test for each HTTP door and way to authenticate. */
  const atEveryDoor = (app: string, who: Caller, http: AtHttp, when?: Situation): void => {
    for (const door of DOORS) {
      const by: readonly Method[] = doors[door].methods;
      test.each(by)(`${door}, %s`, async (method) => {
        const verdicts = ports(when).map((port) => knock(port, door, method, call(app, who)));
        expect(agreed(await Promise.all(verdicts))).toBe(verdictAt(http, door, method));
      });
    }
  };
  const newSocket = async (app: string, who: Caller, when?: Situation): Promise<string> => {
    const sockets = ports(when).map((port) => new Socket(port, call(app, who)));
    const verdicts = await Promise.all(sockets.map((socket) => socket.verdict()));
    for (const socket of sockets) socket[Symbol.dispose]();
    return agreed(verdicts);
  };

  describe.each(
    rules.map(([rule, declared, who, http, socket, when]) => ({ rule, declared, who, http, socket, when })),
  )('$rule, $who.name', ({ declared, who, http, socket, when }) => {
    const app = fixed.get(JSON.stringify(declared))?.name ?? '';
    const open: Socket[] = [];

    beforeAll(async () => {
      const [port = 0] = ports();
      if (when === 'one socket') open.push(await opened(port, call(app, anybody)));
      if (when === 'spent') {
        while ((await knock(port, 'channels', 'keyAndSecret', call(app, anybody))) === 'in');
        for (let verdict = 'in'; verdict === 'in';) {
          open.push(new Socket(port, call(app, anybody)));
          verdict = (await open.at(-1)?.verdict()) ?? '';
        }
      }
    });
    afterAll(() => {
      for (const socket of open) socket[Symbol.dispose]();
    });

    atEveryDoor(app, who, http, when);
    if (socket !== '—') test('WebSocket', async () => expect(await newSocket(app, who, when)).toBe(socket));
  });

  test.each(['bearer', 'keyAndSecret', 'signature'] as const)(
    'secretScanning Redact, by %s: nobody gets it',
    async (by) => {
      const declared = rules.find(([rule]) => rule === 'secretScanning Redact')?.[1];
      const app = fixed.get(JSON.stringify(declared))?.name ?? '';
      const [first = 0, second = 0] = ports();
      using socket = await opened(second, call(app, anybody));
      await socket.subscribe('orders');
      const card = { name: '', change: (one: Call): Call => ({ ...one, data: 'paid by 4111 1111 1111 1111.' }) };
      expect(await knock(first, 'events', by, call(app, card))).toBe('in');
      expect(await socket.data('created')).toBe('paid by [REDACTED].');
    },
  );

  describe('a change', () => {
    const rows = changes.map(([rule, , , who, open, http, socket]) => ({ rule, who, open, http, socket }));
    const nameOf = (rule: string): string => changing.get(rule)?.name ?? '';
    /** Two of each row, one at each relay, in a channel for which the app's token signed. */
    let sockets: Socket[][];
    let stillOpen: boolean[][];

    beforeAll(async () => {
      const two = ({ rule, who }: (typeof rows)[number]): Promise<Socket[]> =>
        Promise.all(ports().map((port) => signedFor(port, call(nameOf(rule), who))));
      sockets = await Promise.all(rows.map(two));
      await apply([...changing.values()].map(({ name, after }) => ({ name, declared: after })));
      await enforced();
      stillOpen = sockets.map((two) => two.map((socket) => socket.open));
    });
    afterAll(() => {
      for (const socket of sockets.flat()) socket[Symbol.dispose]();
    });

    describe.each(rows.map((row, at) => ({ ...row, at })))(
      '$rule, $who.name',
      ({ rule, who, open, http, socket, at }) => {
        test('an open socket, once it is enforced', async () => {
          // Not waited for: a relay says that it enforces a rule when the sockets that it shuts out are gone.
          expect(stillOpen[at]).toEqual(ports().map(() => open === 'in'));
          if (open === 'in') return;
          expect(agreed(await Promise.all(sockets[at]?.map((one) => one.closed()) ?? []))).toBe(open);
        });
        atEveryDoor(nameOf(rule), who, http);
        if (socket !== '—') test('a new socket', async () => expect(await newSocket(nameOf(rule), who)).toBe(socket));
      },
    );

    describe('taken back', () => {
      beforeAll(async () => {
        await apply([...changing.values()].map(({ name, before }) => ({ name, declared: before })));
        await enforced();
      });
      describe.each(rows)('$rule, $who.name', ({ rule, who, http }) => {
        // A token that was revoked is another one now.
        const again: AtHttp = rule === 'revoked' ? http : 'in';
        atEveryDoor(nameOf(rule), who, again);
        test('a new socket', async () => expect(await newSocket(nameOf(rule), who)).toBe('in'));
      });
    });
  });
});
