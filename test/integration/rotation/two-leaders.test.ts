import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROTATE_ANNOTATION } from '#crds/api-group.ts';
import { Keyring } from '#crds/keyring.ts';
import { formatEnv } from '#standalone/folder/env-text.ts';
import { openFolderWorld } from '#test/parts/folder-world.ts';
import { disposablePool, migratedDatabase } from '#test/parts/migrated-database.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';
import { held } from './crashes.ts';
import { bearer, keyAndSecret, readSecret, type Protocol } from './simulated-client.ts';
import { SimulatedOperator } from './simulated-operator.ts';
import { SimulatedRelay } from './simulated-relay.ts';

// Two leaders for a moment. One is held up before its k-th call to whatever is outside of it, with everything that it had looked at; another
// takes over and does all there is to do; then the first one's call arrives after all, and it goes on. For every k of a rotation. Its
// writes to PostgreSQL are fenced by the term; those to Kubernetes may have been on their way when the lease went.

const ring = (id: string): Keyring => Keyring.parse(`${id}:${randomBytes(32).toString('base64')}`);

type Values = Readonly<Record<string, string>>;
type Subject = {
  readonly kind: 'RelayApp' | 'RelayToken';
  readonly secret: string;
  readonly protocol: Protocol;
  /** What somebody has written over. */
  readonly edit: string;
  /** Its secret. */
  readonly value: string;
};
const subjects: readonly Subject[] = [
  { kind: 'RelayApp', secret: 'shop-relay', protocol: keyAndSecret, edit: 'PUSHER_HOST', value: 'PUSHER_APP_SECRET' },
  { kind: 'RelayToken', secret: 'ci-token', protocol: bearer, edit: 'RELAY_URL', value: 'RELAY_TOKEN' },
];
const APP = { rotation: { interval: '2160h', notify: ['platform@example.com'] } };
const manifest = (kind: string, metadata: object, spec: object): string =>
  JSON.stringify({
    apiVersion: 'relay-operator.dev/v1alpha1',
    kind,
    metadata,
    spec,
  });

/** What else has happened when the rotation is asked for. */
type Beside = 'nothing' | 'the Secret was edited' | 'the Secret lost its value';

describe.for<Beside>(['nothing', 'the Secret was edited', 'the Secret lost its value'])('beside it: %s', (beside) => {
  const stack = new AsyncDisposableStack();
  const encryption = ring('e1');
  const directory = ring('d1');
  let pool: pg.Pool;
  let path: string;

  beforeAll(async () => {
    const database = stack.use(await migratedDatabase());
    ({ pool } = stack.use(disposablePool(database.url)));
    ({ path } = stack.use(await temporaryDirectory('two-leaders')));
  });
  afterAll(() => stack.disposeAsync());

  /** States of all that relays accept. */
  async function registered(kind: Subject['kind'], namespace: string): Promise<readonly string[]> {
    const { rows } = await pool.query<{ state: string }>(
      kind === 'RelayToken'
        ? `SELECT state FROM token WHERE namespace = $1 AND state <> 'Revoked' ORDER BY created_at`
        : `SELECT app_key.state FROM app_key JOIN app USING (app_id) WHERE namespace = $1 ORDER BY app_key.created_at`,
      [namespace],
    );
    return rows.map(({ state }) => state);
  }

  /** A rotation of everything there is, the leader held up before one of its calls, if at any. Returns the calls that it made. */
  async function rotate({ kind, secret, protocol, edit, value }: Subject, holdAt: number): Promise<readonly string[]> {
    const namespace = `${kind.toLowerCase()}-${holdAt}`;
    const folder = join(path, namespace, 'manifests');
    const data = join(path, namespace, 'data');
    await mkdir(folder, { recursive: true });
    const declare = async (annotations: Values): Promise<void> => {
      const app = { name: 'shop', namespace, ...(kind === 'RelayApp' ? { annotations } : {}) };
      await writeFile(join(folder, 'app.yaml'), manifest('RelayApp', app, APP));
      if (kind === 'RelayApp') return;
      const token = { name: 'ci', namespace, annotations };
      await writeFile(join(folder, 'token.yaml'), manifest(kind, token, { appRef: { name: 'shop' } }));
    };
    await declare({});
    let now = Date.UTC(2027, 0, 1);
    await using world = await openFolderWorld(folder, data, () => now);
    const relays = ['relay-0', 'relay-1'].map((id) => new SimulatedRelay(id, directory, () => now));
    let head = { epoch: 0, revision: 0 };
    const follow = async (): Promise<void> => {
      const { rows } = await pool.query<{ epoch: number; revision: number }>('SELECT epoch, revision FROM directory');
      head = rows[0] ?? head;
      for (const relay of relays) await relay.follow(pool);
    };
    let handedOut = false;
    /** Different contents of the Secret, in the order in which they came. */
    const contents: string[] = [];
    /** Somebody who reads the Secret again each time, and asks each relay. */
    const careful = async (): Promise<void> => {
      const values = handedOut ? await readSecret(data, namespace, secret) : undefined;
      if (values?.[value] === undefined) return;
      const refusals = relays.map((relay) => protocol.call(relay, values).refusal);
      expect(refusals, `${kind}, held up before call ${holdAt}`).toEqual([undefined, undefined]);
      const identity = protocol.identity(values);
      if (contents.at(-1) !== identity) contents.push(identity);
    };
    const operator = (wait: (call: string) => Promise<void>): SimulatedOperator =>
      new SimulatedOperator({
        pool,
        encryption,
        directory,
        folder,
        data,
        world,
        now: () => (now += 1),
        view: () => ({ head, members: relays.map((relay) => relay.member()) }),
        uses: { of: () => Promise.resolve(new Map()), knownUntil: () => now },
        wrap: (port, name) => held(port, name, wait),
        reached: follow,
        onTrouble: () => {},
      });
    const settle = async (leader: SimulatedOperator): Promise<void> => {
      for (let look = 0; look < 12; look += 1) {
        const worked = await leader.work();
        await follow();
        await careful();
        now += 2_500;
        if (!worked && look > 1) return;
      }
      expect.fail('it does not come to an end');
    };

    const calls: string[] = [];
    let counting = false;
    const second = operator(careful);
    const first = operator(async (call) => {
      await careful();
      if (!counting) return;
      calls.push(call);
      if (calls.length !== holdAt) return;
      counting = false;
      await second.start();
      await settle(second);
    });
    await first.start();
    await settle(first);
    handedOut = true;
    await careful();

    await declare({ [ROTATE_ANNOTATION]: 'now' });
    if (beside !== 'nothing') {
      const { [value]: lost = '', ...others } = (await readSecret(data, namespace, secret)) ?? {};
      const values = beside === 'the Secret was edited' ? { ...others, [value]: lost, [edit]: 'edited' } : others;
      await writeFile(join(data, 'secrets', namespace, `${secret}.env`), formatEnv(values));
    }
    await world.look();
    world.world.noticeSecretEdits();
    counting = true;
    for (let look = 0; look < 6; look += 1) {
      await first.work();
      await follow();
      await careful();
      now += 2_500;
    }
    counting = false;
    await first.stop();
    if (!second.running) await second.start();
    second.resync();
    await settle(second);
    await second.stop();

    const values = await readSecret(data, namespace, secret);
    const { rows: told } = await pool.query(
      `SELECT 1 FROM occasion WHERE detail->>'what' = 'Rotated' AND detail->>'namespace' = $1`,
      [namespace],
    );
    const heldUpBefore = `call ${holdAt}: ${calls.at(-1) ?? ''}`;
    expect({
      heldUpBefore,
      handedOut: contents.length,
      edited: values?.[edit] === 'edited',
      staged: await readSecret(data, namespace, `${secret}-next`),
      registered: await registered(kind, namespace),
      told: told.length,
    }).toEqual({
      heldUpBefore,
      handedOut: 2,
      edited: false,
      staged: undefined,
      registered: ['Retiring', 'Active'],
      told: 1,
    });
    return calls;
  }

  test.for(subjects.map((subject) => [subject.kind, subject] as const))('%s', async ([, subject]) => {
    const calls = await rotate(subject, 0);
    expect(calls.length).toBeGreaterThan(10);
    for (let call = 1; call <= calls.length; call += 1) await rotate(subject, call);
  });
});
