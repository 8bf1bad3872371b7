import { CONDITION, REASON, type Reason } from '#crds/conditions.ts';
import { defaultedToken, type DefaultedToken, type RelayTokenStatus } from '#crds/relay-token.ts';
import { NOTHING_REGISTERED } from '../directory/enforcement.ts';
import {
  blocked,
  conditionsOf,
  credentialsReady,
  findCondition,
  isLatched,
  notReady,
  ready,
  reportedRevision,
  reportEnforced,
  waiting,
  warning,
  type Caution,
  type DesiredCondition,
} from '../reconcile/conditions.ts';
import { timestamp } from '../engine/conditions.ts';
import type { TokenRow } from '../registry/token-registry.ts';
import { oldInUse, type OldCredentialCaution } from '../rotation/old-credential.ts';
import type { RetirementOutlook } from './retirement.ts';
import { dueOf } from './rotation.ts';
import { newest, replaced } from './rows.ts';
import type { TokenSnapshot } from './snapshot.ts';
import type { TokenPlan } from './step.ts';

type Settled = {
  /** Absent when the token's time was over before it was ever minted. */
  readonly active: TokenRow | undefined;
  readonly retirements: Pick<RetirementOutlook, 'cautions' | 'wakes'>;
};

/** Everything is as declared, or waits for the relays. */
export function settledPlan(snapshot: TokenSnapshot, spec: DefaultedToken, settled: Settled): TokenPlan {
  const { now } = snapshot;
  const { active, retirements } = settled;
  const hardEnd = spec.expiresAt === undefined ? Number.POSITIVE_INFINITY : Date.parse(spec.expiresAt);
  const conditions =
    hardEnd <= now
      ? [
          notReady(REASON.Expired, `expired at ${spec.expiresAt}: set a later spec.expiresAt`),
          credentialsReady('False', REASON.Expired, `expired at ${spec.expiresAt}`),
        ]
      : [
          ready(REASON.Reconciled, `token ${active?.id ?? ''} is published`),
          credentialsReady('True', REASON.Issued, `Secret ${spec.secretName} holds the token`),
        ];
  const due = active === undefined || hardEnd <= now ? Number.POSITIVE_INFINITY : dueOf(active, spec.rotation, now);
  const plan = published(snapshot, {
    fields: {
      ...(active === undefined ? {} : activeFields(snapshot.rows, active, due)),
      secretName: spec.secretName,
      ...(spec.expiresAt === undefined ? {} : { expiresAt: spec.expiresAt }),
    },
    conditions,
    cautions: retirements.cautions,
    wakeIn: [...retirements.wakes, hardEnd, due].flatMap((at) => (Number.isFinite(at) && at > now ? [at - now] : [])),
  });
  return { ...plan, ...oldInUse(retirements.cautions) };
}

function activeFields(rows: readonly TokenRow[], active: TokenRow, due: number): Partial<RelayTokenStatus> {
  const { activatedAt, createdAt } = active;
  const handled = active.rotateRequest ?? undefined;
  const rotation = {
    ...(activatedAt === null || activatedAt === createdAt ? {} : { last: timestamp(activatedAt) }),
    ...(Number.isFinite(due) ? { next: timestamp(due) } : {}),
  };
  return {
    tokenId: active.id,
    appId: active.appId,
    credentials: rows.flatMap(credentialOf).slice(0, MOST_CREDENTIALS),
    ...(Object.keys(rotation).length === 0 ? {} : { rotation }),
    ...(handled === undefined ? {} : { handledRequests: { rotate: handled } }),
  };
}

const MOST_CREDENTIALS = 16;

/** What exists. One that was put an end to is said nothing of. */
function credentialOf(row: TokenRow): NonNullable<RelayTokenStatus['credentials']> {
  const state = replaced([row]).length > 0 ? 'Retiring' : row.state;
  if (state !== 'Pending' && state !== 'Active' && state !== 'Retiring') return [];
  const ends = row.expiresAt === null ? {} : { expiresAt: timestamp(row.expiresAt) };
  return [{ id: row.id, state, createdAt: timestamp(row.createdAt), ...ends }];
}

export function revokedPlan(snapshot: TokenSnapshot): TokenPlan {
  const { secretName } = defaultedToken(snapshot.object.metadata.name, snapshot.object.spec);
  const appId = newest(snapshot.rows)?.appId;
  return published(snapshot, {
    fields: { secretName, ...(appId === undefined ? {} : { appId }) },
    conditions: [
      notReady(REASON.Revoked, 'revoked by spec.revoked: no valid token exists'),
      credentialsReady('False', REASON.Revoked, 'revoked by spec.revoked'),
    ],
  });
}

/** The app comes by itself, and its arrival reconciles this token. */
export function waitingPlan(snapshot: TokenSnapshot, reason: Reason, message: string): TokenPlan {
  return published(snapshot, { fields: kept(snapshot), conditions: waiting(reason, message) });
}

/** A person must change something. Looked at again now and then: a foreign Secret carries no label of ours, so nothing tells when it goes. */
export function blockedPlan(
  snapshot: TokenSnapshot,
  message: string,
  cautions: readonly OldCredentialCaution[],
): TokenPlan {
  const conditions = blocked(REASON.Conflict, message);
  const plan = published(snapshot, { fields: kept(snapshot), conditions, cautions, wakeIn: [30_000] });
  return { ...plan, ...oldInUse(cautions) };
}

/** What is published stays in force, and the status goes on to say what the relays make of it. */
function kept({ object: { status, metadata } }: TokenSnapshot): Partial<RelayTokenStatus> {
  return { ...status, observedGeneration: metadata.generation };
}

type Published = {
  readonly fields: Partial<RelayTokenStatus>;
  readonly conditions: readonly DesiredCondition[];
  readonly cautions?: readonly Caution[];
  /** In ms. */
  readonly wakeIn?: readonly number[];
};

function published(snapshot: TokenSnapshot, { fields, conditions, cautions = [], wakeIn = [] }: Published): TokenPlan {
  const { object, now } = snapshot;
  const { generation } = object.metadata;
  const former = object.status?.conditions ?? [];
  const last = newest(snapshot.rows);
  const latched = isLatched(former, object.status?.revision, last?.revision, generation);
  const report = reportEnforced(snapshot.enforced, latched, findCondition(former, CONDITION.Enforced));
  const status: RelayTokenStatus = {
    observedGeneration: generation,
    ...fields,
    ...reportedRevision(report, object.status, last),
    conditions: conditionsOf({ former, now, generation }, [
      ...conditions,
      warning([...fullAccess(object), ...cautions]),
      report.condition,
    ]),
  };
  const wakes = [...wakeIn, report.askAgainIn].filter(Number.isFinite);
  return {
    steps: [],
    status,
    ...(report.pending ? { pending: true } : {}),
    ...(report.imminent ? { await: last?.revision ?? NOTHING_REGISTERED.revision } : {}),
    outcome: wakes.length > 0 ? { kind: 'requeueAfter', ms: Math.min(...wakes) } : { kind: 'done' },
  };
}

/** Compatible, and worth a word: whoever has the token may do everything with the app. */
function fullAccess({ metadata, spec }: TokenSnapshot['object']): readonly Caution[] {
  const { revoked, scopes } = defaultedToken(metadata.name, spec);
  if (revoked || scopes !== null) return [];
  return [
    {
      reason: REASON.FullAccess,
      message: 'without spec.scopes the token may do everything: list what it needs, such as [events:publish]',
    },
  ];
}
