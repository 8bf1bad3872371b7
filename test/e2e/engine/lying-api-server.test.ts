import { describe, expect, test } from 'vitest';
import { eventually } from '#test/parts/eventually.ts';
import { startLyingApiServer } from '#test/parts/lying-api-server.ts';
import type { Lie, LyingRequest } from '#test/parts/lying-api-server.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';
import { adminConfig, CONFIG_MAPS, countingClient, inventory, ownNamespace, reflect } from './cluster-client.ts';
import type { ConfigMap } from './cluster-client.ts';

const gone = JSON.stringify({
  type: 'ERROR',
  object: { kind: 'Status', apiVersion: 'v1', status: 'Failure', code: 410, reason: 'Expired', message: 'too old' },
});

const onWatch =
  (lie: Lie, times: number) =>
  ({ watch }: LyingRequest): Lie | undefined => {
    if (!watch || times === 0) return undefined;
    times -= 1;
    return lie;
  };

const onList =
  (lie: Lie, times: number) =>
  ({ watch }: LyingRequest): Lie | undefined => {
    if (watch || times === 0) return undefined;
    times -= 1;
    return lie;
  };

describeOnControlPlane('a reflector behind a lying API server', (cluster) => {
  describe.each([
    ['refuses the list with 500', onList({ kind: 'answer', code: 500 }, 2)],
    ['refuses the list with 429', onList({ kind: 'answer', code: 429, headers: { 'Retry-After': '1' } }, 1)],
    ['answers the list with 410', onList({ kind: 'answer', code: 410, reason: 'Expired' }, 1)],
    ['cuts the list in half', onList({ kind: 'truncate', bytes: 200 }, 2)],
    ['drops the list', onList({ kind: 'drop' }, 2)],
    ['loses the answer to the list', onList({ kind: 'lose' }, 1)],
    ['delays the list', onList({ kind: 'delay', ms: 700 }, 1)],
    ['holds the list half-open', onList({ kind: 'hold', bytes: 100 }, 1)],
    ['drops the watch', onWatch({ kind: 'drop' }, 2)],
    ['cuts the watch in the middle of an event', onWatch({ kind: 'truncate', bytes: 150 }, 2)],
    ['holds the watch half-open', onWatch({ kind: 'hold', bytes: 0 }, 1)],
    ['answers the watch with 410', onWatch({ kind: 'answer', code: 410, reason: 'Gone' }, 1)],
    ['puts 410 into the watch', onWatch({ kind: 'inject', line: gone }, 1)],
    ['puts rubbish into the watch', onWatch({ kind: 'inject', line: '{"type":"ADDED","object":{}}' }, 1)],
    ['refuses the watch with 429', onWatch({ kind: 'answer', code: 429, headers: { 'Retry-After': '1' } }, 1)],
    ['repeats old events', onWatch({ kind: 'replay' }, 1)],
  ])('which %s', (_, lies) => {
    test('sees every change in the end, and says so', async () => {
      await using truth = countingClient(adminConfig(cluster));
      await using liar = await startLyingApiServer(cluster.adminKubeconfig);
      await using lied = countingClient(liar.config, { requestTimeoutMs: 2000 });
      const namespace = await ownNamespace(truth.client);
      const put = (name: string, value: string) =>
        truth.client.apply<ConfigMap>(CONFIG_MAPS, { metadata: { namespace, name }, data: { value } });
      await put('before', '1');
      await put('replaced', '1');
      liar.lie(lies);
      await using seen = reflect(lied.client, namespace, { silenceMs: 2000 });
      const events: string[] = [];
      seen.store.subscribe(({ type, object }) => void events.push(`${type} ${object.metadata.uid}`));
      await put('before', '2');
      const first = await put('during', '1');
      await truth.client.delete(CONFIG_MAPS, { namespace, name: 'replaced' });
      const second = await put('replaced', '2');
      await truth.client.delete(CONFIG_MAPS, { namespace, name: 'during' }, { uid: first.metadata.uid });
      await eventually(
        async () => {
          const { items } = await truth.client.list<ConfigMap>(CONFIG_MAPS, { namespace });
          expect(inventory(seen.store.list())).toEqual(inventory(items));
          expect(liar.told).toBeGreaterThan(0);
          expect(seen.reflector.health()).toEqual({ hasSynced: true, lastError: null, since: null });
          return true;
        },
        { timeout: 30_000 },
      );
      expect(seen.store.get(`${namespace}/replaced`)?.metadata.uid).toBe(second.metadata.uid);
      expect(events.filter((event) => event === `added ${second.metadata.uid}`)).toHaveLength(1);
    });
  });

  test('lies of every kind at random for ten seconds, while 60 objects come, change and go: in the end the store is right', async () => {
    await using truth = countingClient(adminConfig(cluster));
    await using liar = await startLyingApiServer(cluster.adminKubeconfig);
    await using lied = countingClient(liar.config, { requestTimeoutMs: 1000 });
    const namespace = await ownNamespace(truth.client);
    const random = seeded(20261122);
    const lies: Lie[] = [
      { kind: 'answer', code: 500 },
      { kind: 'answer', code: 429, headers: { 'Retry-After': '1' } },
      { kind: 'answer', code: 410, reason: 'Expired' },
      { kind: 'drop' },
      { kind: 'lose' },
      { kind: 'delay', ms: 300 },
      { kind: 'truncate', bytes: 2500 },
      { kind: 'hold', bytes: 1500 },
      { kind: 'inject', line: gone },
      { kind: 'replay' },
    ];
    liar.lie(() => (random() < 0.7 ? lies[Math.floor(random() * lies.length)] : undefined));
    await using seen = reflect(lied.client, namespace, { silenceMs: 1000, pageSize: 10 });
    const uids = new Map<string, string>();
    const wrong: string[] = [];
    seen.store.subscribe(({ type, object: { metadata } }) => {
      // Level-triggered needs no more, but no less: an object comes before it goes, and another one of its name only after.
      const known = uids.get(metadata.name);
      if (type === 'added' ? known !== undefined : known !== metadata.uid) wrong.push(`${type} ${metadata.name}`);
      if (type === 'deleted') uids.delete(metadata.name);
      else uids.set(metadata.name, metadata.uid);
    });
    const end = performance.now() + 10_000;
    for (let i = 0; performance.now() < end; i += 1) {
      const name = `o${Math.floor(random() * 60)}`;
      if (random() < 0.3) await truth.client.delete(CONFIG_MAPS, { namespace, name });
      else {
        const written = await truth.client.apply<ConfigMap>(CONFIG_MAPS, {
          metadata: { namespace, name },
          data: { value: String(i) },
        });
        // Our own writes, read back at once, late or never: the write-through.
        const answer = random();
        if (answer < 0.5) seen.store.upsert(written);
        else if (answer < 0.75) setTimeout(() => seen.store.upsert(written), random() * 500);
      }
    }
    liar.tellTheTruth();
    await eventually(
      async () => {
        const { items } = await truth.client.list<ConfigMap>(CONFIG_MAPS, { namespace });
        expect(inventory(seen.store.list())).toEqual(inventory(items));
        expect(seen.reflector.health().lastError).toBeNull();
        return true;
      },
      { timeout: 60_000 },
    );
    expect(wrong).toEqual([]);
    expect(seen.store.size).toBeGreaterThan(20);
  });
});

/** mulberry32: the same lies in every run. */
function seeded(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
