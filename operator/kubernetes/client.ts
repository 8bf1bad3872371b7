import { z } from 'zod';
import { MalformedStreamError } from '../engine/errors.ts';
import type { ListPage, WatchEvent } from '../engine/lister-watcher.ts';
import type { EngineObject } from '../engine/object.ts';
import { isNotFound, KubernetesError } from './kubernetes-error.ts';
import { LineDecoder } from './line-decoder.ts';
import { apiVersionOf, pathOf } from './resource-type.ts';
import type { ResourcePath, ResourceType } from './resource-type.ts';
import { Transport } from './transport.ts';
import type { ApiRequest, TransportOptions } from './transport.ts';
import { parseWatchEvent } from './watch-event.ts';

export type KubernetesClientOptions = TransportOptions & {
  /** `metadata.managedFields[].manager` of everything we write. */
  readonly fieldManager: string;
};

export type CallOptions = { readonly signal?: AbortSignal | undefined };

export type ListQuery = CallOptions & {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly limit?: number | undefined;
  readonly continue?: string | undefined;
  /** '' or absent: the latest; '0': from the cache; a version: not older than that. */
  readonly resourceVersion?: string | undefined;
};

export type WatchQuery = CallOptions & {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly resourceVersion: string;
  readonly timeoutSeconds: number;
  readonly allowWatchBookmarks: boolean;
};

export type ApplyOptions = CallOptions & {
  /** Takes fields over from other managers; default true, as a controller must. */
  readonly force?: boolean | undefined;
  /** Default the client's. */
  readonly fieldManager?: string | undefined;
  readonly subresource?: string | undefined;
};

export type DeleteOptions = CallOptions & {
  /** Preconditions: the very object, in the very state, that was seen. */
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan' | undefined;
};

/** What is written: the fields we own, and which object they belong to. With `uid` or `resourceVersion` a precondition (409 Conflict). */
export type Writable = {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string | undefined;
    readonly uid?: string | undefined;
    readonly resourceVersion?: string | undefined;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
};

const JSON_TYPE = 'application/json';
/** JSON is YAML; this type is what makes a PATCH a server-side apply. */
const APPLY_TYPE = 'application/apply-patch+yaml';
const MERGE_TYPE = 'application/merge-patch+json';
/** etcd takes 1.5 MB; JSON with escapes can be a few times that. */
const MAX_EVENT_BYTES = 16 * 2 ** 20;

const listBody = z.object({
  metadata: z.object({ resourceVersion: z.string(), continue: z.string().optional() }),
  items: z.array(z.looseObject({ metadata: z.looseObject({ name: z.string(), uid: z.string() }) })).nullish(),
});

/**
 * The API server's REST interface over kept-alive connections. Every call has a deadline and takes a signal; every failure is a
 * TransientError (KubernetesError, ExpiredError, MalformedStreamError) or the signal's reason. Objects are typed by the caller: the API
 * server has checked them against the schema of their kind.
 */
export class KubernetesClient {
  readonly #options: KubernetesClientOptions;
  readonly #transport: Transport;

  constructor(options: KubernetesClientOptions, fence?: () => void) {
    this.#options = options;
    this.#transport = new Transport(options, fence);
  }

  /** The same client, whose writes first ask `fence`, right before they are sent; it throws when they must not (a lost lease). */
  fenced(fence: () => void): KubernetesClient {
    return new KubernetesClient(this.#options, fence);
  }

  /** undefined when there is no such object; an unknown resource type is an error. */
  async get<T>(
    resource: ResourceType,
    path: ResourcePath & { name: string },
    options: CallOptions = {},
  ): Promise<T | undefined> {
    try {
      return (await this.#transport.call({ ...this.#at(resource, path), verb: 'get', method: 'GET', ...options })) as T;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** One page. Throws ExpiredError when `continue` or `resourceVersion` is gone. */
  async list<T extends EngineObject>(resource: ResourceType, query: ListQuery = {}): Promise<ListPage<T>> {
    const { namespace, labelSelector, fieldSelector, limit, resourceVersion, signal } = query;
    const version = resourceVersion === '' ? undefined : resourceVersion;
    const answer = await this.#transport.call({
      ...this.#at(resource, { namespace }),
      verb: 'list',
      method: 'GET',
      signal,
      query: {
        labelSelector,
        fieldSelector,
        limit: limit === 0 ? undefined : limit,
        continue: query.continue,
        resourceVersion: version,
        // With a limit and without this the API server takes the version for an exact one.
        resourceVersionMatch: version === undefined ? undefined : 'NotOlderThan',
      },
    });
    const parsed = listBody.safeParse(answer);
    if (!parsed.success) throw new MalformedStreamError(`not a list: ${z.prettifyError(parsed.error)}`);
    const { metadata, items } = parsed.data;
    const next = metadata.continue;
    const found: unknown = items ?? [];
    const typed = found as T[];
    return {
      items: typed,
      resourceVersion: metadata.resourceVersion,
      ...(next === undefined || next === '' ? {} : { continue: next }),
    };
  }

  /** Throws KubernetesError `AlreadyExists` (409). */
  async create<T>(resource: ResourceType, object: Writable, options: CallOptions = {}): Promise<T> {
    const { namespace, name } = object.metadata;
    const answer = await this.#transport.call({
      ...this.#at(resource, { namespace }),
      name,
      verb: 'create',
      method: 'POST',
      query: { fieldManager: this.#options.fieldManager },
      contentType: JSON_TYPE,
      body: this.#typed(resource, object),
      ...options,
    });
    return answer as T;
  }

  /** Replaces the object. Throws KubernetesError `Conflict` when `resourceVersion` is not the present one. */
  async update<T>(resource: ResourceType, object: Writable, options: CallOptions = {}): Promise<T> {
    const answer = await this.#transport.call({
      ...this.#at(resource, object.metadata),
      verb: 'update',
      method: 'PUT',
      query: { fieldManager: this.#options.fieldManager },
      contentType: JSON_TYPE,
      body: this.#typed(resource, object),
      ...options,
    });
    return answer as T;
  }

  /** Server-side apply: creates the object or sets exactly these fields; fields of ours that are left out are given up. */
  async apply<T>(resource: ResourceType, object: Writable, options: ApplyOptions = {}): Promise<T> {
    const { force = true, fieldManager = this.#options.fieldManager, subresource, signal } = options;
    const { namespace, name } = object.metadata;
    const answer = await this.#transport.call({
      ...this.#at(resource, { namespace, name, subresource }),
      verb: 'apply',
      method: 'PATCH',
      query: { fieldManager, force },
      contentType: APPLY_TYPE,
      body: this.#typed(resource, object),
      signal,
    });
    return answer as T;
  }

  /** Server-side apply of the `status` subresource. Throws 404 when there is no such object. */
  applyStatus<T>(
    resource: ResourceType,
    object: Writable,
    options: Omit<ApplyOptions, 'subresource'> = {},
  ): Promise<T> {
    return this.apply(resource, object, { ...options, subresource: 'status' });
  }

  /** Sets exactly these fields, whoever owns them; a list is replaced as a whole (RFC 7386). Throws 404 when there is no such object. */
  async mergePatch<T>(resource: ResourceType, object: Writable, { signal }: CallOptions = {}): Promise<T> {
    const { namespace, name } = object.metadata;
    const answer = await this.#transport.call({
      ...this.#at(resource, { namespace, name }),
      verb: 'patch',
      method: 'PATCH',
      query: { fieldManager: this.#options.fieldManager },
      contentType: MERGE_TYPE,
      body: this.#typed(resource, object),
      signal,
    });
    return answer as T;
  }

  /** False when there was no such object. Throws KubernetesError `Conflict` when a precondition fails. */
  async delete(
    resource: ResourceType,
    path: ResourcePath & { name: string },
    { uid, resourceVersion, propagationPolicy, signal }: DeleteOptions = {},
  ): Promise<boolean> {
    try {
      await this.#transport.call({
        ...this.#at(resource, path),
        verb: 'delete',
        method: 'DELETE',
        contentType: JSON_TYPE,
        body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid, resourceVersion }, propagationPolicy },
        signal,
      });
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  /** Yields `OPENED` and then every event, until the server ends the stream. Leaving the loop closes the connection. */
  async *watch<T extends EngineObject>(resource: ResourceType, query: WatchQuery): AsyncGenerator<WatchEvent<T>, void> {
    const { namespace, signal, ...rest } = query;
    const request: ApiRequest = {
      ...this.#at(resource, { namespace }),
      verb: 'watch',
      method: 'GET',
      query: { watch: true, ...rest },
      signal,
    };
    const lines = new LineDecoder(MAX_EVENT_BYTES);
    await using stream = await this.#transport.open(request);
    yield { type: 'OPENED' };
    for await (const chunk of stream.chunks()) {
      for (const line of lines.push(chunk)) yield parseWatchEvent<T>(line);
    }
    lines.end();
  }

  /** The API server's version (`/version`), which anybody may read: proof that it answers. */
  async version(options: CallOptions = {}): Promise<string> {
    const answer = await this.#transport.call({
      verb: 'get',
      method: 'GET',
      path: '/version',
      resource: '',
      ...options,
    });
    return z.object({ gitVersion: z.string() }).parse(answer).gitVersion;
  }

  /** The plurals that the API server serves of a group and version (discovery, which anybody may read); none when it knows no such group. */
  async served(group: string, version: string, options: CallOptions = {}): Promise<ReadonlySet<string>> {
    try {
      const path = `/apis/${group}/${version}`;
      const answer = await this.#transport.call({ verb: 'get', method: 'GET', path, resource: '', ...options });
      const { resources } = z.object({ resources: z.array(z.object({ name: z.string() })) }).parse(answer);
      return new Set(resources.map(({ name }) => name));
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 404) return new Set();
      throw error;
    }
  }

  #at(resource: ResourceType, path: ResourcePath): ResourcePath & { readonly path: string; readonly resource: string } {
    const { namespace, name, subresource } = path;
    return { namespace, name, subresource, path: pathOf(resource, path), resource: resource.plural };
  }

  #typed(resource: ResourceType, object: Writable): object {
    return { ...object, apiVersion: apiVersionOf(resource), kind: resource.kind };
  }
}
