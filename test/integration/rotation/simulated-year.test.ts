import { mkdir, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Keyring } from '#crds/keyring.ts';
import type { CredentialUse, CredentialUses } from '#operator/registry/credential-use.ts';
import { disposablePool, migratedDatabase } from '#test/parts/migrated-database.ts';
import { effort } from '../conformance/effort.ts';
import { seededRandom } from '#test/parts/seeded-random.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';
import { mortal } from './crashes.ts';
import { SimulatedOperator } from './simulated-operator.ts';
import { SimulatedRelay } from './simulated-relay.ts';
import { bearer, keyAndSecret, readSecret, type Protocol } from './simulated-client.ts';

// A year of an installation, hour by hour, on a clock that the test moves: the real reconcilers over a real PostgreSQL, the real entry table
// and gate, a folder for the manifests. Operator and relays are killed at random calls and hours, relays lag, the operator is gone for a
// month. What must hold is said of two kinds of client: the careful one rereads its Secret before each request; the careless one read it once.

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const HOURS = 365 * 24;
const BEGIN = Date.UTC(2027, 0, 1);
const NAMESPACE = 'shop';
/** Longest silence after which nobody is taken to use a credential (operator/rotation/retirement.ts). */
const QUIET = DAY;
/** The operator looks at what outlives its overlap every hour; the test looks once an hour as well. */
const SLACK = 3 * HOUR;

type Subject = {
  readonly kind: 'RelayApp' | 'RelayToken';
  readonly name: string;
  readonly secret: string;
  readonly spec: object;
  readonly protocol: Protocol;
  readonly interval: number;
  readonly overlap: number;
  readonly grace: number;
  readonly deadline: number;
};

const subjects: readonly Subject[] = [
  {
    kind: 'RelayApp',
    name: 'shop',
    secret: 'shop-relay',
    spec: { rotation: { interval: '2160h', overlap: '168h', notify: ['platform@example.com'] } },
    protocol: keyAndSecret,
    interval: 90 * DAY,
    overlap: 7 * DAY,
    grace: 0,
    deadline: 28 * DAY,
  },
  {
    kind: 'RelayApp',
    name: 'kiosk',
    secret: 'kiosk-relay',
    spec: { rotation: { interval: '720h', overlap: '48h', deadline: '96h', rotates: 'Secret' } },
    protocol: keyAndSecret,
    interval: 30 * DAY,
    overlap: 2 * DAY,
    grace: 0,
    deadline: 4 * DAY,
  },
  {
    kind: 'RelayToken',
    name: 'ci',
    secret: 'ci-token',
    spec: { appRef: { name: 'shop' } },
    protocol: bearer,
    interval: 90 * DAY,
    overlap: 7 * DAY,
    grace: DAY,
    deadline: 28 * DAY,
  },
  {
    kind: 'RelayToken',
    name: 'nightly',
    secret: 'nightly-token',
    spec: {
      appRef: { name: 'shop' },
      environment: 'Test',
      rotation: { interval: '480h', overlap: '36h', grace: '12h', deadline: '120h' },
    },
    protocol: bearer,
    interval: 20 * DAY,
    overlap: 36 * HOUR,
    grace: 12 * HOUR,
    deadline: 5 * DAY,
  },
];

/** A value that a Secret once had. */
type Held = {
  readonly values: Readonly<Record<string, string>>;
  /** When the Secret was seen with another value; undefined: it is the present one. */
  replacedAt: number | undefined;
  lastUse: number;
  /** A careless client that read it then goes on using it until this time. */
  usedUntil: number;
};

/** What relays would have told of who uses what, at most an hour late. */
class Uses implements CredentialUses {
  readonly #byApp = new Map<string, Map<string, CredentialUse>>();
  known: number | null = null;

  used(appId: string, credential: string, at: number): void {
    const app = this.#byApp.get(appId) ?? new Map<string, CredentialUse>();
    const requests = (app.get(credential)?.requests ?? 0) + 1;
    app.set(credential, { lastUsedAt: at, requests, client: 'pusher-http-node 5.3.4' });
    this.#byApp.set(appId, app);
  }
  of(appId: string): Promise<ReadonlyMap<string, CredentialUse>> {
    return Promise.resolve(this.#byApp.get(appId) ?? new Map<string, CredentialUse>());
  }
  knownUntil(): number | null {
    return this.known;
  }
}

async function year(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const chance = (probability: number): boolean => random() < probability;
  const between = (low: number, high: number): number => low + random() * (high - low);
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await migratedDatabase());
  const { pool } = stack.use(disposablePool(database.url));
  const directory = stack.use(await temporaryDirectory('simulated-year'));
  const folder = join(directory.path, 'manifests');
  const data = join(directory.path, 'data');
  await mkdir(folder);
  for (const { kind, name, spec } of subjects) {
    const manifest = {
      apiVersion: 'relay-operator.dev/v1alpha1',
      kind,
      metadata: { name, namespace: NAMESPACE },
      spec,
    };
    await writeFile(join(folder, `${kind}-${name}.yaml`), JSON.stringify(manifest));
  }

  let now = BEGIN;
  const ring = (id: string): Keyring => Keyring.parse(`${id}:${randomBytes(32).toString('base64')}`);
  const directoryRing = ring('d1');
  const relays = ['relay-0', 'relay-1'].map((id) => new SimulatedRelay(id, directoryRing, () => now));
  const uses = new Uses();
  let head = { epoch: 0, revision: 0 };
  let mortality = 0;
  const operator = stack.use(
    new SimulatedOperator({
      pool,
      encryption: ring('e1'),
      directory: directoryRing,
      folder,
      data,
      now: () => now,
      view: () => ({ head, members: relays.map((relay) => relay.member()) }),
      uses,
      wrap: (port, name) => mortal(port, name, () => mortality > 0 && chance(mortality)),
    }),
  );
  const follow = async (): Promise<void> => {
    const { rows } = await pool.query<{ epoch: number; revision: number }>('SELECT epoch, revision FROM directory');
    head = rows[0] ?? head;
    for (const relay of relays) await relay.follow(pool);
  };
  const serving = (): readonly SimulatedRelay[] => relays.filter((relay) => relay.serving);
  const held = new Map<Subject, Held[]>(subjects.map((subject) => [subject, []]));
  const use = ({ protocol }: Subject, one: Held, relay: SimulatedRelay): ReturnType<Protocol['call']> => {
    const verdict = protocol.call(relay, one.values);
    if (verdict.refusal === undefined) {
      one.lastUse = now;
      uses.used(one.values['PUSHER_APP_ID'] ?? one.values['RELAY_APP_ID'] ?? '', verdict.credential, now);
    }
    return verdict;
  };

  await operator.start();
  let operatorUpSince = now;
  /** Last time that nobody could say what is used: until then a replaced credential has to stay, and its grace begins later. */
  let unknownAt = now;
  const goneFrom = BEGIN + between(60, 240) * DAY;
  const goneUntil = goneFrom + 30 * DAY;
  const at = (): string => `hour ${(now - BEGIN) / HOUR} of the year with seed ${seed}`;

  for (let hour = 0; hour < HOURS; hour += 1) {
    const top = BEGIN + hour * HOUR;
    now = top;
    const gone = now >= goneFrom && now < goneUntil;
    if (gone) await operator.stop();
    else if (!operator.running) {
      await operator.start();
      operatorUpSince = now;
    }
    for (const relay of relays) {
      if (relay.lagging) relay.lagging = !chance(0.3);
      else if (chance(0.005)) relay.crash();
      else relay.lagging = relay.serving && chance(0.005);
    }
    await follow();
    // Several looks within the hour, seconds apart: what waits for the relays goes on when they have followed.
    mortality = chance(0.05) ? 0.03 : 0;
    for (let look = 0; look < 6; look += 1) {
      if (relays.every((relay) => relay.serving && !relay.lagging)) uses.known = now;
      else unknownAt = now;
      if (!(await operator.work())) break;
      await follow();
      now += 5_000;
    }
    mortality = 0;

    for (const subject of subjects) {
      const ours = held.get(subject) ?? [];
      const values = await readSecret(data, NAMESPACE, subject.secret);
      if (values === undefined) continue;
      const present = ours.at(-1);
      if (present === undefined || subject.protocol.identity(present.values) !== subject.protocol.identity(values)) {
        if (present !== undefined) present.replacedAt = now;
        // One in three is copied somewhere and used for a while, perhaps longer than it may.
        const usedUntil = chance(0.33) ? now + subject.interval + between(0, 1.5) * subject.deadline : 0;
        ours.push({ values, replacedAt: undefined, lastUse: now, usedUntil });
      }
      const [relay] = serving().toSorted(() => random() - 0.5);
      const newest = ours.at(-1);
      if (relay === undefined || newest === undefined) continue;
      if (chance(0.3)) {
        const { refusal } = use(subject, newest, relay);
        expect(refusal, `the careful client of ${subject.secret}, ${at()}`).toBeUndefined();
      }
      for (const one of ours) {
        if (one.replacedAt === undefined) continue;
        if (one.usedUntil > now && chance(0.5)) use(subject, one, relay);
        // Looked at without being used.
        const { refusal } = subject.protocol.call(relay, one.values);
        const age = now - one.replacedAt;
        const what = `an old credential of ${subject.secret}, replaced ${age / HOUR} h ago, ${at()}`;
        if (age < subject.overlap - SLACK) expect(refusal, `${what}: both work`).toBeUndefined();
        if (age > subject.deadline + SLACK) expect(refusal, `${what}: beyond its deadline`).toBeDefined();
        const ended =
          Math.max(one.replacedAt + subject.overlap, one.lastUse + QUIET, unknownAt) + subject.grace + SLACK;
        const attended = operator.running && operatorUpSince + subject.grace + SLACK < now;
        if (now > ended && attended && !relay.lagging) expect(refusal, `${what}: unused`).toBeDefined();
      }
    }
  }

  for (const subject of subjects) {
    const rotations = (held.get(subject)?.length ?? 0) - 1;
    const most = Math.floor((365 * DAY) / subject.interval);
    const fewest = Math.floor((335 * DAY) / subject.interval) - 1;
    expect(rotations, `rotations of ${subject.secret}, seed ${seed}`).toBeGreaterThanOrEqual(fewest);
    expect(rotations, `rotations of ${subject.secret}, seed ${seed}`).toBeLessThanOrEqual(most);
    expect(await readSecret(data, NAMESPACE, `${subject.secret}-next`)).toBeUndefined();
    // The kiosk asks for no mail; tokens have the list of their app.
    const { rows } = await pool.query<{ mails: number; credentials: number }>(
      `SELECT count(*) AS mails, count(DISTINCT detail->>'credentialId') AS credentials
         FROM notification JOIN occasion ON occasion.key = notification.occasion AND occasion.installation = notification.installation
        WHERE detail->>'kind' = $1 AND detail->>'name' = $2 AND detail->>'what' = 'Rotated'`,
      [subject.kind, subject.name],
    );
    const told = subject.name === 'kiosk' ? 0 : rotations;
    expect(rows, `mails of ${subject.secret}, seed ${seed}`).toEqual([{ mails: told, credentials: told }]);
  }
  expect(operator.crashes, `seed ${seed}: a year without a crash shows nothing`).toBeGreaterThan(3);
}

test('a year of rotations, with crashes', async () => {
  await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 - 1 }), year), {
    ...effort(1),
    endOnFailure: true,
  });
}, 600_000);
