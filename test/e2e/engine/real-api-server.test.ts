import { randomUUID } from 'node:crypto';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { systemClock } from '#operator/engine/clock.ts';
import { Controller } from '#operator/engine/controller.ts';
import { ExpiredError } from '#operator/engine/errors.ts';
import { EventRecorder } from '#operator/engine/events.ts';
import { LeaderElection } from '#operator/engine/leader-election.ts';
import { done } from '#operator/engine/outcome.ts';
import { waitForApiServer } from '#operator/kubernetes/api-server-wait.ts';
import { eventSink } from '#operator/kubernetes/event-sink.ts';
import { isAlreadyExists, isConflict, isNotFound } from '#operator/kubernetes/kubernetes-error.ts';
import { leaseLock } from '#operator/kubernetes/lease-lock.ts';
import { SECRETS } from '#operator/kubernetes/resource-type.ts';
import { restMetrics } from '#operator/kubernetes/rest-metrics.ts';
import { startControlPlane } from '#test/parts/control-plane.ts';
import { eventually } from '#test/parts/eventually.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';
import {
  adminConfig,
  CONFIG_MAPS,
  countingClient,
  inventory,
  keptLog,
  ownNamespace,
  reflect,
} from './cluster-client.ts';
import type { ConfigMap } from './cluster-client.ts';

const thrown = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

describeOnControlPlane('the engine on a real API server', (cluster) => {
  test('apply, preconditions and refusals are what we take them for', async () => {
    const registry = new Registry();
    await using own = countingClient(adminConfig(cluster), { onResponse: restMetrics(registry) });
    const { client } = own;
    const namespace = await ownNamespace(client);
    const at = { namespace, name: 'a' };
    const first = await client.apply<ConfigMap>(CONFIG_MAPS, { metadata: at, data: { x: '1' } });
    const again = await client.apply<ConfigMap>(CONFIG_MAPS, { metadata: at, data: { x: '1' } });
    expect(again.metadata.resourceVersion).toBe(first.metadata.resourceVersion);

    const { uid, resourceVersion } = first.metadata;
    await client.apply(CONFIG_MAPS, { metadata: { ...at, uid, resourceVersion }, data: { x: '2' } });
    const stale = await thrown(
      client.apply(CONFIG_MAPS, { metadata: { ...at, uid, resourceVersion }, data: { x: '3' } }),
    );
    expect([isConflict(stale), isNotFound(stale)]).toEqual([true, false]);
    expect(stale).toMatchObject({ quiet: true });
    // Of another object of this name, whether there is one now or not.
    const other = (name: string) => client.apply(CONFIG_MAPS, { metadata: { namespace, name, uid: randomUUID() } });
    expect(isConflict(await thrown(other('a')))).toBe(true);
    expect(isConflict(await thrown(other('absent')))).toBe(true);
    expect(isAlreadyExists(await thrown(client.create(CONFIG_MAPS, { metadata: at })))).toBe(true);
    expect(isConflict(await thrown(client.delete(CONFIG_MAPS, at, { resourceVersion })))).toBe(true);
    expect(isConflict(await thrown(client.delete(CONFIG_MAPS, at, { uid: randomUUID() })))).toBe(true);
    expect(await client.delete(CONFIG_MAPS, at, { uid })).toBe(true);
    expect(await client.delete(CONFIG_MAPS, at, { uid })).toBe(false);
    expect(await client.get(CONFIG_MAPS, at)).toBeUndefined();
    expect(await registry.metrics()).toMatch(
      /rest_client_requests_total\{code="409",method="PATCH",host="[^"]+",resource="configmaps"\} 2\n/,
    );
  });

  test('a list in pages is complete; a version that the server has not reached is an ExpiredError', async () => {
    await using own = countingClient(adminConfig(cluster));
    const namespace = await ownNamespace(own.client);
    const names = Array.from({ length: 60 }, (_, i) => `c${i}`);
    await Promise.all(names.map((name) => own.client.apply(CONFIG_MAPS, { metadata: { namespace, name } })));
    const found: string[] = [];
    let pages = 0;
    let from: string | undefined;
    do {
      const page = await own.client.list<ConfigMap>(CONFIG_MAPS, { namespace, limit: 25, continue: from });
      found.push(...page.items.map(({ metadata: { name } }) => name));
      pages += 1;
      from = page.continue;
    } while (from !== undefined);
    expect(pages).toBe(3);
    expect(found.toSorted()).toEqual([...names, ...found.filter((name) => name === 'kube-root-ca.crt')].toSorted());

    const future = await thrown(own.client.list(CONFIG_MAPS, { namespace, resourceVersion: '999999999' }));
    expect(future).toBeInstanceOf(ExpiredError);
  });

  test('a controller makes its Secrets, repairs what is changed by hand, and then writes nothing', async () => {
    await using own = countingClient(adminConfig(cluster));
    const { client, writes } = own;
    const namespace = await ownNamespace(client);
    await using seen = reflect(client, namespace);
    const { log } = keptLog();
    const controller = new Controller({
      name: 'copy',
      concurrency: 4,
      clock: systemClock,
      random: Math.random,
      newId: randomUUID,
      log,
      reconcile: async (key, { signal }) => {
        const source = seen.store.get(key);
        if (source?.data?.['secret'] === undefined) return done;
        const { name } = source.metadata;
        const data = { value: Buffer.from(source.data['secret']).toString('base64') };
        const secret = await client.get<ConfigMap>(SECRETS, { namespace, name }, { signal });
        if (secret?.data?.['value'] !== data.value)
          await client.apply(SECRETS, { metadata: { namespace, name }, data }, { signal });
        return done;
      },
    });
    seen.store.subscribe(({ object, initial }) =>
      controller.enqueue(`${object.metadata.namespace}/${object.metadata.name}`, initial ? 'low' : 'normal'),
    );
    const stop = new AbortController();
    const running = controller.run(stop.signal);
    const names = Array.from({ length: 20 }, (_, i) => `c${i}`);
    for (const name of names)
      await client.apply(CONFIG_MAPS, { metadata: { namespace, name }, data: { secret: name } });
    const value = async (name: string): Promise<string | undefined> =>
      (await client.get<ConfigMap>(SECRETS, { namespace, name }))?.data?.['value'];
    await eventually(async () => (await value('c19')) === Buffer.from('c19').toString('base64'));
    await client.delete(SECRETS, { namespace, name: 'c3' });
    controller.enqueue(`${namespace}/c3`);
    await eventually(() => value('c3'));
    const ours = writes.filter(({ resource, verb }) => resource === 'secrets' && verb === 'apply');
    expect(ours).toHaveLength(21);
    for (const key of seen.store.keys()) controller.enqueue(key);
    controller.enqueue(`${namespace}/c0`, 'low');
    const marker = 'marker';
    await client.apply(CONFIG_MAPS, { metadata: { namespace, name: marker }, data: { secret: marker } });
    await eventually(() => value(marker));
    stop.abort();
    await running;
    expect(writes.filter(({ resource, verb }) => resource === 'secrets' && verb === 'apply')).toHaveLength(22);
  });

  test('two candidates on one Lease: one leads, the other follows a clean stop at once', async () => {
    await using own = countingClient(adminConfig(cluster));
    const namespace = await ownNamespace(own.client);
    const candidate = (identity: string) => {
      const stop = new AbortController();
      const election = new LeaderElection({
        lock: leaseLock(own.client, { namespace, name: 'operator' }),
        identity,
        clock: systemClock,
        random: Math.random,
        log: keptLog().log,
        retryPeriodMs: 100,
      });
      const running = election.run(
        stop.signal,
        (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
      );
      return { election, stop, running };
    };
    const a = candidate('a');
    await eventually(() => a.election.isLeading());
    const b = candidate('b');
    await eventually(() => b.election.leader === 'a');
    expect(b.election.isLeading()).toBe(false);
    a.stop.abort();
    await a.running;
    await eventually(() => b.election.isLeading());
    expect(a.election.isLeading()).toBe(false);
    expect(
      await cluster.kubectlOk([
        'get',
        'lease',
        'operator',
        '-n',
        namespace,
        '-o',
        'jsonpath={.spec.holderIdentity} {.spec.leaseTransitions}',
      ]),
    ).toMatch(/^b \d+$/);
    b.stop.abort();
    await b.running;
  });

  test('an event that repeats is one event with a count, and kubectl describe shows it', async () => {
    await using own = countingClient(adminConfig(cluster));
    const namespace = await ownNamespace(own.client);
    const subject = await own.client.apply<ConfigMap>(CONFIG_MAPS, { metadata: { namespace, name: 'a' } });
    const sink = eventSink(own.client, { controller: 'engine.test/controller', instance: 'test' });
    await using recorder = new EventRecorder({ sink, clock: systemClock, newId: randomUUID, log: keptLog().log });
    const about = { apiVersion: 'v1', kind: 'ConfigMap', metadata: subject.metadata };
    recorder.record(about, {
      type: 'Warning',
      reason: 'Conflict',
      action: 'Apply',
      note: 'it belongs to somebody else '.repeat(100),
    });
    await recorder.flush();
    expect(recorder.dropped).toBe(0);
    const [event] = (
      await own.client.list({ ...CONFIG_MAPS, group: 'events.k8s.io', plural: 'events', kind: 'Event' }, { namespace })
    ).items;
    const times = { firstAt: Date.now() - 5000, lastAt: Date.now(), count: 7 };
    const series = {
      name: 'a.series',
      subject: about,
      type: 'Normal',
      reason: 'Issued',
      action: 'Issue',
      note: 'hello',
      ...times,
    } as const;
    const { signal } = new AbortController();
    await sink.write({ ...series, count: 1 }, signal);
    await sink.write(series, signal);
    const described = await cluster.kubectlOk(['describe', 'configmap', 'a', '-n', namespace]);
    expect(described).toMatch(/Normal\s+Issued\s+.*\(x7 over .*\)\s+engine.test\/controller\s+hello/);
    expect(described).toMatch(/Warning\s+Conflict/);
    expect(event).toBeDefined();
  });

  test('the API server dies and comes back: one line each, nothing missed, and a start meanwhile waits', async () => {
    await using plane = await startControlPlane({ controllerManager: false });
    await using own = countingClient(adminConfig(plane));
    const namespace = await ownNamespace(own.client);
    await using seen = reflect(own.client, namespace);
    await seen.synced();
    await own.client.apply(CONFIG_MAPS, { metadata: { namespace, name: 'before' } });
    await eventually(() => seen.store.get(`${namespace}/before`));
    await plane.apiserver.kill9();
    await eventually(() => seen.reflector.health().lastError);
    expect(seen.store.size).toBe(1);
    const { log, lines } = keptLog();
    const { signal } = new AbortController();
    const waiting = waitForApiServer({ client: own.client, clock: systemClock, random: Math.random, log, signal });
    await eventually(() => lines.length > 0);
    await plane.apiserver.start();
    expect(await waiting).toMatch(/^v1\./);
    expect(lines).toEqual(['waiting for the API server', 'the API server answers']);
    await own.client.apply(CONFIG_MAPS, { metadata: { namespace, name: 'after' } });
    await own.client.delete(CONFIG_MAPS, { namespace, name: 'before' });
    await eventually(
      async () => {
        const { items } = await own.client.list<ConfigMap>(CONFIG_MAPS, { namespace });
        expect(inventory(seen.store.list())).toEqual(inventory(items));
        return seen.reflector.health().lastError === null;
      },
      { timeout: 40_000 },
    );
    expect(seen.lines).toEqual(['list or watch failed, trying again', 'list and watch work again']);
  });
});
