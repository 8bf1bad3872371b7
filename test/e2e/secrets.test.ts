import { afterAll, beforeAll, expect, test } from 'vitest';
import { installFor, type Installation } from '#test/parts/installation.ts';
import { queryDatabase } from '#test/parts/postgres-database.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';
import { publish, Tenant, type Answer, type HeldSecret } from '#test/parts/tenant.ts';

// Every way in which somebody may lay hands on a Secret, and what becomes of the credential in it.

const NAMESPACE = 'hands';

describeOnControlPlane('Secrets', (cluster) => {
  const tenant = new Tenant(cluster, NAMESPACE);
  let installation: Installation;

  beforeAll(async () => {
    installation = await installFor(cluster, NAMESPACE);
  });

  afterAll(async () => {
    await installation?.[Symbol.asyncDispose]();
  });

  /** The answers of every relay. */
  const atEveryRelay = (appId: string, credentials: Parameters<typeof publish>[2]): Promise<Answer[]> =>
    Promise.all(installation.relays.map(({ url }) => publish(url, appId, credentials)));
  const expectAccepted = async (appId: string, credentials: Parameters<typeof publish>[2]): Promise<void> => {
    for (const { status, body } of await atEveryRelay(appId, credentials))
      expect({ status, body }).toEqual({ status: 200, body: '{}' });
  };
  const expectRefused = async (appId: string, token: string, code: string): Promise<void> => {
    for (const answer of await atEveryRelay(appId, { token })) expect(answer).toMatchObject({ status: 401, code });
  };
  const rows = (sql: string, ...values: unknown[]) => queryDatabase(installation.databaseUrl, sql, values);
  const enforced = (kind: 'RelayApp' | 'RelayToken', name: string) =>
    tenant.condition(kind, name, 'Enforced', { status: 'True' });
  const created = async (app: string, token: string, spec: object = {}): Promise<{ appId: string; token: string }> => {
    await tenant.apply(tenant.app(app), tenant.token(token, app, spec));
    await enforced('RelayApp', app);
    await enforced('RelayToken', token);
    return {
      appId: await tenant.value(`${app}-relay`, 'PUSHER_APP_ID'),
      token: await tenant.value(`${token}-token`, 'RELAY_TOKEN'),
    };
  };
  const events = async (reason: string, name: string): Promise<number> =>
    (await tenant.list('events.events.k8s.io')).filter((event) => {
      const { reason: why, regarding } = event as unknown as { reason: string; regarding: { name: string } };
      return why === reason && regarding.name === name;
    }).length;
  const foreign = (name: string): object => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace: NAMESPACE, labels: { 'app.kubernetes.io/name': 'theirs' } },
    type: 'Opaque',
    stringData: { RELAY_TOKEN: 'theirs', PUSHER_APP_SECRET: 'theirs' },
  });

  test('somebody else’s Secret of the wanted name: Conflict, its bytes as before, nothing minted, and solved when it goes', async () => {
    await created('host', 'host');
    await tenant.apply(foreign('blocked-relay'), foreign('blocked-token'));
    const before = [await tenant.secret('blocked-relay'), await tenant.secret('blocked-token')];
    await tenant.apply(tenant.app('blocked'), tenant.token('blocked', 'host'));
    for (const kind of ['RelayApp', 'RelayToken'] as const) {
      const { message } = await tenant.condition(kind, 'blocked', 'Ready', { status: 'False', reason: 'Conflict' });
      expect(message).toMatch(/^Secret blocked-(relay|token) exists and is not this (app|token)'s .*: delete it, or/);
      await tenant.condition(kind, 'blocked', 'Stalled', { status: 'True', reason: 'Conflict' });
    }
    expect([await tenant.secret('blocked-relay'), await tenant.secret('blocked-token')]).toEqual(before);
    expect(await rows(`SELECT 1 FROM app WHERE name = 'blocked'`)).toEqual([]);
    expect(await rows(`SELECT 1 FROM token WHERE name = 'blocked'`)).toEqual([]);

    await tenant.kubectl('delete', 'secret', 'blocked-relay', 'blocked-token');
    await enforced('RelayApp', 'blocked');
    await enforced('RelayToken', 'blocked');
    expect(await tenant.value('blocked-token', 'RELAY_TOKEN')).toMatch(/^rly_live_/);
    for (const kind of ['RelayApp', 'RelayToken'] as const) {
      const conditions = (await tenant.get(kind, 'blocked'))?.status?.conditions ?? [];
      expect(conditions.filter(({ type }) => type === 'Stalled')).toEqual([]);
    }
  });

  test("an app's Secret: deleted it comes back with its values, edited it is repaired, others' keys stay, a template follows", async () => {
    await tenant.apply(tenant.app('mended'));
    await enforced('RelayApp', 'mended');
    const original = await tenant.secret('mended-relay');
    const repaired = (describe: string, look: (secret: HeldSecret) => boolean): Promise<HeldSecret> =>
      tenant.until(describe, async () => {
        const secret = await tenant.secret('mended-relay');
        return secret !== undefined && look(secret) ? secret : undefined;
      });
    await tenant.kubectl('delete', 'secret', 'mended-relay');
    const back = await repaired('it is back', ({ metadata }) => metadata.uid !== original?.metadata.uid);
    expect(back.data).toEqual(original?.data);

    await tenant.patch('secret/mended-relay', { stringData: { PUSHER_APP_SECRET: 'guessed', THEIRS: 'stays' } });
    const mended = await repaired('it is mended', ({ data }) => data['PUSHER_APP_SECRET'] !== 'guessed');
    expect(mended.data).toEqual({ ...original?.data, THEIRS: 'stays' });

    await tenant.patch('secret/mended-relay', { data: { PUSHER_APP_KEY: null } });
    await repaired('the key is back', ({ data }) => data['PUSHER_APP_KEY'] === original?.data['PUSHER_APP_KEY']);

    await tenant.patch('secret/mended-relay', { metadata: { labels: { 'relay-operator.dev/managed': null } } });
    await repaired('our label is back', ({ metadata }) => Object.keys(metadata.labels ?? {}).length === 1);

    await tenant.patch('relayapp/mended', { spec: { credentials: { template: { labels: { team: 'blue' } } } } });
    const labelled = await repaired('the label is there', ({ metadata }) => metadata.labels?.['team'] === 'blue');
    expect(labelled.data['THEIRS']).toBe('stays');
    await tenant.patch('relayapp/mended', { spec: { credentials: { template: null } } });
    await repaired('the label is gone', ({ metadata }) => metadata.labels?.['team'] === undefined);

    await tenant.patch('relayapp/mended', { spec: { credentials: { secretName: 'renamed' } } });
    await tenant.until('the old one is gone', async () => (await tenant.secret('mended-relay')) === undefined);
    expect((await tenant.secret('renamed'))?.data).toEqual(original?.data);
    await expectAccepted(original?.data['PUSHER_APP_ID'] ?? '', {
      key: original?.data['PUSHER_APP_KEY'] ?? '',
      secret: original?.data['PUSHER_APP_SECRET'] ?? '',
    });
  });

  test("a token's Secret: deleted or overwritten it gets a new token, the old one works on, and it is told", async () => {
    const { appId, token: first } = await created('reissued', 'reissued');
    const reissued = (former: string): Promise<string> =>
      tenant.until('a new token is handed out', async () => {
        const value = (await tenant.secret('reissued-token'))?.data['RELAY_TOKEN'];
        return value !== undefined && value.startsWith('rly_') && value !== former ? value : undefined;
      });
    await tenant.kubectl('delete', 'secret', 'reissued-token');
    const second = await reissued(first);
    await tenant.until('both work', async () =>
      (await Promise.all([first, second].map((token) => atEveryRelay(appId, { token }))))
        .flat()
        .every(({ status }) => status === 200),
    );
    await tenant.until('it is told', async () => (await events('TokenReissued', 'reissued')) > 0);

    await tenant.patch('secret/reissued-token', { stringData: { RELAY_TOKEN: 'garbage', THEIRS: 'stays' } });
    const third = await tenant.until('garbage is replaced', async () => {
      const value = (await tenant.secret('reissued-token'))?.data['RELAY_TOKEN'];
      return value !== 'garbage' ? value : undefined;
    });
    expect([first, second]).not.toContain(third);
    expect((await tenant.secret('reissued-token'))?.data['THEIRS']).toBe('stays');

    await tenant.patch('relaytoken/reissued', { spec: { secretName: 'moved' } });
    await tenant.until('the old one is gone', async () => (await tenant.secret('reissued-token')) === undefined);
    expect(await tenant.value('moved', 'RELAY_TOKEN')).toBe(third);
    await enforced('RelayToken', 'reissued');
    for (const token of [first, second, third]) await expectAccepted(appId, { token });
    expect(
      await rows(`SELECT state, count(*)::int FROM token WHERE name = 'reissued' GROUP BY state ORDER BY state`),
    ).toEqual([
      { state: 'Active', count: 1 },
      { state: 'Retiring', count: 2 },
    ]);
  });

  test('revoked: the value leaves the Secret, no relay takes it, no backup brings it back; revoked no more: a new token', async () => {
    const { appId, token } = await created('killed', 'killed');
    const backup = await tenant.kubectl('get', 'secret', 'killed-token', '-o', 'json');
    // One that retired must go as well.
    await tenant.kubectl('delete', 'secret', 'killed-token');
    const second = await tenant.until('a new token is handed out', () =>
      tenant.value('killed-token', 'RELAY_TOKEN').catch(() => undefined),
    );
    await enforced('RelayToken', 'killed');

    await tenant.patch('relaytoken/killed', { spec: { revoked: true } });
    await enforced('RelayToken', 'killed');
    for (const dead of [token, second]) await expectRefused(appId, dead, 'token_unknown');
    await tenant.condition('RelayToken', 'killed', 'Ready', { status: 'False', reason: 'Revoked' });
    expect(Object.keys((await tenant.secret('killed-token'))?.data ?? {}).toSorted()).toEqual([
      'RELAY_APP_ID',
      'RELAY_URL',
    ]);

    await tenant.patch('relaytoken/killed', { spec: { revoked: false } });
    await tenant.condition('RelayToken', 'killed', 'Ready', { status: 'True' });
    await enforced('RelayToken', 'killed');
    const third = await tenant.value('killed-token', 'RELAY_TOKEN');
    await expectAccepted(appId, { token: third });

    // `kubectl replace` of the backup: the very same Secret with the token that was killed.
    const { metadata, ...rest } = JSON.parse(backup) as { metadata: Record<string, unknown> };
    const { resourceVersion: _version, uid: _uid, ...kept } = metadata;
    await cluster.kubectlOk(['replace', '-f', '-'], { input: JSON.stringify({ ...rest, metadata: kept }) });
    const fourth = await tenant.until('the old token is replaced', async () => {
      const value = (await tenant.secret('killed-token'))?.data['RELAY_TOKEN'];
      return value !== token ? value : undefined;
    });
    expect([token, second, third]).not.toContain(fourth);
    await expectRefused(appId, token, 'token_unknown');
    await expectRefused(appId, second, 'token_unknown');
  });

  test('a Secret that a policy refuses: it is told of, no log and no event repeats a value, and the rotation goes on when it may', async () => {
    const { appId, token } = await created('quoted', 'quoted');
    const policy = {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name: 'quoting' },
      spec: {
        matchConstraints: {
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': NAMESPACE } },
          resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['secrets'] }],
        },
        matchConditions: [{ name: 'staged', expression: "object.metadata.name == 'quoted-token-next'" }],
        validations: [
          { expression: 'false', messageExpression: "'not with ' + string(object.data['RELAY_TOKEN']) + ' in it'" },
        ],
      },
    };
    const binding = {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name: 'quoting' },
      spec: { policyName: 'quoting', validationActions: ['Deny'] },
    };
    await tenant.apply(policy, binding);
    await tenant.until('the policy is in force', () =>
      tenant
        .kubectl('create', 'secret', 'generic', 'quoted-token-next', '--from-literal=RELAY_TOKEN=x', '--dry-run=server')
        .then(
          () => undefined,
          (error: Error) => error.message.includes('not with') || undefined,
        ),
    );
    await tenant.kubectl('annotate', 'relaytoken', 'quoted', 'relay-operator.dev/rotate=now');
    await tenant.until('it is told', async () => (await events('SecretNotWritten', 'quoted')) > 0);
    const said = installation.operators.map(({ process }) => process.output()).join('\n');
    expect(said).toContain('not with [redacted] in it');
    // In plain and in base64.
    for (const text of [said, await tenant.kubectl('get', 'events.events.k8s.io', '-o', 'yaml')])
      expect(text).not.toMatch(/rly_live_|cmx5X2xpdmVf/);
    await expectAccepted(appId, { token });

    await tenant.kubectl('delete', 'validatingadmissionpolicybinding,validatingadmissionpolicy', 'quoting');
    const next = await tenant.until('the next one is handed out', async () => {
      const value = await tenant.value('quoted-token', 'RELAY_TOKEN');
      return value !== token ? value : undefined;
    });
    for (const each of [token, next]) await expectAccepted(appId, { token: each });
  });

  test('expiresAt: in the past nothing works, soon it ends by itself, later it goes on', async () => {
    const past = '2020-01-01T00:00:00Z';
    await created('dated', 'dated');
    const appId = await tenant.value('dated-relay', 'PUSHER_APP_ID');
    await tenant.apply(tenant.token('stillborn', 'dated', { expiresAt: past }));
    await tenant.condition('RelayToken', 'stillborn', 'Ready', { status: 'False', reason: 'Expired' });
    expect(await tenant.secret('stillborn-token')).toBeUndefined();

    const token = await tenant.value('dated-token', 'RELAY_TOKEN');
    await expectAccepted(appId, { token });
    const soon = new Date(Date.now() + 2_000).toISOString();
    await tenant.patch('relaytoken/dated', { spec: { expiresAt: soon } });
    await tenant.condition('RelayToken', 'dated', 'Ready', { status: 'False', reason: 'Expired' });
    await tenant.until('it is refused', async () =>
      (await atEveryRelay(appId, { token })).every(({ code }) => code === 'token_expired'),
    );
    await expectRefused(appId, token, 'token_expired');
    expect(await tenant.value('dated-token', 'RELAY_TOKEN_EXPIRES_AT')).toBe(soon);

    await tenant.patch('relaytoken/dated', { spec: { expiresAt: null } });
    await tenant.condition('RelayToken', 'dated', 'Ready', { status: 'True' });
    await enforced('RelayToken', 'dated');
    await expectAccepted(appId, { token });
    expect((await tenant.secret('dated-token'))?.data['RELAY_TOKEN_EXPIRES_AT']).toBeUndefined();
  });
});
