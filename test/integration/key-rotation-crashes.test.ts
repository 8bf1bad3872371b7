import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { appEntryBody, appEntryKey, appKeyField } from '#crds/directory/entry-body.ts';
import { trustEntry } from '#crds/directory/entry.ts';
import { Keyring } from '#crds/keyring.ts';
import { unseal } from '#crds/sealed.ts';
import type { DirectoryView } from '#operator/directory/enforcement.ts';
import type { Enforcement } from '#operator/directory/enforcement-watch.ts';
import { createDirectoryCommit } from '#operator/postgres/directory-commit.ts';
import { createRegistry } from '#operator/postgres/registry.ts';
import { createRegistryLog } from '#operator/postgres/registry-log.ts';
import { PendingKeys } from '#operator/reconcile/pending-keys.ts';
import { createReconcile } from '#operator/reconcile/reconciler.ts';
import type { AppRow } from '#operator/registry/app-registry.ts';
import type { CredentialUses } from '#operator/registry/credential-use.ts';
import { applyAppStep } from '#operator/relay-app/apply.ts';
import { observeApp } from '#operator/relay-app/observe.ts';
import { planApp } from '#operator/relay-app/plan.ts';
import { openFolderWorld } from '#test/parts/folder-world.ts';
import { Killed, Killer } from '#test/parts/killer.ts';
import { disposablePool, migratedDatabase } from '#test/parts/migrated-database.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';

// A rotation, from the request to the end of the old key, in which the operator is killed before and after every single call that changes
// something; then it starts again. The registry is PostgreSQL, the world a folder; one relay follows only when it is waited for.

const HOUR = 3_600_000;
/** Nobody can say what is used, so that an old key goes at its deadline. */
const NOTHING_KNOWN: CredentialUses = { of: () => Promise.resolve(new Map()), knownUntil: () => null };
const NAMESPACE = 'shop';
const endpoints = { public: 'https://relay.example.com', internal: 'https://relay.example.com' };

describe('a rotation whose operator is killed before and after every call', () => {
  const encryption = Keyring.parse(`e1:${randomBytes(32).toString('base64')}`);
  const directory = Keyring.parse(`d1:${randomBytes(32).toString('base64')}`);
  const stack = new AsyncDisposableStack();
  let pool: pg.Pool;
  let folder: string;
  let data: string;

  beforeAll(async () => {
    const database = stack.use(await migratedDatabase());
    ({ pool } = stack.use(disposablePool(database.url)));
    const { path } = stack.use(await temporaryDirectory('key-rotation-crashes'));
    [folder, data] = [join(path, 'manifests'), join(path, 'data')];
    await mkdir(folder);
  });
  afterAll(() => stack.disposeAsync());

  /** One app, its reader, its relay and its operators, one after the other. */
  const scenario = async (name: string, kill: Killer['at']) => {
    const killer = new Killer();
    let now = Date.UTC(2027, 0, 1);
    let world = await openFolderWorld(folder, data, () => now);
    const refused: string[] = [];
    const rotated: number[] = [];

    const row = async (): Promise<AppRow | undefined> =>
      createRegistry({
        pool,
        commit: { commit: () => Promise.reject(new Error('only reads')) },
        rings,
        now: () => now,
      }).findApp({ namespace: NAMESPACE, name }, '');
    const rings = { installation: 'default', encryption, directory };
    /** What the relay verifies, and since which revision. */
    let known: { readonly revision: number; readonly pairs: readonly { pair: string; expiresAt: number | null }[] } = {
      revision: 0,
      pairs: [],
    };
    const catchUp = async (): Promise<void> => {
      const current = await row();
      if (current === undefined) return;
      const { rows } = await pool.query<{ text: string }>('SELECT text FROM entry WHERE key = $1', [
        appEntryKey(current.appId),
      ]);
      const { keys } = appEntryBody.parse(trustEntry(rows[0]?.text ?? '')?.body);
      known = {
        revision: current.revision,
        pairs: keys.map(({ id, key, secret, expiresAt }) => ({
          pair: `${key}:${unseal(directory, [current.appId], appKeyField(id), secret)}`,
          expiresAt,
        })),
      };
    };
    /** The careful client: it reads the real Secret at every moment and asks the relay. */
    const readerAsks = async (): Promise<void> => {
      const secret = await world.world.secrets.readLive({ namespace: NAMESPACE, name: `${name}-relay` });
      if (secret === undefined) return;
      const pair = `${secret.data['PUSHER_APP_KEY']}:${secret.data['PUSHER_APP_SECRET']}`;
      // A first issue may write the real Secret before relays know it: nobody has read it yet.
      if (known.revision === 0) return;
      const found = known.pairs.find((candidate) => candidate.pair === pair);
      if (found === undefined || (found.expiresAt !== null && found.expiresAt <= now)) refused.push(pair);
      const current = await row();
      const since = current?.keys.find(({ retirement }) => retirement !== null)?.retirement?.since;
      if (since !== undefined) rotated.push(since);
    };

    /** A process: what it had in memory is gone with it. */
    const start = async (): Promise<() => Promise<void>> => {
      const { term } = await createRegistryLog({ pool, keyring: directory, random: randomBytes }).takeOver();
      const commit = createDirectoryCommit({ pool, keyring: directory, term: () => term, onCommitted: () => {} });
      const view = async (): Promise<DirectoryView> => {
        const { rows } = await pool.query<{ revision: number }>('SELECT revision FROM directory');
        const member = {
          id: 'relay-0',
          admitted: true,
          rejected: new Set<string>(),
          silent: false,
          lacks: new Set<string>(),
        };
        return {
          head: { epoch: 0, revision: rows[0]?.revision ?? 0 },
          members: [{ ...member, epoch: 0, revision: known.revision }],
        };
      };
      let seen = await view();
      const enforcement: Enforcement = {
        view: () => seen,
        reached: async () => {
          await catchUp();
          seen = await view();
        },
        onChange: () => () => {},
      };
      const registry = killer.wrap(
        createRegistry({ pool, commit, rings, now: () => now }),
        [
          'registerApp',
          'updateApp',
          'rebindApp',
          'stageKey',
          'promoteKey',
          'setKeyTimes',
          'endKey',
          'recordKeyRotationRequest',
        ],
        readerAsks,
      );
      const secrets = killer.wrap(world.world.secrets, ['apply', 'create', 'replace', 'delete'], readerAsks);
      const apps = killer.wrap(world.world.apps, ['addFinalizer', 'writeStatus'], readerAsks);
      const reconcile = createReconcile(
        {
          observe: async (ref) => {
            seen = await view();
            return observeApp(
              { apps, secrets, registry, enforcement, uses: NOTHING_KNOWN, endpoints, mail: false, now: () => now },
              ref,
            );
          },
          plan: planApp,
          apply: (object, step) =>
            applyAppStep({ apps, secrets, registry, recorder: world.world.recorder }, object, step),
          writeStatus: (object, status) => apps.writeStatus(object, status),
        },
        enforcement,
        new PendingKeys(enforcement),
      );
      return async () => {
        await reconcile(`${NAMESPACE}/${name}`, {
          signal: new AbortController().signal,
          log: pino({ level: 'silent' }),
          reconcileId: 'test',
        });
      };
    };

    let run = await start();
    const declare = async (annotations: object): Promise<void> => {
      const metadata = { name, namespace: NAMESPACE, annotations };
      const spec = { rotation: { interval: '2160h', overlap: '1h', deadline: '2h' } };
      const manifest = { apiVersion: 'relay-operator.dev/v1alpha1', kind: 'RelayApp', metadata, spec };
      await writeFile(join(folder, `${name}.yaml`), JSON.stringify(manifest));
      await world.look();
    };
    /** Until it comes to rest, with another process wherever one is killed. */
    const settle = async (): Promise<void> => {
      for (;;) {
        try {
          await run();
          return;
        } catch (error) {
          if (!(error instanceof Killed)) throw error;
          now += 1_000;
          await world[Symbol.asyncDispose]();
          world = await openFolderWorld(folder, data, () => now);
          run = await start();
        }
      }
    };
    const status = (): unknown => world.world.apps.get({ namespace: NAMESPACE, name })?.status;

    await declare({});
    await settle();
    const first = await row();
    killer.calls = [];
    killer.at = kill;
    await declare({ 'relay-operator.dev/rotate': 'now' });
    await settle();
    const handedOut = await row();
    now += 2 * HOUR;
    await settle();
    const ended = await row();
    await settle();
    const staged = await world.world.secrets.readLive({ namespace: NAMESPACE, name: `${name}-relay-next` });
    const secret = await world.world.secrets.readLive({ namespace: NAMESPACE, name: `${name}-relay` });
    const result = { calls: killer.calls, first, handedOut, ended, staged, secret, refused, rotated, status: status() };
    await world[Symbol.asyncDispose]();
    return result;
  };

  test('ends in the same state, with one new key, and no reader of the Secret is ever refused', async () => {
    const whole = await scenario('whole', undefined);
    expect(whole.calls).toEqual([
      'stageKey',
      'create',
      'replace',
      'promoteKey',
      'delete',
      'writeStatus',
      'endKey',
      'writeStatus',
    ]);
    for (let call = 1; call <= whole.calls.length; call += 1) {
      for (const when of ['before', 'after'] as const) {
        const label = `${when} ${whole.calls[call - 1]}`;
        const run = await scenario(`killed-${when}-${call}`, { call, when });
        expect({ label, refused: run.refused }).toEqual({ label, refused: [] });
        expect(run.handedOut?.keys.map(({ state }) => state)).toEqual(['Retiring', 'Active']);
        expect(run.ended?.keys.map(({ state }) => state)).toEqual(['Active']);
        expect(run.handedOut?.keys[0]?.id).toBe(run.first?.keys[0]?.id);
        expect(run.ended?.keys[0]?.id).toBe(run.handedOut?.keys[1]?.id);
        expect(run.secret?.data['PUSHER_APP_SECRET']).toBe(run.ended?.keys[0]?.secret.reveal());
        expect(run.staged).toBeUndefined();
        // The clock of the old key was started once.
        expect(new Set(run.rotated).size).toBe(1);
        expect(run.status).toMatchObject({
          credentials: [{ id: run.ended?.keys[0]?.id, state: 'Active' }],
          handledRequests: { rotate: 'now' },
          revision: run.ended?.revision,
        });
      }
    }
  });
});
