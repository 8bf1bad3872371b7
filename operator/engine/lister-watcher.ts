import type { EngineObject } from './object.ts';

export type ListOptions = {
  /** Page size; 0 for everything in one answer. */
  readonly limit: number;
  readonly continue?: string | undefined;
  /** '0': whatever the server has in its cache; '': the latest, read from storage; a version: not older than that. */
  readonly resourceVersion: string;
  readonly signal: AbortSignal;
};

export type ListPage<T> = {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  /** Where the next page starts; absent on the last one. */
  readonly continue?: string | undefined;
};

export type WatchOptions = {
  /** Everything that happened after this version. */
  readonly resourceVersion: string;
  /** After this time the server ends the stream. */
  readonly timeoutSeconds: number;
  readonly allowWatchBookmarks: boolean;
  readonly signal: AbortSignal;
};

export type WatchEvent<T> =
  /** First of all: the server has accepted the watch. */
  | { readonly type: 'OPENED' }
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

/**
 * Where a Reflector gets its objects from.
 * - Both MUST throw ExpiredError when the version or the page asked for is gone (HTTP 410, or an ERROR event with code 410).
 * - Both SHOULD throw a TransientError with `retryAfterMs` when the server asked for a pause.
 * - `watch` MUST throw on a broken or unintelligible stream, and MAY return only when the server ended it in order.
 * - `list` MUST have a deadline of its own.
 * - Both MUST end promptly, by throwing, once `signal` aborts.
 */
export type ListerWatcher<T extends EngineObject> = {
  list(options: ListOptions): Promise<ListPage<T>>;
  watch(options: WatchOptions): AsyncIterable<WatchEvent<T>>;
};
