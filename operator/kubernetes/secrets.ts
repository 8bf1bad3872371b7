import type { V1Secret } from '@kubernetes/client-node';
import { API_VERSION, GROUP } from '#crds/api-group.ts';
import { KINDS } from '#crds/kinds.ts';
import { TransientError } from '../engine/errors.ts';
import type { EngineObject } from '../engine/object.ts';
import type { Store } from '../engine/store.ts';
import { referenced, satisfies } from '../reconcile/secret-state.ts';
import { keyOf, type ObjectRef } from '../world/object-ref.ts';
import type { DesiredSecret, Owner, Secrets, StoredSecret } from '../world/secrets.ts';
import type { KubernetesClient } from './client.ts';
import { KubernetesError } from './kubernetes-error.ts';
import { SECRETS } from './resource-type.ts';

/** A Secret as the API server sends it. */
export type KubernetesSecret = EngineObject &
  Pick<V1Secret, 'data' | 'type'> & { readonly metadata: NonNullable<V1Secret['metadata']> };

/** The Secrets that carry our label, by the UID of the object that owns them. */
export type SecretStore = Store<KubernetesSecret, 'owner'>;

export function ownerUids(secret: KubernetesSecret): readonly string[] {
  const owner = ownerOf(secret);
  return owner === undefined ? [] : [owner.uid];
}

/** The object of ours that owns it. */
export function ownerOf(secret: KubernetesSecret): Owner | undefined {
  for (const { apiVersion, kind, name, uid } of secret.metadata.ownerReferences ?? []) {
    const known = KINDS.find((definition) => definition.kind === kind);
    if (apiVersion.startsWith(`${GROUP}/`) && known !== undefined) return { kind: known.kind, name, uid };
  }
  return undefined;
}

/** `Secret "x" is invalid: type: Invalid value: …`, alone or in a list; not any text that has the word in it, such as the Secret's name. */
const TYPE_REFUSED = /(is invalid: |[[ ])type: /;

/** Those that objects may refer to: the Secrets that carry the label for that. */
export type ReferableStore = Store<KubernetesSecret>;

export function kubernetesSecrets(client: KubernetesClient, store: SecretStore, referable: ReferableStore): Secrets {
  const readLive = async ({ namespace, name }: ObjectRef): Promise<StoredSecret | undefined> => {
    const secret = await client.get<KubernetesSecret>(SECRETS, { namespace, name });
    return secret === undefined ? undefined : stored(secret);
  };
  // An apply by the same field manager would take a Secret of ours from its owner: the cache says who owns it, or who is just writing it.
  const writing = new Map<string, string>();
  const reserve = (key: string, { name, owner }: DesiredSecret): Disposable => {
    const held = store.get(key);
    const uid = writing.get(key) ?? (held === undefined ? undefined : (ownerOf(held)?.uid ?? ''));
    if (uid !== undefined && uid !== owner.uid) {
      throw new TransientError('conflict', `Secret ${name} belongs to somebody else`, { quiet: true });
    }
    writing.set(key, owner.uid);
    return { [Symbol.dispose]: () => void writing.delete(key) };
  };
  const write = async (desired: DesiredSecret, send: () => Promise<KubernetesSecret>): Promise<void> => {
    using _reserved = reserve(keyOf(desired), desired);
    const answer = await send().catch((error: unknown) => {
      throw withoutValues(error, desired);
    });
    store.upsert(answer);
    if (!satisfies(stored(answer), desired)) {
      throw new TransientError(
        'FieldHeld',
        `Secret ${desired.name}: another field manager keeps changing what this operator writes`,
      );
    }
  };
  return {
    ownedBy: (uid) => store.byIndex('owner', uid).map(stored),

    read: async (ref) => {
      const cached = store.get(keyOf(ref));
      return cached === undefined ? readLive(ref) : stored(cached);
    },

    readLive,

    readReferenced: async (ref) => {
      // Found in neither cache it may be absent, or somebody's without the label, or labelled a moment ago.
      const secret = referable.get(keyOf(ref)) ?? (await client.get<KubernetesSecret>(SECRETS, ref));
      return secret === undefined ? { kind: 'absent' } : referenced(stored(secret));
    },

    apply: (desired) => write(desired, () => applied(client, manifest(desired))),

    // Not an apply: the API server has none that only creates.
    create: (desired) => write(desired, () => client.create<KubernetesSecret>(SECRETS, manifest(desired))),

    replace: ({ uid, resourceVersion }, desired) =>
      write(desired, () => applied(client, manifest(desired, { uid, resourceVersion }))),

    delete: async ({ namespace, name, uid }) => {
      await client.delete(SECRETS, { namespace, name }, { uid });
      const held = store.get(keyOf({ namespace, name }));
      if (held?.metadata.uid === uid) store.remove(held);
    },
  };
}

async function applied(client: KubernetesClient, secret: Manifest): Promise<KubernetesSecret> {
  try {
    return await client.apply<KubernetesSecret>(SECRETS, secret);
  } catch (error) {
    // `type` is immutable: somebody else's Secret of another type took the name between look and write, and was not touched.
    if (error instanceof KubernetesError && error.status === 422 && TYPE_REFUSED.test(error.message)) {
      throw new TransientError('conflict', `Secret ${secret.metadata.name} belongs to somebody else`, {
        cause: error,
        quiet: true,
      });
    }
    throw error;
  }
}

/** Shorter ones are no secrets: a port, a scheme. */
const SHORTEST_SECRET = 8;

/**
 * What the API server says goes into the log, and a policy or a webhook may quote in it what was to be written. Of what may be secret nothing
 * is left, in plain and as it was sent, in base64.
 */
function withoutValues(error: unknown, { data }: DesiredSecret): unknown {
  if (!(error instanceof KubernetesError)) return error;
  const message = Object.values(data)
    .filter((value) => value.length >= SHORTEST_SECRET)
    .toSorted((a, b) => b.length - a.length)
    .flatMap((value) => [value, Buffer.from(value).toString('base64')])
    .reduce((text, value) => text.replaceAll(value, '[redacted]'), error.message);
  if (message === error.message) return error;
  const { status, reason, retryAfterMs, aboutObject } = error;
  return new KubernetesError(status, reason, message, { retryAfterMs, aboutObject });
}

type Manifest = ReturnType<typeof manifest>;

/** @param precondition the very object, in the very state, that is to be changed */
function manifest(
  { namespace, name, type, labels, annotations, owner, data }: DesiredSecret,
  precondition: { readonly uid?: string; readonly resourceVersion?: string } = {},
) {
  return {
    metadata: {
      namespace,
      name,
      ...precondition,
      labels,
      annotations,
      ownerReferences: [{ apiVersion: API_VERSION, ...owner, controller: true, blockOwnerDeletion: true }],
    },
    type,
    data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
  };
}

function stored(secret: KubernetesSecret): StoredSecret {
  const { namespace = '', name, uid, resourceVersion = '', labels = {}, annotations = {} } = secret.metadata;
  return {
    namespace,
    name: name ?? '',
    uid: uid ?? '',
    resourceVersion,
    type: secret.type ?? 'Opaque',
    labels,
    annotations,
    owner: ownerOf(secret),
    data: Object.fromEntries(
      Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]),
    ),
  };
}
