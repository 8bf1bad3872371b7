import { CONDITION, REASON, type Reason } from '#crds/conditions.ts';
import { defaultedToken, type DefaultedToken, type RelayTokenStatus } from '#crds/relay-token.ts';
import {
  conditionsOf,
  credentialsReady,
  findCondition,
  isLatched,
  notReady,
  ready,
  reconciling,
  reportEnforced,
  stalled,
  warning,
  type DesiredCondition,
} from '../reconcile/conditions.ts';
import type { TokenRow } from '../registry/token-registry.ts';
import { newest } from './rows.ts';
import type { TokenSnapshot } from './snapshot.ts';
import type { TokenPlan } from './step.ts';

/** Everything is as declared; `active` is absent when the token's time was over before it was ever minted. */
export function settledPlan(snapshot: TokenSnapshot, spec: DefaultedToken, active: TokenRow | undefined): TokenPlan {
  const { now } = snapshot;
  const expired = spec.expiresAt !== undefined && Date.parse(spec.expiresAt) <= now;
  const conditions = expired
    ? [
        notReady(REASON.Expired, `expired at ${spec.expiresAt}: set a later spec.expiresAt`),
        credentialsReady('False', REASON.Expired, `expired at ${spec.expiresAt}`),
      ]
    : [
        ready(REASON.Reconciled, `token ${active?.id ?? ''} is published`),
        credentialsReady('True', REASON.Issued, `Secret ${spec.secretName} holds the token`),
      ];
  const ends = snapshot.rows
    .filter((row) => row.state !== 'Revoked')
    .flatMap((row) => (row.expiresAt !== null && row.expiresAt > now ? [row.expiresAt - now] : []));
  return published(
    snapshot,
    {
      ...(active === undefined ? {} : { tokenId: active.id, appId: active.appId }),
      secretName: spec.secretName,
      ...(spec.expiresAt === undefined ? {} : { expiresAt: spec.expiresAt }),
    },
    conditions,
    ends,
  );
}

export function revokedPlan(snapshot: TokenSnapshot): TokenPlan {
  const { secretName } = defaultedToken(snapshot.object.metadata.name, snapshot.object.spec);
  const appId = newest(snapshot.rows)?.appId;
  return published(snapshot, { secretName, ...(appId === undefined ? {} : { appId }) }, [
    notReady(REASON.Revoked, 'revoked by spec.revoked: no valid token exists'),
    credentialsReady('False', REASON.Revoked, 'revoked by spec.revoked'),
  ]);
}

/** The app comes by itself, and its arrival reconciles this token. */
export function waitingPlan(snapshot: TokenSnapshot, reason: Reason, message: string): TokenPlan {
  return unpublished(
    snapshot,
    [notReady(reason, message), credentialsReady('False', reason, message), reconciling(reason, message)],
    {
      kind: 'done',
    },
  );
}

/** A person must change something. Looked at again now and then: a foreign Secret carries no label of ours, so nothing tells when it goes. */
export function blockedPlan(snapshot: TokenSnapshot, message: string): TokenPlan {
  const reason = REASON.Conflict;
  return unpublished(
    snapshot,
    [notReady(reason, message), credentialsReady('False', reason, message), stalled(reason, message)],
    {
      kind: 'requeueAfter',
      ms: 30_000,
    },
  );
}

function published(
  snapshot: TokenSnapshot,
  fields: Partial<RelayTokenStatus>,
  conditions: readonly DesiredCondition[],
  wakeIn: readonly number[] = [],
): TokenPlan {
  const { object, now } = snapshot;
  const { generation } = object.metadata;
  const former = object.status?.conditions ?? [];
  const last = newest(snapshot.rows);
  const latched = isLatched(former, object.status?.revision, last?.revision ?? 0, generation);
  const report = reportEnforced(snapshot.enforced, latched, findCondition(former, CONDITION.Enforced));
  const status: RelayTokenStatus = {
    observedGeneration: generation,
    ...fields,
    ...revisionOf(report.former ? object.status?.revision : last?.revision),
    conditions: conditionsOf({ former, now, generation }, [...conditions, fullAccess(object), report.condition]),
  };
  const wakes = [...wakeIn, ...(report.pending ? [2_000] : [])];
  return {
    steps: [],
    status,
    ...(report.pending ? { pending: true } : {}),
    ...(report.imminent && last !== undefined ? { await: last.revision } : {}),
    outcome: wakes.length > 0 ? { kind: 'requeueAfter', ms: Math.min(...wakes) } : { kind: 'done' },
  };
}

/** The revision that `Enforced` speaks of. */
function revisionOf(revision: number | undefined): Pick<RelayTokenStatus, 'revision'> {
  return revision === undefined ? {} : { revision };
}

function unpublished(
  snapshot: TokenSnapshot,
  conditions: readonly DesiredCondition[],
  outcome: TokenPlan['outcome'],
): TokenPlan {
  const { object, now } = snapshot;
  const { generation } = object.metadata;
  const former = object.status?.conditions ?? [];
  return {
    steps: [],
    status: {
      ...object.status,
      observedGeneration: generation,
      conditions: conditionsOf({ former, now, generation }, [
        ...conditions,
        fullAccess(object),
        findCondition(former, CONDITION.Enforced),
      ]),
    },
    outcome,
  };
}

/** Compatible, and worth a word: whoever has the token may do everything with the app. */
function fullAccess({ metadata, spec }: TokenSnapshot['object']): DesiredCondition | undefined {
  const { revoked, scopes } = defaultedToken(metadata.name, spec);
  if (revoked || scopes !== null) return undefined;
  return warning([
    {
      reason: REASON.FullAccess,
      message: 'without spec.scopes the token may do everything: list what it needs, such as [events:publish]',
    },
  ]);
}
