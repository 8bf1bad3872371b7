import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FIELD_MANAGER } from '#crds/api-group.ts';
import { systemClock } from '#operator/engine/clock.ts';
import { KubernetesClient } from '#operator/kubernetes/client.ts';
import { Connection } from '#operator/kubernetes/connection.ts';
import { eventually } from '#test/parts/eventually.ts';
import { installFor, type Installation } from '#test/parts/installation.ts';
import { queryDatabase } from '#test/parts/postgres-database.ts';
import { say } from '#test/parts/say.ts';
import { seededRandom } from '#test/parts/seeded-random.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';
import { startSmtpServer, type TestSmtpServer } from '#test/parts/smtp.ts';
import { Tenant } from '#test/parts/tenant.ts';
import { adminConfig } from './engine/cluster-client.ts';
import { identityOf, publishWith, readValues, type Answer, type Values } from './rotating-days/credentials.ts';
import { fastClock, fastTimeText } from './rotating-days/fast-clock.ts';
import { KilledProcesses } from './rotating-days/killed-processes.ts';

// The simulated year (test/integration/rotation) on real parts, sixty hours in two and a half minutes. Real: API server, PostgreSQL, Redis,
// SMTP, two operators and two relays as processes that are killed with SIGKILL, and everything between machines: the Lease, watches,
// connections, the directory and its reports. Scaled, in operators, relays and here alike: what credentials and mail go by, which is when they
// are due, begin, end, were used and were announced. So a takeover, 15 s of lease, is an absence of six hours. All that is expected is told
// by the scaled clock when it happens, never by how long something took. A letter is sent at least once, and counted by its id.

const NAMESPACE = 'days';
const SYSTEM = 'days-system';
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const HOURS = 60;
/** An hour is 2.5 s. */
const FACTOR = 1_440;
/** What an operator that is there may take for what is due, with everything between that is not scaled. */
const SLACK = 3 * HOUR;

type Subject = {
  readonly kind: 'RelayApp' | 'RelayToken';
  readonly name: string;
  readonly secret: string;
  readonly interval: number;
  readonly overlap: number;
  readonly grace: number;
  readonly deadline: number;
  /** Somebody goes on using what was replaced until it is refused. */
  readonly careless: boolean;
};

const subjects: readonly Subject[] = [
  {
    kind: 'RelayApp',
    name: 'shop',
    secret: 'shop-relay',
    interval: 10,
    overlap: 2,
    grace: 0,
    deadline: 40,
    careless: false,
  },
  {
    kind: 'RelayToken',
    name: 'ci',
    secret: 'ci-token',
    interval: 8,
    overlap: 2,
    grace: 1,
    deadline: 40,
    careless: false,
  },
  {
    kind: 'RelayToken',
    name: 'nightly',
    secret: 'nightly-token',
    interval: 12,
    overlap: 2,
    grace: 1,
    deadline: 8,
    careless: true,
  },
];

/** A value that a Secret once had. */
type Held = {
  readonly values: Values;
  /** Between these two the Secret got another value; undefined: it is the present one. */
  replaced: { readonly after: number; readonly before: number } | undefined;
  lastUse: number;
  /** When the Secret was last asked for and had it. */
  readAt: number;
};

type Seen = { readonly held: Held[]; unusedGone: number; usedKept: number; pastDeadline: number; bothWorked: number };

describeOnControlPlane('sixty hours of rotations', (cluster) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = seededRandom(seed);
  const between = (low: number, high: number): number => low + random() * (high - low);
  const time = { origin: Date.now(), factor: FACTOR };
  const { now } = fastClock(time);
  const tenant = new Tenant(cluster, NAMESPACE);
  const stack = new AsyncDisposableStack();
  let installation: Installation;
  let smtp: TestSmtpServer;
  let client: KubernetesClient;

  beforeAll(async () => {
    const connection = stack.use(new Connection(adminConfig(cluster), systemClock));
    client = new KubernetesClient({ connection, fieldManager: FIELD_MANAGER, userAgent: 'careful-client' });
    smtp = stack.use(await startSmtpServer({ tls: 'None' }));
    const env = { FAST_TIME: fastTimeText(time), LOG_LEVEL: 'info' };
    installation = stack.use(
      await installFor(cluster, NAMESPACE, {
        programs: {
          operator: 'test/e2e/rotating-days/operator-process.ts',
          relay: 'test/e2e/rotating-days/relay-process.ts',
        },
        relayEnv: env,
        operatorEnv: {
          ...env,
          SMTP_URL: `smtp://127.0.0.1:${smtp.port}?starttls=never`,
          SMTP_FROM: 'relay@example.com',
        },
      }),
    );
  });
  afterAll(() => stack.disposeAsync());

  test('careful clients are never refused, old credentials end in time, everybody is told once, whoever is killed', async ({
    onTestFailed,
  }) => {
    onTestFailed(() => say(`the seed of what was drawn: ${seed}`));
    const rotation = ({ interval, overlap, grace, deadline, kind }: Subject): object => ({
      interval: `${interval}h`,
      overlap: `${overlap}h`,
      deadline: `${deadline}h`,
      ...(kind === 'RelayToken' ? { grace: `${grace}h` } : { notify: ['platform@example.com'] }),
    });
    await tenant.apply(
      ...subjects.map((subject) =>
        subject.kind === 'RelayApp'
          ? tenant.app(subject.name, { rotation: rotation(subject) })
          : tenant.token(subject.name, 'shop', { rotation: rotation(subject) }),
      ),
    );
    await tenant.settled(subjects.length);

    const begin = now();
    const end = begin + HOURS * HOUR;
    const at = (): string => `at hour ${((now() - begin) / HOUR).toFixed(2)} with seed ${seed}`;
    const killed = new KilledProcesses({ cluster, installation, namespace: SYSTEM, now });
    const kills = (async () => {
      const plan = [
        ...[between(1, 4), between(8, 12)].map((hour, index) => ({ hour, kill: () => killed.killRelay(index) })),
        ...[between(2, 10), between(22, 32), between(44, 48)].map((hour) => ({
          hour,
          kill: () => killed.killLeader(),
        })),
      ];
      await Promise.all(
        plan.map(async ({ hour, kill }) => {
          while (now() < begin + hour * HOUR) await delay(50);
          await kill();
        }),
      );
    })();

    const publish = async (values: Values): Promise<Answer> => {
      const ports = installation.relays.map(({ port }) => port).toSorted(() => random() - 0.5);
      for (const port of ports) {
        const answer = await publishWith(port, values);
        if (answer !== 'away') return answer;
      }
      return 'away';
    };
    /** When something that was due at `due` is done at the latest: after the absence in which that was. */
    const attended = (due: number): number =>
      killed.outages.reduce(
        (latest, { from, to = Number.POSITIVE_INFINITY }) => (latest + SLACK > from && latest < to ? to : latest),
        due,
      );

    const look = async (subject: Subject, seen: Seen): Promise<void> => {
      const [overlap, grace, deadline] = [subject.overlap * HOUR, subject.grace * HOUR, subject.deadline * HOUR];
      const readAt = now();
      const values = await readValues(client, NAMESPACE, subject.secret);
      if (values === undefined) throw new Error(`there is no Secret ${subject.secret} ${at()}`);
      const present = seen.held.at(-1);
      if (present !== undefined && identityOf(present.values) === identityOf(values)) present.readAt = readAt;
      else {
        if (present !== undefined) present.replaced = { after: present.readAt, before: now() };
        seen.held.push({ values, replaced: undefined, lastUse: readAt, readAt });
      }
      const careful = await publish(values);
      // Whoever keeps what was read for longer than both work is not careful; a machine that is busy may make one so.
      if (now() - readAt < overlap)
        expect(careful, `the careful client of ${subject.secret}, ${at()}`).not.toBe('refused');

      for (const one of seen.held) {
        if (one.replaced === undefined) continue;
        const { after, before } = one.replaced;
        const unusedAt = Math.max(before + overlap, one.lastUse + Math.min(overlap, DAY), killed.relayBackAt + DAY);
        const due = {
          both: now() < after + overlap && random() < 0.3,
          careless: subject.careless,
          unused: now() > attended(unusedAt) + grace + SLACK,
          over: now() > attended(before) + HOUR + deadline,
        };
        // An accepted request is a use: what is to be seen unused is not asked for before it has to be gone.
        if (!due.both && !due.careless && !due.unused && !due.over) continue;
        const sent = now();
        const answer = await publish(one.values);
        const done = now();
        if (answer === 'away') continue;
        const what = `an old credential of ${subject.secret}, replaced ${((sent - before) / HOUR).toFixed(2)} h ago, ${at()}`;
        if (done < after + overlap) {
          expect(answer, `${what}: both work`).toBe('accepted');
          seen.bothWorked += 1;
        }
        if (due.over) {
          expect(answer, `${what}: beyond its deadline`).toBe('refused');
          seen.pastDeadline += 1;
        } else if (due.unused) {
          expect(answer, `${what}: unused`).toBe('refused');
          seen.unusedGone += 1;
        }
        if (answer === 'accepted') one.lastUse = done;
        if (answer === 'accepted' && sent > before + overlap + grace) seen.usedKept += 1;
      }
    };

    const results = new Map<Subject, Seen>(
      subjects.map((subject) => [subject, { held: [], unusedGone: 0, usedKept: 0, pastDeadline: 0, bothWorked: 0 }]),
    );
    await Promise.all([
      kills,
      ...[...results].map(async ([subject, seen]) => {
        while (now() < end) {
          await look(subject, seen);
          await delay(20);
        }
      }),
    ]);

    // Nothing is due any more, and what was begun is done.
    for (const { kind, name } of subjects)
      await tenant.patch(`${kind.toLowerCase()}/${name}`, { spec: { rotation: { interval: '2160h' } } });
    await tenant.settled(subjects.length);
    await tenant.until('nothing waits to be handed out', async () =>
      (await tenant.secrets()).every(({ metadata }) => !metadata.name.endsWith('-next')),
    );
    for (const [subject, seen] of results) {
      await look(subject, seen);
      const rotations = seen.held.length - 1;
      const absent = killed.outages.reduce((sum, { from, to = from }) => sum + to - from, 0) / HOUR;
      const what = `${subject.secret}: ${JSON.stringify({ ...seen, held: rotations, absent })}, seed ${seed}`;
      expect(rotations, `${what}: it rotates`).toBeGreaterThanOrEqual(
        Math.max(2, Math.floor((HOURS - absent) / subject.interval) - 1),
      );
      expect(rotations, `${what}: no more often than declared`).toBeLessThanOrEqual(
        Math.ceil((now() - begin) / HOUR / subject.interval / 0.99),
      );
      expect(seen.bothWorked, `${what}: old and new both work`).toBeGreaterThan(0);
      if (subject.careless)
        expect(
          Math.min(seen.usedKept, seen.pastDeadline),
          `${what}: what is used stays, to its deadline`,
        ).toBeGreaterThan(0);
      else expect(seen.unusedGone, `${what}: what is unused goes before`).toBeGreaterThan(0);
      const told = await queryDatabase(
        installation.databaseUrl,
        `SELECT count(*)::int AS mails, count(DISTINCT detail->>'credentialId')::int AS credentials
           FROM notification JOIN occasion ON occasion.key = notification.occasion AND occasion.installation = notification.installation
          WHERE detail->>'kind' = '${subject.kind}' AND detail->>'name' = '${subject.name}' AND detail->>'what' = 'Rotated'`,
      );
      expect(told, `${what}: one mail for each`).toEqual([{ mails: rotations, credentials: rotations }]);
    }
    const mails = await eventually(
      async () => {
        const [row] = await queryDatabase(
          installation.databaseUrl,
          'SELECT count(*)::int AS all, count(sent_at)::int AS sent FROM notification',
        );
        return row !== undefined && row['all'] === row['sent'] && Number(row['all']);
      },
      { timeout: 60_000, describe: 'every mail is sent' },
    );
    const ids = smtp.mails.map(({ raw }) => /^Message-ID: (.*)\r$/im.exec(raw)?.[1]);
    expect(new Set(ids).size, `seed ${seed}`).toBe(mails);
    // A leader that was killed between the server's word and its mark in PostgreSQL: four at once at the most.
    expect(ids.length - mails, `seed ${seed}`).toBeLessThanOrEqual(4 * killed.outages.length);
    expect([killed.outages.length, killed.relays], `seed ${seed}`).toEqual([3, 2]);
  }, 400_000);
});
