import { TOKEN_SECRET_TYPE } from '#crds/api-group.ts';
import { tokenEntryKey } from '#crds/directory/entry-body.ts';
import { defaultedToken, type DefaultedToken, type RelayToken } from '#crds/relay-token.ts';
import { evaluateEnforced, evaluateUnregistered } from '../directory/enforcement.ts';
import type { Enforcement } from '../directory/enforcement-watch.ts';
import { occasionKey } from '../notifications/occasion.ts';
import { lookUpApp, notifyOf, type AppSources } from '../reconcile/app-reference.ts';
import { isLatched } from '../reconcile/conditions.ts';
import { secretState } from '../reconcile/secret-state.ts';
import { usesOf } from '../reconcile/uses-of.ts';
import type { CredentialUses } from '../registry/credential-use.ts';
import type { TokenRegistry, TokenRow } from '../registry/token-registry.ts';
import type { ObjectRef } from '../world/object-ref.ts';
import type { Objects } from '../world/objects.ts';
import type { Secrets } from '../world/secrets.ts';
import type { AnnouncementRegistry } from '../registry/announcement-registry.ts';
import { stagedName } from '../rotation/staging.ts';
import { noticesOf } from './announcements.ts';
import { isRotationDue } from './rotation.ts';
import { live, newest, replaced } from './rows.ts';
import type { TokenSnapshot } from './snapshot.ts';

export type TokenSources = AppSources & {
  readonly tokens: Objects<RelayToken>;
  readonly secrets: Secrets;
  readonly registry: Pick<TokenRegistry, 'findTokens'> & Pick<AnnouncementRegistry, 'announced'>;
  readonly enforcement: Enforcement;
  readonly uses: CredentialUses;
  readonly relayUrl: string;
  /** Epoch ms. */
  readonly now: () => number;
};

/** Gathers everything that the plan of one token depends on; undefined when the object is gone. */
export async function observeToken(sources: TokenSources, ref: ObjectRef): Promise<TokenSnapshot | undefined> {
  const object = sources.tokens.get(ref);
  if (object === undefined) return undefined;
  const { uid } = object.metadata;
  const spec = defaultedToken(ref.name, object.spec);
  const deleting = object.metadata.deletionTimestamp !== undefined;
  // Before what is registered: of a Secret that lags, what is done to it is made sure of once more; of a row that lags nobody would notice.
  const secret = deleting ? undefined : await sources.secrets.read({ ...ref, name: spec.secretName });
  const owned = sources.secrets.ownedBy(uid);
  // Such an object speaks for what objects of its name before it revoked, too: a relay may not have heard of that yet.
  const rows = await sources.registry.findTokens(ref, letsNobodyIn(spec, sources.now()) ? undefined : uid);
  const app = deleting ? ({ kind: 'absent' } as const) : await lookUpApp(sources, { ...ref, name: spec.appName });
  const now = sources.now();
  const uses = await usesOf(sources.uses, using({ rows, app, now, going: deleting || spec.revoked }, spec));
  const notify = notifyOf(sources, { ...ref, name: spec.appName });
  const active = app.kind === 'registered' && !spec.revoked ? rows.find(({ state }) => state === 'Active') : undefined;
  const { due } = active === undefined ? { due: [] } : noticesOf({ object, now, notify, uses }, spec, active);
  return {
    now,
    object,
    app,
    rows,
    secret: secretState(secret, uid, TOKEN_SECRET_TYPE),
    strays: owned.filter(({ name }) => deleting || name !== spec.secretName),
    stagingTaken: active === undefined ? undefined : await stagingTakenOf(sources, object, spec, { rows, active, now }),
    uses,
    notify,
    announced: [...(await sources.registry.announced(due.map(({ occasion }) => occasionKey(occasion))))],
    usesKnownUntil: sources.uses.knownUntil(),
    relayUrl: sources.relayUrl,
    enforced: enforcedOf(sources, object, rows, now),
  };
}

async function stagingTakenOf(
  { secrets }: TokenSources,
  object: RelayToken,
  spec: DefaultedToken,
  { rows, active, now }: Pick<TokenSnapshot, 'rows' | 'now'> & { readonly active: TokenRow },
): Promise<string | undefined> {
  const wanted = isRotationDue(object, active, spec.rotation, now) && !rows.some(({ state }) => state === 'Pending');
  if (!wanted) return undefined;
  const { namespace, uid } = object.metadata;
  const secret = await secrets.read({ namespace, name: stagedName(spec.secretName) });
  const state = secretState(secret, uid, TOKEN_SECRET_TYPE);
  return state.kind === 'foreign' ? state.why : undefined;
}

/** Whatever is registered: what is declared is no token. */
function letsNobodyIn({ revoked, expiresAt }: DefaultedToken, now: number): boolean {
  return revoked || (expiresAt !== undefined && Date.parse(expiresAt) <= now);
}

/** The tokens of which it matters who uses them: they were replaced, or go now. */
function using(
  { rows, app, now, going }: Pick<TokenSnapshot, 'rows' | 'app' | 'now'> & { readonly going: boolean },
  { expiresAt }: DefaultedToken,
): readonly TokenRow[] {
  const over = expiresAt !== undefined && Date.parse(expiresAt) <= now;
  const active = rows.filter(({ state }) => state === 'Active');
  const ending = active.filter(({ appId }) => going || over || (app.kind === 'registered' && app.appId !== appId));
  return [...replaced(rows), ...ending];
}

function enforcedOf(
  sources: TokenSources,
  object: RelayToken,
  rows: readonly TokenRow[],
  now: number,
): TokenSnapshot['enforced'] {
  const last = newest(rows);
  const view = sources.enforcement.view();
  const latched = isLatched(
    object.status?.conditions,
    object.status?.revision,
    last?.revision,
    object.metadata.generation,
  );
  if (last === undefined) {
    if (!letsNobodyIn(defaultedToken(object.metadata.name, object.spec), now)) return undefined;
    return evaluateUnregistered({ view, latched });
  }
  const entryKeys = live(rows).map((row) => tokenEntryKey(row.sha256));
  return evaluateEnforced({ view, revision: last.revision, entryKeys, since: now - last.changedAt, latched });
}
