import type { RelayKind } from '#crds/relay-object.ts';
import type { ClusterAccess } from './cluster-access.ts';
import { eventually } from './eventually.ts';

export type Kind = RelayKind;
export type Condition = {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration?: number;
};
type Metadata = {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
};
export type Declared = {
  readonly kind: string;
  readonly metadata: Metadata;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: {
    readonly appId?: string;
    readonly tokenId?: string;
    readonly fingerprints?: readonly { readonly sha256: string; readonly state: string; readonly notAfter?: string }[];
    readonly revision?: number;
    readonly conditions?: readonly Condition[];
  };
};
/** `data` decoded. */
export type HeldSecret = {
  readonly metadata: Metadata;
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
};
export type Answer = { readonly status: number; readonly code: string | undefined; readonly body: string };
type Credentials = { readonly token: string } | { readonly key: string; readonly secret: string };

const MANIFEST = { apiVersion: 'relay-operator.dev/v1alpha1' };
/** kubectl is a process of its own each time: no need to start forty a second. */
const POLL = { timeout: 90_000, interval: 200 };

/** A namespace, as somebody with kubectl and curl sees it. */
export class Tenant {
  readonly #cluster: ClusterAccess;
  readonly namespace: string;

  constructor(cluster: ClusterAccess, namespace: string) {
    this.#cluster = cluster;
    this.namespace = namespace;
  }

  app(name: string, spec: object = {}): object {
    return { ...MANIFEST, kind: 'RelayApp', metadata: { name, namespace: this.namespace }, spec };
  }

  token(name: string, app: string, spec: object = {}): object {
    return {
      ...MANIFEST,
      kind: 'RelayToken',
      metadata: { name, namespace: this.namespace },
      spec: { appRef: { name: app }, ...spec },
    };
  }

  certificate(name: string, app: string, spec: object): object {
    return {
      ...MANIFEST,
      kind: 'ClientCertificate',
      metadata: { name, namespace: this.namespace },
      spec: { appRef: { name: app }, ...spec },
    };
  }

  apply(...objects: readonly object[]): Promise<void> {
    return this.#cluster.apply(objects);
  }

  /** kubectl in this namespace; rejects with its words. */
  kubectl(...args: readonly string[]): Promise<string> {
    return this.#cluster.kubectlOk(['-n', this.namespace, ...args]);
  }

  /** A merge patch, as `kubectl edit` sends it. */
  async patch(what: string, patch: object): Promise<void> {
    await this.kubectl('patch', what, '--type=merge', '-p', JSON.stringify(patch));
  }

  async get(kind: Kind, name: string): Promise<Declared | undefined> {
    const text = await this.kubectl('get', kind.toLowerCase(), name, '--ignore-not-found', '-o', 'json');
    return text.trim() === '' ? undefined : (JSON.parse(text) as Declared);
  }

  async list(what: string): Promise<readonly Declared[]> {
    return (JSON.parse(await this.kubectl('get', what, '-o', 'json')) as { items: Declared[] }).items;
  }

  async secret(name: string): Promise<HeldSecret | undefined> {
    const text = await this.kubectl('get', 'secret', name, '--ignore-not-found', '-o', 'json');
    if (text.trim() === '') return undefined;
    return decoded(JSON.parse(text) as EncodedSecret);
  }

  /** Every Secret of the namespace. */
  async secrets(): Promise<readonly HeldSecret[]> {
    const { items } = JSON.parse(await this.kubectl('get', 'secret', '-o', 'json')) as { items: EncodedSecret[] };
    return items.map(decoded);
  }

  /** One value of a Secret that must be there. */
  async value(secret: string, key: string): Promise<string> {
    const value = (await this.secret(secret))?.data[key];
    if (value === undefined) throw new Error(`Secret ${secret} has no ${key}`);
    return value;
  }

  /** Waits until the condition of this object, as of its present generation, has this status or reason. */
  condition(kind: Kind, name: string, type: string, wanted: { status?: string; reason?: string }): Promise<Condition> {
    return eventually(
      async () => {
        const object = await this.get(kind, name);
        const found = object?.status?.conditions?.find((condition) => condition.type === type);
        const fits =
          found !== undefined &&
          found.observedGeneration === object?.metadata.generation &&
          (wanted.status === undefined || found.status === wanted.status) &&
          (wanted.reason === undefined || found.reason === wanted.reason);
        if (!fits) throw new Error(`${kind} ${name}: ${type} is ${JSON.stringify(found)}`);
        return found;
      },
      { ...POLL, describe: `${kind} ${name} has ${type} ${JSON.stringify(wanted)}` },
    );
  }

  /** Waits until every object of these kinds is Ready and Enforced as of its present generation. */
  async settled(count: number, what = 'relayapp,relaytoken', timeout = 90_000): Promise<readonly Declared[]> {
    return eventually(
      async () => {
        const items = await this.list(what);
        const waiting = items.filter((item) => !isSettled(item)).map((item) => `${item.kind}/${item.metadata.name}`);
        if (items.length !== count || waiting.length > 0)
          throw new Error(`${items.length} objects, not settled: ${waiting.join(', ')}`);
        return items;
      },
      { timeout, interval: 300, describe: `${count} objects of ${what} are settled` },
    );
  }

  /** Waits until `look` finds something. */
  until<T>(describe: string, look: () => Promise<T>): Promise<Exclude<T, false | null | undefined>> {
    return eventually(look, { ...POLL, describe });
  }
}

type EncodedSecret = Omit<HeldSecret, 'data'> & Partial<HeldSecret>;

function decoded({ data = {}, ...rest }: EncodedSecret): HeldSecret {
  const values = Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]);
  return { ...rest, data: Object.fromEntries(values) as Record<string, string> };
}

export function isSettled({ metadata, status }: Declared): boolean {
  return ['Ready', 'Enforced'].every((type) =>
    status?.conditions?.some(
      (condition) =>
        condition.type === type && condition.status === 'True' && condition.observedGeneration === metadata.generation,
    ),
  );
}

/** Publishes one event at this relay, as curl would. */
export async function publish(relayUrl: string, appId: string, credentials: Credentials): Promise<Answer> {
  const headers: Record<string, string> =
    'token' in credentials
      ? { authorization: `Bearer ${credentials.token}` }
      : { 'x-relay-key': credentials.key, 'x-relay-secret': credentials.secret };
  const response = await fetch(`${relayUrl}/api/v1/apps/${appId}/events`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'created', channel: 'orders', data: '{}' }),
  });
  const body = await response.text();
  const { error } = JSON.parse(body.startsWith('{') ? body : '{}') as { error?: { code?: string } };
  return { status: response.status, code: error?.code, body };
}
