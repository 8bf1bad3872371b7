import { ROTATE_ANNOTATION } from '#crds/api-group.ts';
import { SECOND, type Installation, type Moment } from './installation.ts';

/** What happened before: A was handed out, then replaced by B, and a day passed. */
export type History = {
  /** The app is there, if it is another object; this one is not. */
  readonly before: Moment;
  /** A is handed out. */
  readonly first: Moment;
  /** B is handed out, and A works on. Of a certificate, which is not replaced, there is A only. */
  readonly base: Moment;
  readonly replacedAt: number;
  readonly presentSince: number;
};

type Act = (installation: Installation, history: History) => Promise<void> | void;

/** A row of the table: what is otherwise than at the end of the history. */
export type State = {
  /** Puts the stores into it. */
  readonly enter: Act;
  /** When: before the event (which then finds it), or after everything that the event led to. */
  readonly when: 'before the event' | 'after the event';
  /** Of a state that lasts: what ends it. */
  readonly leave?: Act;
};

const found = (enter: Act): State => ({ enter, when: 'before the event' });
const lasting = (enter: Act, leave: Act): State => ({ ...found(enter), leave });
const afterwards = (enter: Act): State => ({ enter, when: 'after the event' });

const rotate = (installation: Installation): Promise<void> =>
  installation.declare(installation.subject.spec, { [ROTATE_ANNOTATION]: 'by the state' });

/** The operator is killed at that call of a rotation, and starts again when the event has come. */
async function rotateUntil(installation: Installation, killAt: string): Promise<void> {
  await rotate(installation);
  installation.killAt = killAt;
  installation.unattended = true;
  await installation.settle();
  installation.unattended = false;
}

/** A value of that kind which nobody has minted. */
const edited = (values: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(values).map(([key, value]) => [
      key,
      /TOKEN$|SECRET$/.test(key) ? `${value.slice(0, -1)}${value.endsWith('0') ? '1' : '0'}` : value,
    ]),
  );

async function restorePostgres(installation: Installation, moment: Moment): Promise<void> {
  installation.excused = true;
  await installation.restorePostgres(moment);
}

async function restoreKubernetes(installation: Installation, moment: Moment): Promise<void> {
  installation.excused = true;
  installation.tampered = true;
  await installation.restoreKubernetes(moment);
}

/** It carries no label of the operator's, so that nothing tells when it goes: what it was in the way of is looked at every 30 s. */
async function removeForeignSecret(installation: Installation, suffix: string): Promise<void> {
  await installation.deleteSecret(suffix);
  installation.now += 30 * SECOND;
}

export const states = {
  'everything as published': found(() => {}),

  'Kubernetes: just applied': found(async (installation, { before }) => {
    await installation.goTo(before);
    await installation.declare(installation.subject.spec);
  }),
  'Kubernetes: C waits in {name}-next': found(async (installation) => {
    installation.set('lagging', 0);
    await rotate(installation);
    await installation.settle();
    await installation.operator.stop();
    installation.set('well', 0);
  }),
  'Kubernetes: C in the Secret, not noted': found((installation) => rotateUntil(installation, 'after secrets.replace')),
  'Kubernetes: Secret deleted': found((installation) => installation.deleteSecret()),
  'Kubernetes: Secret edited': found(async (installation) => {
    await installation.writeSecret(edited(installation.readable() ?? {}));
  }),
  'Kubernetes: Secret restored, with A': found(async (installation) => {
    await installation.writeSecret(installation.credentials[0]?.values ?? {});
  }),
  'Kubernetes: the Secret is not ours': lasting(
    (installation) => installation.writeForeignSecret(),
    (installation) => removeForeignSecret(installation, ''),
  ),
  'Kubernetes: {name}-next is not ours': lasting(
    (installation) => installation.writeForeignSecret('-next'),
    (installation) => removeForeignSecret(installation, '-next'),
  ),
  'Kubernetes: deleting, one relay lags': lasting(
    async (installation) => {
      installation.set('lagging', 0);
      await installation.withdraw();
      installation.kill();
      await installation.settle();
    },
    (installation) => installation.set('well', 0),
  ),
  'Kubernetes: cluster rebuilt': found(async (installation) => {
    installation.excused = true;
    await installation.rebuildCluster();
    await installation.operator.start();
  }),
  'Kubernetes: restored, with A': found((installation, { first }) => restoreKubernetes(installation, first)),
  'Kubernetes: restored after the event': afterwards(async (installation, { base }) => {
    // What the object says now is that its keys, or its certificate, are good. A token that was revoked stays so.
    if (installation.killed.length > 0) installation.dead = false;
    if (installation.subject.kind !== 'RelayToken') installation.killed = [];
    await restoreKubernetes(installation, base);
  }),
  'Kubernetes: no operator runs': lasting(
    async (installation) => {
      installation.unattended = true;
      await installation.operator.stop();
    },
    (installation) => {
      installation.unattended = false;
    },
  ),

  'PostgreSQL: restored, without it': found((installation, { before }) => restorePostgres(installation, before)),
  'PostgreSQL: ahead, C is in no Secret': found((installation) =>
    rotateUntil(
      installation,
      installation.subject.kind === 'RelayApp' ? 'after registry.stageKey' : 'after registry.mintToken',
    ),
  ),
  'PostgreSQL: restored, with A': found((installation, { first }) => restorePostgres(installation, first)),
  'PostgreSQL: restored after the event': afterwards(async (installation, { base }) => {
    // That it was killed is known to the object alone now, if there is one that says so still.
    if (!installation.dead || (await installation.object()) === undefined) installation.killed = [];
    await restorePostgres(installation, base);
  }),
  'PostgreSQL: unreachable': lasting(
    (installation) => {
      installation.databaseUnreachable = true;
    },
    (installation) => {
      installation.databaseUnreachable = false;
    },
  ),

  'Redis: flushed': found((installation) => installation.directory.put()),
  'Redis: behind, after the event': afterwards((installation, { base }) => installation.directory.put(base.redis)),
  'Redis: unreachable': lasting(
    (installation) => {
      installation.directory.unreachable = true;
    },
    (installation) => {
      installation.directory.unreachable = false;
    },
  ),

  'relays: one lags': lasting(
    (installation) => installation.set('lagging', 0),
    (installation) => installation.set('well', 0),
  ),
  'relays: one is cut off': lasting(
    (installation) => installation.set('silent', 0),
    (installation) => installation.set('well', 0),
  ),
  'relays: one is dead': lasting(
    (installation) => installation.set('dead', 0),
    (installation) => installation.join('relay-2'),
  ),
  'relays: none lives': lasting(
    (installation) => installation.set('dead', 0, 1),
    (installation) => installation.join('relay-2'),
  ),
} satisfies Readonly<Record<string, State>>;

export type StateName = keyof typeof states;
