import { ROTATE_ANNOTATION } from '#crds/api-group.ts';
import { DAY, HOUR, SECOND, type Installation } from './installation.ts';
import { LAST_DAY, TIMES } from './subjects.ts';
import type { History } from './states.ts';

/** Something that happens to an installation in whatever state; afterwards it has settled, as far as its state lets it. */
export type Event = (installation: Installation, history: History) => Promise<void>;

/** Everything moves on to `at`, and the operator looks. */
async function until(installation: Installation, at: number): Promise<void> {
  installation.now = at;
  await installation.settle();
}

/** To the end of the overlap of A, and beyond the grace that a token has after it. */
async function endOverlap(installation: Installation, { replacedAt }: History, inUse: boolean): Promise<void> {
  const end = replacedAt + TIMES.overlap;
  for (const at of [end - 30 * SECOND, end + 2 * HOUR, end + 13 * HOUR, end + 27 * HOUR]) {
    installation.now = at;
    if (inUse) installation.use('A');
    await installation.settle();
  }
}

async function kill(installation: Installation): Promise<void> {
  const { subject } = installation;
  await installation.declare({ ...subject.spec, ...subject.kill });
  await end(installation);
}

async function end(installation: Installation): Promise<void> {
  installation.kill();
  await installation.settle();
}

const annotate = (installation: Installation): Promise<void> =>
  installation.declare(installation.subject.spec, { [ROTATE_ANNOTATION]: 'now' });

export const events = {
  'the operator looks again': (installation) => installation.resync(),
  'the operator restarts': (installation) => installation.restart(),
  'the rotation falls due': async (installation, { presentSince }) =>
    until(installation, presentSince + TIMES.interval + HOUR),
  'a rotation is asked for': async (installation) => {
    await annotate(installation);
    await installation.settle();
  },
  'a rotation is cut off by a kill': async (installation) => {
    await annotate(installation);
    const { kind } = installation.subject;
    installation.killAt = kind === 'RelayApp' ? 'after registry.stageKey' : 'after registry.mintToken';
    await installation.settle();
  },
  'the overlap ends, A unused': (installation, history) => endOverlap(installation, history, false),
  'the overlap ends, A in use': (installation, history) => endOverlap(installation, history, true),
  'the deadline of A passes, in use': async (installation, history) => {
    await endOverlap(installation, history, true);
    const deadline = history.replacedAt + TIMES.deadline;
    for (const at of [deadline - HOUR, deadline + HOUR]) {
      installation.now = at;
      installation.use('A');
      await installation.settle();
    }
  },
  'its last day passes': async (installation) => {
    const { subject } = installation;
    if (subject.kind === 'RelayToken')
      await installation.declare({ ...subject.spec, expiresAt: new Date(LAST_DAY).toISOString() });
    await installation.settle();
    Object.assign(installation, { dead: true, excused: true });
    await until(installation, LAST_DAY + HOUR);
  },
  killed: kill,
  'killed, and that taken back': async (installation) => {
    await kill(installation);
    await installation.declare(installation.subject.spec);
    // A token that was revoked stays so, if there was anybody to do it; the keys of an app, and a certificate, are let in again.
    const unheard = installation.databaseUnreachable || installation.unattended;
    if (installation.subject.kind !== 'RelayToken' || unheard) installation.killed = [];
    installation.dead = false;
    await installation.settle();
    installation.excused = false;
  },
  deleted: async (installation) => {
    await installation.withdraw();
    await end(installation);
  },
  'deleted, and applied again': async (installation) => {
    await installation.withdraw();
    await end(installation);
    await installation.declare(installation.subject.spec);
    // It is the same certificate that comes again.
    if (installation.subject.kind === 'ClientCertificate') installation.killed = [];
    installation.dead = false;
    await installation.settle();
  },
  'the clock jumps a month ahead': async (installation) => until(installation, installation.now + 30 * DAY),
  'the clock jumps a month, and back': async (installation) => {
    const { now } = installation;
    await until(installation, now + 30 * DAY);
    installation.now = now + HOUR;
    await installation.resync();
  },
  // Timers run on: the operator looks all the same.
  'the clock falls back by a day': async (installation) => {
    installation.now -= DAY;
    await installation.resync();
  },
} satisfies Readonly<Record<string, Event>>;

export type EventName = keyof typeof events;
