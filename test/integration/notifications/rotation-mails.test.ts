import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { Registry as MetricsRegistry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Enforcement } from '#operator/directory/enforcement-watch.ts';
import { systemClock } from '#operator/engine/clock.ts';
import { createSmtpChannel } from '#operator/mail/smtp-channel.ts';
import { parseSmtpUrl } from '#operator/mail/smtp-server.ts';
import { deliver } from '#operator/notifications/delivery.ts';
import { createNotificationMetrics } from '#operator/notifications/metrics.ts';
import { createNotificationQueue } from '#operator/postgres/notification-queue.ts';
import { PendingKeys } from '#operator/reconcile/pending-keys.ts';
import { createReconcile } from '#operator/reconcile/reconciler.ts';
import type { CredentialUses } from '#operator/registry/credential-use.ts';
import { applyAppStep } from '#operator/relay-app/apply.ts';
import { observeApp } from '#operator/relay-app/observe.ts';
import { planApp } from '#operator/relay-app/plan.ts';
import { applyTokenStep } from '#operator/relay-token/apply.ts';
import { observeToken } from '#operator/relay-token/observe.ts';
import { planToken } from '#operator/relay-token/plan.ts';
import { eventually } from '#test/parts/eventually.ts';
import { openFolderWorld } from '#test/parts/folder-world.ts';
import { Killed, Killer } from '#test/parts/killer.ts';
import { startSmtpServer, type TestSmtpServer } from '#test/parts/smtp.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';
import { registryDatabase, type RegistryDatabase } from '#test/parts/registry-database.ts';

// The life of an app and its token, from before a rotation to the end, and every mail that comes of it: from the manifests through PostgreSQL
// and the delivery to a real SMTP server. The operator is killed before and after every call that changes something; the mails stay the same.

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const START = Date.UTC(2027, 0, 1);
const NAMESPACE = 'shop';
const CHANNELS = { mail: true, webhook: false };
const endpoints = { public: 'https://relay.example.com', internal: 'https://relay.example.com' };
const log = pino({ level: 'silent' });
/** Everything is published, and no relay runs that had to be waited for. */
const enforcement: Enforcement = {
  view: () => ({ head: { epoch: 0, revision: Number.MAX_SAFE_INTEGER }, members: [] }),
  reached: () => Promise.resolve(),
  onChange: () => () => {},
};

/** One subject for each occasion, in the order in which they come; the times are those of the declared rotation. */
const MAILS = [
  'RelayApp NAME: the credential is rotated on',
  'RelayToken NAME: the token is rotated on',
  'RelayApp NAME: the credential was rotated, the old one works until',
  'RelayToken NAME: the token was rotated, the old one works until',
  'RelayApp NAME: the old credential is still in use, and refused from',
  'RelayToken NAME: the old token is still in use, and refused from',
  'RelayApp NAME: a credential that was in use is refused since',
  'RelayToken NAME: a token that was in use is refused since',
  'RelayToken NAME: the token expires on',
  'RelayToken NAME: a token that was in use is refused since',
  'RelayApp NAME: a credential that was in use is refused since',
];

describe('the mails of a life whose operator is killed before and after every call', () => {
  const stack = new AsyncDisposableStack();
  let database: RegistryDatabase;
  let smtp: TestSmtpServer;
  let folder: string;
  let data: string;
  /** Of the operator that leads now. */
  let term = 0;

  beforeAll(async () => {
    database = stack.use(await registryDatabase());
    smtp = stack.use(await startSmtpServer({ tls: 'StartTls' }));
    const { path } = stack.use(await temporaryDirectory('rotation-mails'));
    [folder, data] = [join(path, 'manifests'), join(path, 'data')];
    await mkdir(folder);
    const ending = new AbortController();
    const {
      pool,
      rings: { installation },
    } = database;
    const delivering = deliver(
      {
        queue: createNotificationQueue({ pool, installation, term: () => term }),
        channels: new Map([
          [
            'Mail',
            createSmtpChannel({
              server: parseSmtpUrl(`smtp://localhost:${smtp.port}`),
              from: 'relay@example.com',
              ca: smtp.authority.cert,
            }),
          ],
        ]),
        sender: { installation, relayUrl: endpoints.public },
        // Later than anything here, so that every announcement is due.
        clock: {
          now: () => START + 365 * DAY,
          monotonic: () => performance.now(),
          sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 20), signal),
        },
        log,
        metrics: createNotificationMetrics(new MetricsRegistry()),
        onGivenUp: () => {},
      },
      ending.signal,
    );
    stack.defer(async () => {
      ending.abort();
      await delivering;
    });
  });
  afterAll(() => stack.disposeAsync());

  /** Returns the calls that changed something. */
  const live = async (name: string, kill: Killer['at']): Promise<readonly string[]> => {
    const killer = new Killer();
    killer.at = kill;
    let now = START;
    let world = await openFolderWorld(folder, data, () => now);
    /** Everything is used all the time. */
    const uses: CredentialUses = {
      knownUntil: () => now,
      of: async (appId) => {
        const { rows } = await database.pool.query<{ id: string }>(
          'SELECT id FROM app_key WHERE app_id = $1 UNION SELECT id FROM token WHERE app_id = $1',
          [appId],
        );
        const use = { lastUsedAt: now - MINUTE, requests: 7, client: 'pusher-http-node 5.3.4' };
        return new Map(rows.map(({ id }) => [id, use]));
      },
    };

    const start = async (): Promise<() => Promise<void>> => {
      const leader = await database.lead({ channels: CHANNELS, now: () => now });
      ({ term } = leader);
      const registry = killer.wrap(leader.registry, [
        'registerApp',
        'updateApp',
        'stageKey',
        'promoteKey',
        'setKeyTimes',
        'noteKeyInUse',
        'endKey',
        'retireApp',
        'mintToken',
        'promoteToken',
        'setTokenEnd',
        'expireTokens',
        'revokeTokens',
        'announce',
      ]);
      const secrets = killer.wrap(world.world.secrets, ['apply', 'create', 'replace', 'delete']);
      const apps = killer.wrap(world.world.apps, ['addFinalizer', 'removeFinalizer', 'writeStatus']);
      const tokens = killer.wrap(world.world.tokens, ['addFinalizer', 'removeFinalizer', 'writeStatus']);
      const { recorder } = world.world;
      const common = { apps, tokens, secrets, registry, enforcement, uses, now: () => now };
      const reconcileApp = createReconcile(
        {
          observe: (ref) => observeApp({ ...common, endpoints, mail: true }, ref),
          plan: planApp,
          apply: (object, step) => applyAppStep({ apps, secrets, registry, recorder }, object, step),
          writeStatus: (object, status) => apps.writeStatus(object, status),
        },
        enforcement,
        new PendingKeys(enforcement),
      );
      const reconcileToken = createReconcile(
        {
          observe: (ref) => observeToken({ ...common, relayUrl: endpoints.public }, ref),
          plan: planToken,
          apply: (object, step) =>
            applyTokenStep({ tokens, secrets, registry, recorder, relayUrl: endpoints.public }, object, step),
          writeStatus: (object, status) => tokens.writeStatus(object, status),
        },
        enforcement,
        new PendingKeys(enforcement),
      );
      return async () => {
        const context = { signal: new AbortController().signal, log, reconcileId: 'test' };
        await reconcileApp(`${NAMESPACE}/${name}`, context);
        await reconcileToken(`${NAMESPACE}/${name}`, context);
      };
    };

    let run = await start();
    const settle = async (): Promise<void> => {
      for (;;) {
        try {
          await run();
          return;
        } catch (error) {
          if (!(error instanceof Killed)) throw error;
          now += SECOND;
          await world[Symbol.asyncDispose]();
          world = await openFolderWorld(folder, data, () => now);
          run = await start();
        }
      }
    };
    const at = async (time: number): Promise<void> => {
      now = Math.max(now, START + time);
      await settle();
    };

    const metadata = { name, namespace: NAMESPACE };
    const times = { interval: '2160h', overlap: '1h', deadline: '2h' };
    const app = { rotation: { ...times, notify: [`${name}@example.com`] } };
    const expiresAt = new Date(START + 100 * DAY).toISOString().replace('.000Z', 'Z');
    const token = { appRef: { name }, expiresAt, rotation: { ...times, grace: '15m' } };
    const apiVersion = 'relay-operator.dev/v1alpha1';
    const manifests = [
      { apiVersion, kind: 'RelayApp', metadata, spec: app },
      { apiVersion, kind: 'RelayToken', metadata, spec: token },
    ];
    const file = join(folder, `${name}.yaml`);
    await writeFile(file, manifests.map((manifest) => JSON.stringify(manifest)).join('\n---\n'));
    await world.look();
    await at(0);
    // Before the rotation, at it, and when its overlap, its deadline and the grace are over.
    for (const time of [84 * DAY, 90 * DAY + MINUTE]) await at(time);
    const rotatedAt = now - START;
    for (const time of [HOUR, 2 * HOUR + MINUTE]) await at(rotatedAt + time);
    // Before the expiry, and after it.
    for (const time of [99.5 * DAY, 100 * DAY + MINUTE]) await at(time);
    await rm(file);
    await world.look();
    now += MINUTE;
    await world.look();
    await settle();
    expect(world.world.refs('RelayApp')).toEqual([]);
    await world[Symbol.asyncDispose]();
    return killer.calls;
  };

  /** The subjects of the mails of one life, without its name and times. */
  const mailsOf = async (name: string): Promise<readonly string[]> => {
    await eventually(async () => {
      const { rows } = await database.pool.query('SELECT FROM notification WHERE sent_at IS NULL');
      return rows.length === 0;
    });
    return smtp.mails
      .filter(({ to }) => to.includes(`${name}@example.com`))
      .map(({ raw }) => {
        const subject = /^Subject: (.*(?:\r\n[ \t].*)*)/m.exec(raw)?.[1]?.replaceAll(/\r\n[ \t]/g, ' ') ?? '';
        return subject.replace(`${NAMESPACE}/${name}`, 'NAME').replace(/ \d{4}-\d\d-\d\d \d\d:\d\d UTC.*$/, '');
      });
  };

  test('one for each occasion', { timeout: 300_000 }, async () => {
    const calls = await live('whole', undefined);
    expect((await mailsOf('whole')).toSorted()).toEqual(MAILS.toSorted());
    const killed = calls.flatMap((call, index) =>
      (['before', 'after'] as const).map((when) => ({
        call,
        when,
        at: index + 1,
        name: `killed-${when}-${index + 1}`,
      })),
    );
    for (const { when, at, name } of killed) await live(name, { call: at, when });
    for (const { call, when, at, name } of killed) {
      const label = `${when} ${call} (${at})`;
      expect({ label, mails: (await mailsOf(name)).toSorted() }).toEqual({ label, mails: MAILS.toSorted() });
    }
    expect(new Set(smtp.mails.map(({ raw }) => /^Message-ID: (.*)\r$/im.exec(raw)?.[1])).size).toBe(smtp.mails.length);
  });
});
