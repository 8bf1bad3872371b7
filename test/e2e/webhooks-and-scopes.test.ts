import { afterAll, beforeAll, expect, test } from 'vitest';
import { appEntryBody, tokenEntryBody } from '#crds/directory/entry-body.ts';
import { readEntry, type EntryPayload } from '#crds/directory/entry.ts';
import { Keyring } from '#crds/keyring.ts';
import { unseal } from '#crds/sealed.ts';
import { installFor, type Installation } from '#test/parts/installation.ts';
import { queryDatabase } from '#test/parts/postgres-database.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';
import { Tenant, type Condition, type Declared, type Kind } from '#test/parts/tenant.ts';

// What an app says of webhooks and a token of scopes, and what the relays are told. Whether they act on it is tested with the relay.

const NAMESPACE = 'policies';

describeOnControlPlane('webhooks and scopes', (cluster) => {
  const tenant = new Tenant(cluster, NAMESPACE);
  let installation: Installation;
  let keyring: Keyring;

  beforeAll(async () => {
    installation = await installFor(cluster, NAMESPACE);
    keyring = Keyring.parse(`d1:${installation.keyMaterial[0] ?? ''}`);
  });

  afterAll(async () => {
    await installation?.[Symbol.asyncDispose]();
  });

  const entries = async (prefix: string): Promise<readonly EntryPayload[]> => {
    const rows = await queryDatabase(installation.databaseUrl, 'SELECT key, text FROM entry WHERE key LIKE $1', [
      `${prefix}%`,
    ]);
    return rows.map(({ text }) => {
      const read = readEntry(keyring, String(text));
      return read.kind === 'authentic' ? read.entry : expect.fail(read.kind);
    });
  };
  /** Where events of an app are sent, and with which headers. */
  const published = async (app: string): Promise<Record<string, string | null>> => {
    const bodies = (await entries('app/')).map(({ body }) => appEntryBody.parse(body));
    const body = bodies.find(({ name }) => name === app) ?? expect.fail(`${app} is not published`);
    return Object.fromEntries(
      body.webhooks.map(({ name, headers }) => [
        name,
        headers === null ? null : unseal(keyring, [body.appId], `webhook.${name}.headers`, headers),
      ]),
    );
  };
  const conditionOf = (object: Declared | undefined, type: string): Condition | undefined =>
    object?.status?.conditions?.find((condition) => condition.type === type);
  /** Waits until the status says of a later revision that every relay enforces it. */
  const enforcedAfter = (kind: Kind, name: string, revision: number): Promise<number> =>
    tenant.until(`${name} is enforced at a later revision than ${revision}`, async () => {
      const object = await tenant.get(kind, name);
      const reached = object?.status?.revision ?? 0;
      return reached > revision && conditionOf(object, 'Enforced')?.status === 'True' && reached;
    });
  const revisionOf = async (kind: Kind, name: string): Promise<number> =>
    (await tenant.get(kind, name))?.status?.revision ?? 0;
  const withoutWarning = (kind: Kind, name: string): Promise<boolean> =>
    tenant.until(
      `${name} has no Warning`,
      async () => conditionOf(await tenant.get(kind, name), 'Warning') === undefined,
    );
  const secret = (name: string, stringData: object): object => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: NAMESPACE },
    stringData,
  });
  const hook = (name: string, headersFrom: string): object => ({
    name,
    url: `https://${name}.example.com/`,
    events: ['channel_occupied'],
    headersFrom: { name: headersFrom },
  });

  test('headers of a webhook: missing, not labelled, labelled, changed, unusable, gone; the app works all the while', async () => {
    const bare = { name: 'bare', url: 'https://bare.example.com/', events: ['channel_occupied'] };
    await tenant.apply(tenant.app('told', { webhooks: [bare, hook('signed', 'headers')] }));
    const missing = await tenant.condition('RelayApp', 'told', 'Warning', { reason: 'SecretNotFound' });
    expect(missing.message).toBe(
      `nothing is sent to webhook signed: there is no Secret headers in namespace ${NAMESPACE}: make it, with the label relay-operator.dev/referable: "true"`,
    );
    await tenant.condition('RelayApp', 'told', 'Ready', { status: 'True' });
    await tenant.condition('RelayApp', 'told', 'Enforced', { status: 'True' });
    expect(await published('told')).toEqual({ bare: null });

    // Nothing tells of a Secret without a label: it is looked at now and then, and with the next change of the app.
    await tenant.apply(secret('headers', { Authorization: 'Bearer one' }));
    await tenant.patch('relayapp/told', { spec: { displayName: 'Told' } });
    const unlabelled = await tenant.condition('RelayApp', 'told', 'Warning', { reason: 'SecretNotReferable' });
    const command = /can say: kubectl (-n \S+ label secret \S+ \S+)$/.exec(unlabelled.message)?.[1];
    expect(command).toBe(`-n ${NAMESPACE} label secret headers relay-operator.dev/referable=true`);
    await tenant.condition('RelayApp', 'told', 'Ready', { status: 'True' });
    expect(await published('told')).toEqual({ bare: null });

    let revision = await revisionOf('RelayApp', 'told');
    await cluster.kubectlOk(command?.split(' ') ?? []);
    revision = await enforcedAfter('RelayApp', 'told', revision);
    await withoutWarning('RelayApp', 'told');
    expect(await published('told')).toEqual({ bare: null, signed: '{"Authorization":"Bearer one"}' });

    await tenant.patch('secret/headers', { stringData: { Authorization: 'Bearer two\n', 'X-Tenant': 'shop' } });
    revision = await enforcedAfter('RelayApp', 'told', revision);
    const two = '{"Authorization":"Bearer two","X-Tenant":"shop"}';
    expect(await published('told')).toEqual({ bare: null, signed: two });

    await tenant.patch('secret/headers', { stringData: { Host: 'internal.example.com' } });
    const unusable = await tenant.condition('RelayApp', 'told', 'Warning', { reason: 'HeadersInvalid' });
    expect(unusable.message).toContain('its key Host is a header that only the relay may set');
    revision = await enforcedAfter('RelayApp', 'told', revision);
    expect(await published('told')).toEqual({ bare: null });
    await tenant.patch('secret/headers', { data: { Host: null } });
    revision = await enforcedAfter('RelayApp', 'told', revision);
    expect(await published('told')).toEqual({ bare: null, signed: two });

    await tenant.patch('secret/headers', { metadata: { labels: { 'relay-operator.dev/referable': null } } });
    revision = await enforcedAfter('RelayApp', 'told', revision);
    await tenant.condition('RelayApp', 'told', 'Warning', { reason: 'SecretNotReferable' });
    expect(await published('told')).toEqual({ bare: null });
    await tenant.kubectl('label', 'secret', 'headers', 'relay-operator.dev/referable=true');
    revision = await enforcedAfter('RelayApp', 'told', revision);
    await tenant.kubectl('delete', 'secret', 'headers');
    await enforcedAfter('RelayApp', 'told', revision);
    await tenant.condition('RelayApp', 'told', 'Warning', { reason: 'SecretNotFound' });
    expect(await published('told')).toEqual({ bare: null });
  });

  test('the credentials that the operator writes are no headers, whatever labels a template puts on them', async () => {
    await tenant.apply(
      tenant.app('sly', {
        credentials: { template: { labels: { 'relay-operator.dev/referable': 'true' } } },
        webhooks: [hook('away', 'sly-relay')],
      }),
    );
    await tenant.condition('RelayApp', 'sly', 'Enforced', { status: 'True' });
    expect((await tenant.secret('sly-relay'))?.metadata.labels?.['relay-operator.dev/referable']).toBe('true');
    await tenant.condition('RelayApp', 'sly', 'Warning', { reason: 'SecretNotReferable' });
    expect(await published('sly')).toEqual({});
  });

  test('scopes of a token: published, narrowed and widened without a new token, and full access is warned of', async () => {
    await tenant.apply(tenant.app('scoped'), tenant.token('ci', 'scoped'));
    await tenant.condition('RelayToken', 'ci', 'Enforced', { status: 'True' });
    const { message } = await tenant.condition('RelayToken', 'ci', 'Warning', { reason: 'FullAccess' });
    expect(message).toContain('list what it needs');
    const value = await tenant.value('ci-token', 'RELAY_TOKEN');
    const told = async (): Promise<unknown> => {
      const [entry] = await entries('token/');
      return { crit: entry?.crit, scopes: tokenEntryBody.parse(entry?.body).scopes };
    };
    expect(await told()).toEqual({ crit: [], scopes: null });

    let revision = await revisionOf('RelayToken', 'ci');
    await tenant.patch('relaytoken/ci', { spec: { scopes: ['events:publish', 'channels:*'] } });
    revision = await enforcedAfter('RelayToken', 'ci', revision);
    await withoutWarning('RelayToken', 'ci');
    expect(await told()).toEqual({ crit: ['scopes'], scopes: ['channels:*', 'events:publish'] });
    await tenant.patch('relaytoken/ci', { spec: { scopes: null } });
    await enforcedAfter('RelayToken', 'ci', revision);
    await tenant.condition('RelayToken', 'ci', 'Warning', { reason: 'FullAccess' });
    expect(await told()).toEqual({ crit: [], scopes: null });
    expect(await tenant.value('ci-token', 'RELAY_TOKEN')).toBe(value);
  });
});
