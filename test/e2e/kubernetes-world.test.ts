import { randomUUID } from 'node:crypto';
import { KubeConfig } from '@kubernetes/client-node';
import { pino } from 'pino';
import { beforeAll, expect, test } from 'vitest';
import { API_VERSION, APP_SECRET_TYPE, FIELD_MANAGER, FINALIZER, REFERABLE_LABEL } from '#crds/api-group.ts';
import { WEBHOOK_EVENTS } from '#crds/directory/entry-body.ts';
import { COUNTRY_CODES } from '#crds/country-codes.ts';
import { GRANTS } from '#crds/scopes.ts';
import { systemClock } from '#operator/engine/clock.ts';
import { EventRecorder } from '#operator/engine/events.ts';
import { KubernetesClient } from '#operator/kubernetes/client.ts';
import { Connection } from '#operator/kubernetes/connection.ts';
import { createKubernetesWorld } from '#operator/kubernetes/world.ts';
import { worldContract, type WorldUnderTest } from '#test/contracts/world.ts';
import { eventually } from '#test/parts/eventually.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';

// The same promises as the standalone folder's (standalone/folder/folder-world.test.ts), kept by a cluster.

describeOnControlPlane('a cluster as a World', (cluster) => {
  beforeAll(async () => {
    await cluster.kubectlOk(['apply', '--server-side', '-f', 'crds/generated']);
    await cluster.kubectlOk(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
  });

  const create = async (): Promise<WorldUnderTest> => {
    const namespace = `world-${randomUUID().slice(0, 8)}`;
    await cluster.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }]);
    const log = pino({ level: 'silent' });
    const config = new KubeConfig();
    config.loadFromFile(cluster.adminKubeconfig);
    const connection = new Connection(config, systemClock);
    const client = new KubernetesClient({ connection, fieldManager: FIELD_MANAGER, userAgent: 'contract' });
    const recorder = new EventRecorder({
      sink: { write: () => Promise.resolve() },
      clock: systemClock,
      newId: randomUUID,
      log,
    });
    const world = createKubernetesWorld({ client, namespaces: [namespace], clock: systemClock, log, recorder });
    const stop = new AbortController();
    const running = world.run(stop.signal);
    await world.whenSynced(stop.signal);
    const kubectl = (...args: string[]): Promise<string> => cluster.kubectlOk(['-n', namespace, ...args]);
    return {
      world,
      namespace,
      declare: (kind, name, spec) =>
        cluster.apply([{ apiVersion: API_VERSION, kind, metadata: { name, namespace }, spec }]),
      withdraw: async (kind, name) => void (await kubectl('delete', kind, name, '--wait=false')),
      writeSecret: (name, stringData) =>
        cluster.apply([{ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, stringData }]),
      declareSecret: async (name, stringData, referable) => {
        const metadata = { name, namespace, labels: referable ? { [REFERABLE_LABEL]: 'true' } : {} };
        await cluster.apply([{ apiVersion: 'v1', kind: 'Secret', metadata, stringData }]);
      },
      withdrawSecret: async (name) => void (await kubectl('delete', 'secret', name)),
      editSecret: async (name, key, value) => {
        await kubectl('patch', 'secret', name, '--type=merge', '-p', JSON.stringify({ stringData: { [key]: value } }));
      },
      deleteSecret: async (name) => void (await kubectl('delete', 'secret', name)),
      [Symbol.asyncDispose]: async () => {
        stop.abort();
        await running;
        await recorder[Symbol.asyncDispose]();
        await connection[Symbol.asyncDispose]();
        await cluster.kubectlOk(['delete', 'namespace', namespace, '--wait=false']);
      },
    };
  };
  worldContract(create);

  test('the API server refuses what the operator could not work with', async () => {
    await using under = await create();
    const template = (labels: object) => under.declare('RelayApp', 'odd', { credentials: { template: { labels } } });
    await expect(template({ 'a b': 'x' })).rejects.toThrow('a key must be a name such as team');
    await expect(template({ team: 'a b' })).rejects.toThrow(
      'spec.credentials.template.labels[team]: Invalid value: "a b": must be letters, digits, - _ and . only',
    );
    await template({ 'example.com/team': 'a_b.c' });
    const token = (expiresAt: string) => under.declare('RelayToken', 'odd', { appRef: { name: 'shop' }, expiresAt });
    for (const time of ['2027-01-01T00:00:00+99:99', '2027-01-01T00:00:00,5Z'])
      await expect(token(time)).rejects.toThrow('spec.expiresAt');
    await token('2027-01-01T00:00:00.5+05:30');
  });

  test('the API server says of scopes and webhooks what is wrong and what to write', async () => {
    await using under = await create();
    const scopes = (...list: string[]) =>
      under.declare('RelayToken', 'scoped', { appRef: { name: 'shop' }, scopes: list });
    await expect(scopes()).rejects.toThrow(
      'name at least one scope, or leave scopes out: then the token may do everything',
    );
    await expect(scopes('events:write')).rejects.toThrow(/spec\.scopes\[0\].*supported values: "events:publish"/);
    await expect(scopes('app:read', 'app:read')).rejects.toThrow('.spec.scopes: duplicate entries');
    await scopes(...GRANTS);

    const hook = { name: 'hook', url: 'https://example.com/pusher?a=b', events: ['client_event'] };
    const webhooks = (...list: object[]) => under.declare('RelayApp', 'hooked', { webhooks: list });
    const one = (change: object) => webhooks({ ...hook, ...change });
    for (const url of [
      'ftp://example.com',
      'https://user:password@example.com',
      'https://',
      'example.com',
      'https://example.com/#x',
      'https://example.com:70000/',
    ])
      await expect(one({ url })).rejects.toThrow('spec.webhooks[0].url: Invalid value: ');
    await expect(one({ url: 'ftp://example.com' })).rejects.toThrow('must be a URL such as https://example.com/pusher');
    await expect(one({ url: `https://example.com/${'x'.repeat(2_048)}` })).rejects.toThrow('may not be more than 2048');
    await expect(one({ events: [] })).rejects.toThrow('must name at least one event');
    await expect(one({ events: ['client_events'] })).rejects.toThrow(/supported values: "channel_occupied"/);
    await expect(one({ events: ['cache_miss', 'cache_miss'] })).rejects.toThrow('duplicate entries');
    await expect(one({ name: 'Hook' })).rejects.toThrow('must be up to 63 lowercase letters');
    await expect(one({ filter: { channelPrefix: 'presence-*' } })).rejects.toThrow('without wildcards');
    await expect(one({ headersFrom: { name: 'A_B' } })).rejects.toThrow('spec.webhooks[0].headersFrom.name');
    await expect(webhooks(hook, hook)).rejects.toThrow('duplicate entries');
    await expect(webhooks(...Array.from({ length: 17 }, (_, i) => ({ ...hook, name: `h${i}` })))).rejects.toThrow(
      'must have at most 16 items',
    );
    await webhooks(
      { ...hook, headersFrom: { name: 'headers' }, filter: { channelPrefix: 'presence-' }, batching: true },
      { ...hook, name: 'second', url: 'http://[2001:db8::1]:8080', events: [...WEBHOOK_EVENTS] },
    );
  });

  test('the API server says of access rules what is wrong and what to write, of 10,000 of them too', async () => {
    await using under = await create();
    const allow = (...ipAllowlist: string[]) => under.declare('RelayApp', 'guarded', { access: { ipAllowlist } });
    await expect(allow()).rejects.toThrow('name at least one address or block, or leave ipAllowlist out');
    for (const range of [
      '1.2.3.256',
      '1.2.3.4/33',
      '01.2.3.4',
      '::ffff:1.2.3.4',
      '::/129',
      '1::2::3',
      '1:2:3:4::5:6:7:8',
      'localhost',
    ])
      await expect(allow('1.2.3.4', range)).rejects.toThrow('must be an address such as 198.51.100.7 or "2001:db8::7"');
    const many = Array.from({ length: 9_995 }, (_, at) => `10.${at >> 8}.${at & 255}.0/24`);
    await allow('198.51.100.7', '2001:DB8::/32', '::/0', '1:2:3:4:5:6:7::', '::2:3:4:5:6:7:8', ...many);
    await expect(allow(...many, ...many)).rejects.toThrow('must have at most 10000 items');
    const access = (rules: object) => under.declare('RelayApp', 'guarded', { access: rules });
    for (const origin of [
      '*',
      'https://*',
      'example.com',
      'https://example.com/',
      'https://a*.example.com',
      'https://ä.de',
    ])
      await expect(access({ origins: [origin] })).rejects.toThrow('must be an origin such as https://example.com');
    await access({ origins: ['https://*.example.com', 'HTTPS://Example.com:8443', 'http://[::1]:3000', 'null'] });
    const countries = (mode: string, ...codes: string[]) => access({ countries: { mode, codes } });
    await expect(countries('Allow', 'UK')).rejects.toThrow('must be an ISO 3166-1 code of two capital letters');
    await expect(countries('Allow')).rejects.toThrow('name at least one country');
    await expect(countries('Deny', 'DE')).rejects.toThrow('supported values: "Allow", "Block"');
    await countries('Block', ...COUNTRY_CODES);
  });

  test('the API server says of client certificates what is wrong and what to write', async () => {
    await using under = await create();
    const declare = (spec: object) =>
      under.declare('ClientCertificate', 'billing', { appRef: { name: 'shop' }, ...spec });
    const sha256 = 'ab'.repeat(32);
    const issue = (more: object) => declare({ issue: { issuerRef: { name: 'ca' }, ...more } });
    await expect(declare({})).rejects.toThrow('set exactly one of issue, certificate and fingerprint');
    await expect(declare({ fingerprint: { sha256 }, certificate: { pem: 'x' } })).rejects.toThrow('set exactly one of');
    await expect(declare({ certificate: {} })).rejects.toThrow('set exactly one of pem and secretRef');
    const pem = '-----BEGIN EC PRIVATE KEY-----\nY2FuYXJ5\n-----END EC PRIVATE KEY-----';
    const shown = await declare({ certificate: { pem } }).catch(String);
    expect(shown).toContain('pem holds a private key');
    expect(shown).not.toContain('Y2FuYXJ5');
    for (const odd of ['ab'.repeat(20), 'zz'.repeat(32), `ab:${'ab'.repeat(31)}`])
      await expect(declare({ fingerprint: { sha256: odd } })).rejects.toThrow('must be a SHA-256 fingerprint');
    await expect(declare({ fingerprint: { sha256, notAfter: '2027-13-01T00:00:00Z' } })).rejects.toThrow('notAfter');
    await expect(issue({ duration: '90d' })).rejects.toThrow('write 2160h instead of 90d');
    await expect(issue({ duration: '59m' })).rejects.toThrow('must be at least 1h');
    await expect(issue({ renewBefore: '1m' })).rejects.toThrow('must be at least 5m');
    await expect(issue({ renewBefore: '2160h' })).rejects.toThrow('renewBefore must be shorter than duration');
    await expect(issue({ duration: '2h', renewBefore: '120m' })).rejects.toThrow('renewBefore must be shorter');
    for (const privateKey of [{ size: 2_048 }, { algorithm: 'RSA', size: 1_024 }, { algorithm: 'Ed25519', size: 256 }])
      await expect(issue({ privateKey })).rejects.toThrow('size must be 2048, 3072 or 4096 with algorithm RSA');
    await issue({ duration: '2h', renewBefore: '1h', privateKey: { algorithm: 'RSA', size: 3_072 } });
    await expect(declare({ appRef: { name: 'other' }, issue: { issuerRef: { name: 'ca' } } })).rejects.toThrow(
      'appRef is immutable',
    );
  });

  test('a Secret that is refused for another reason than its type is no lost race, whatever its name', async () => {
    await using under = await create();
    const refused = under.world.secrets.apply({
      namespace: under.namespace,
      name: 'prototype',
      type: APP_SECRET_TYPE,
      labels: { 'a b': 'x' },
      annotations: {},
      owner: { kind: 'RelayApp', name: 'shop', uid: randomUUID() },
      data: {},
    });
    await expect(refused).rejects.toMatchObject({ status: 422, quiet: false });
  });

  test("our finalizer goes also when a manifest that was exported with it holds it too; another's stays", async () => {
    await using under = await create();
    const { namespace, world } = under;
    const finalizers = [FINALIZER, 'example.com/other'];
    await cluster.apply([
      { apiVersion: API_VERSION, kind: 'RelayApp', metadata: { name: 'restored', namespace, finalizers }, spec: {} },
    ]);
    await under.withdraw('RelayApp', 'restored');
    const find = () => world.apps.get({ namespace, name: 'restored' });
    const marked = await eventually(() => {
      const found = find();
      return found?.metadata.deletionTimestamp !== undefined && found;
    });
    await world.apps.removeFinalizer(marked);
    expect(find()?.metadata.finalizers).toEqual(['example.com/other']);
    await cluster.kubectlOk([
      '-n',
      namespace,
      'patch',
      'relayapp',
      'restored',
      '--type=merge',
      '-p',
      '{"metadata":{"finalizers":null}}',
    ]);
    await eventually(() => find() === undefined);
  });
});
