import { afterEach, beforeEach, expect, test } from 'vitest';
import { appEntryBody } from '#crds/directory/entry-body.ts';
import { appOf, type App, type DirectoryChange } from '../directory/directory.ts';
import { DirectoryIndex } from '../directory/directory-index.ts';
import { FakeClock, settled } from '#test/parts/fake-clock.ts';
import { ExpiryWatch } from './expiry-watch.ts';

const MINUTE = 60_000;
let time: FakeClock;
/** Added to the wall clock alone, as when somebody sets it. */
let set = 0;
let index: DirectoryIndex;
let applied: ((change: DirectoryChange) => Promise<void>) | undefined;
let told: string[];
let watch: ExpiryWatch;

const start = (): ExpiryWatch =>
  new ExpiryWatch({
    directory: {
      apps: () => index.apps(),
      nextEnd: (appId, after) => index.nextEnd(appId, after),
      onApplied: (listener) => {
        applied = listener;
        return () => (applied = undefined);
      },
    },
    clock: {
      now: () => time.now() + set,
      sleep: (ms, signal) => time.sleep(ms, signal).catch(() => undefined),
    },
    ended: (appIds) => told.push(...appIds),
  });

const app = (appId: string, keys: readonly object[] = []): App => {
  const body = appEntryBody.parse({
    appId,
    namespace: 'shop',
    name: 'checkout',
    enabled: true,
    keys,
    authentication: { bearer: true, keyAndSecret: true, signature: true },
    limits: { connections: null, eventBytes: 10_240, clientEventsPerSecond: 10 },
    channels: { clientEvents: true },
  });
  return appOf(body, new Map(), 1);
};

/** A certificate of the app that ends so many milliseconds from the start of the test; null: never; undefined: it is gone. */
async function certificate(appId: string, sha256: string, endsIn: number | null | undefined): Promise<void> {
  const notAfter = endsIn === null ? null : Date.UTC(2026, 0, 1) + (endsIn ?? 0);
  const registered = { appId, namespace: 'shop', name: 'billing', notAfter, sha256 };
  index.setCertificate(appId, sha256, endsIn === undefined ? undefined : registered);
  await applied?.({ appIds: new Set([appId]), tokenHashes: new Set(), tokenApps: new Set() });
  await settled();
}

beforeEach(() => {
  time = new FakeClock();
  set = 0;
  index = new DirectoryIndex();
  for (const appId of ['1', '2']) index.setApp(appId, app(appId));
  told = [];
  watch = start();
});
afterEach(() => watch[Symbol.asyncDispose]());

test('an app is told of when something of it ends, not before and not again', async () => {
  await certificate('1', 'a', 5_000);
  await certificate('2', 'b', null);
  await time.advance(4_999);
  expect(told).toEqual([]);
  await time.advance(1);
  expect(told).toEqual(['1']);
  await time.advance(10 * MINUTE);
  expect(told).toEqual(['1']);
});

test('keys end as well, the pending one and the one without an end do not', async () => {
  const key = (id: string, endsIn: number | null) => ({
    id,
    key: id,
    secret: 'sealed',
    expiresAt: endsIn === null ? null : Date.UTC(2026, 0, 1) + endsIn,
  });
  index.setApp('1', app('1', [key('a', 5_000), key('b', 7_000), key('c', null), { ...key('d', null), pending: true }]));
  await applied?.({ appIds: new Set(['1']), tokenHashes: new Set(), tokenApps: new Set() });
  await time.advance(5_000);
  expect(told).toEqual(['1']);
  await time.advance(10 * MINUTE);
  expect(told).toEqual(['1', '1']);
});

test('each end of an app, and of several at the same moment, each once', async () => {
  await certificate('1', 'a', 5_000);
  await certificate('1', 'b', 2 * MINUTE);
  await certificate('2', 'c', 5_000);
  await time.advance(5_000);
  expect(told).toEqual(['1', '2']);
  await time.advance(2 * MINUTE);
  expect(told).toEqual(['1', '2', '1']);
});

test('what is taken away, or put off, does not end', async () => {
  await certificate('1', 'a', 5_000);
  await certificate('2', 'b', 5_000);
  await certificate('1', 'a', undefined);
  await certificate('2', 'b', 6_000);
  await time.advance(5_999);
  expect(told).toEqual([]);
  await time.advance(1);
  expect(told).toEqual(['2']);
});

test('an end that is moved up is not slept through', async () => {
  await certificate('1', 'a', 20_000);
  await certificate('1', 'a', 1_000);
  await time.advance(1_000);
  expect(told).toEqual(['1']);
});

test('what had ended when it came is told of by whoever applied it, and not here', async () => {
  await time.advance(MINUTE);
  await certificate('1', 'a', 5_000);
  await time.advance(10 * MINUTE);
  expect(told).toEqual([]);
});

test('a wall clock that is set forward ends things within half a minute; one that is set back lets them end again', async () => {
  await certificate('1', 'a', 60 * MINUTE);
  set = 60 * MINUTE;
  await time.advance(MINUTE / 2);
  expect(told).toEqual(['1']);
  set = 0;
  await time.advance(58 * MINUTE);
  expect(told).toEqual(['1']);
  await time.advance(2 * MINUTE);
  expect(told).toEqual(['1', '1']);
});

test('months are slept in pieces: a timer that is too long would fire at once', async () => {
  await certificate('1', 'a', 90 * 24 * 60 * MINUTE);
  expect(time.next).toBeLessThanOrEqual(MINUTE);
});

test('when it is disposed nothing is told and nobody listens', async () => {
  await certificate('1', 'a', 5_000);
  await watch[Symbol.asyncDispose]();
  await time.advance(MINUTE);
  expect([told, applied, time.sleeping]).toEqual([[], undefined, 0]);
});
