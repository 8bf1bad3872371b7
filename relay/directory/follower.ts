import type { Logger } from 'pino';
import type { Checkpoint, Head, LogEntry } from '#crds/directory/checkpoint.ts';
import { comparePositions, ORIGIN } from '#crds/directory/position.ts';
import type { Position } from '#crds/directory/position.ts';
import type { Keyring } from '#crds/keyring.ts';
import type { MonotonicClock } from './clock.ts';
import { splitCertificateName, splitKey } from './decode-entry.ts';
import { DirectoryIndex } from './directory-index.ts';
import type { App, ClientCertificate, Directory, DirectoryChange, Token } from './directory.ts';
import { EntryTable } from './entry-table.ts';
import type { TableChange } from './entry-table.ts';
import type { DirectoryFeed } from './feed.ts';
import { loadTable } from './load.ts';
import type { FollowerMetrics } from './metrics.ts';
import { Reporter } from './reporter.ts';
import { Standing } from './standing.ts';

export type FollowerOptions = {
  /** DIRECTORY_KEYS. */
  readonly keyring: Keyring;
  readonly feed: DirectoryFeed;
  readonly clock: MonotonicClock;
  readonly log: Logger;
  /** True when somebody else says of this error that Redis is away, so that an outage is one line in the log. Default: nobody does. */
  readonly saidElsewhere?: ((error: unknown) => boolean) | undefined;
  /** Names this worker process, the same after a restart of its container and unlike any other: pod name and worker number. */
  readonly id: string;
  readonly podUid: string | null;
  /** Draws a fresh random text, for each boot and each fence. */
  readonly nextNonce: () => string;
  /** RELAY_ADMIT_TIMEOUT, default 60 000. */
  readonly admitTimeoutMs?: number;
  /** RELAY_FENCE_AFTER; null (the default): off. */
  readonly fenceAfterMs?: number | null;
  /** What this relay lacks, as crds/directory/report.ts names it; said with the next report. Default: nothing. */
  readonly lacks?: () => readonly string[];
  /** Default 2 000. */
  readonly reportEveryMs?: number;
  /** How long one wait for the log lasts; bounds how late a new epoch is noticed. Default 1 000. */
  readonly followWaitMs?: number;
  readonly metrics?: FollowerMetrics;
};

const RETRY_MS = 250;

/** The relay's directory: loads it, follows it, and reports what is enforced (rules 6 to 9). */
export class Follower implements Directory {
  readonly #options: FollowerOptions;
  readonly #index = new DirectoryIndex();
  readonly #standing: Standing;
  readonly #reporter: Reporter;
  readonly #appliedListeners = new Set<(change: DirectoryChange) => Promise<void>>();
  readonly #stateListeners = new Set<() => void>();
  #table: EntryTable | undefined;
  /** Behind the table while listeners close sockets. */
  #applied: Checkpoint | undefined;
  #failing = false;
  #left = false;
  #freshAt: number;
  #freshBeat: number | undefined;
  #state = '';

  constructor(options: FollowerOptions) {
    const { keyring, feed, clock, log, id, podUid, nextNonce } = options;
    const { fenceAfterMs = null, admitTimeoutMs = 60_000, reportEveryMs = 2_000 } = options;
    this.#options = options;
    this.#freshAt = clock.monotonic();
    this.#standing = new Standing({ keyring, id, nextNonce, admitTimeoutMs, fenceAfterMs });
    this.#reporter = new Reporter({
      keyring,
      feed,
      clock,
      log,
      saidElsewhere: options.saidElsewhere,
      id,
      podUid,
      fenceAfterMs,
      reportEveryMs,
      standing: this.#standing,
      applied: () => this.#applied,
      rejected: () => this.#table?.rejected() ?? [],
      lacks: options.lacks ?? (() => []),
      onStanding: () => this.#showState(),
    });
  }

  apps(): Iterable<App> {
    return this.#index.apps();
  }
  appById(appId: string): App | undefined {
    return this.#index.appById(appId);
  }
  appByKey(key: string): App | undefined {
    return this.#index.appByKey(key);
  }
  tokenByHash(sha256: string): Token | undefined {
    return this.#index.tokenByHash(sha256);
  }
  ownerOfToken(appId: string, tokenId: string): string | undefined {
    return this.#index.ownerOfToken(appId, tokenId);
  }
  acceptsTokenOf(appId: string, owner: string, now: number): boolean {
    return this.#index.acceptsTokenOf(appId, owner, now);
  }
  certificateOf(appId: string, sha256: string): ClientCertificate | undefined {
    return this.#index.certificateOf(appId, sha256);
  }
  nextEnd(appId: string, after: number): number | undefined {
    return this.#index.nextEnd(appId, after);
  }
  ready(): boolean {
    return !this.#left && this.#standing.isReady(this.#options.clock.monotonic());
  }
  /** Serves on the word of an operator, not because none came. */
  admitted(): boolean {
    return this.#standing.admitted;
  }
  fenced(): boolean {
    return this.#standing.isFenced(this.#options.clock.monotonic());
  }
  position(): Position {
    const { epoch, revision } = this.#table?.checkpoint ?? ORIGIN;
    return { epoch, revision };
  }
  /** Which of DIRECTORY_KEYS the operator signs with, so that it surely knows it; before the first load, the first one. */
  keyId(): string {
    return this.#table?.checkpoint.keyId ?? this.#options.keyring.current;
  }
  onApplied(listener: (change: DirectoryChange) => Promise<void>): () => void {
    this.#appliedListeners.add(listener);
    return () => this.#appliedListeners.delete(listener);
  }
  onStateChange(listener: () => void): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  /** Seconds since Redis last confirmed, with a beat of the operator, that this relay is up to date. */
  staleSeconds(): number {
    return (this.#options.clock.monotonic() - this.#freshAt) / 1_000;
  }

  /** Follows until the signal is aborted; then resolves. Never rejects: Redis being away is waited out. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#follow(signal), this.#reporter.run(signal)]);
  }

  /** For the end of a drain: all sockets are closed, nothing is served from now on. Then abort the signal of `run`. */
  async bye(): Promise<void> {
    this.#left = true;
    this.#showState();
    await this.#reporter.bye();
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { clock, log, saidElsewhere } = this.#options;
    while (!signal.aborted) {
      try {
        const problem = await this.#round(signal);
        if (problem === undefined) {
          this.#failing = false;
          continue;
        }
        // An empty Redis at the first start is no trouble, only a wait for the operator.
        if (!this.#failing && problem !== 'no_head')
          log.warn({ problem }, 'the directory cannot be loaded, trying again');
        this.#failing = problem !== 'no_head';
      } catch (error) {
        const level = saidElsewhere?.(error) === true ? 'debug' : 'warn';
        if (!this.#failing) log[level]({ err: error }, 'Redis cannot be followed, trying again');
        this.#failing = true;
      }
      await clock.sleep(RETRY_MS, signal);
    }
  }

  /** One round of rule 7, or a load. Returns what kept it from succeeding. */
  async #round(signal: AbortSignal): Promise<string | undefined> {
    const { feed, followWaitMs = 1_000 } = this.#options;
    const table = this.#table;
    if (table === undefined) return this.#load('start', signal);
    const head = await feed.head();
    this.#noticeBeat(head, table);
    const { epoch, revision } = table.checkpoint;
    if (head !== undefined && head.epoch > epoch) return this.#load('epoch', signal);
    // A head that is missing or behind never replaces what is held: the operator will mend it.
    const entries = await feed.follow(epoch, revision, followWaitMs, signal);
    if (entries === undefined) return this.#load('malformed', signal);
    if (entries.length === 0) {
      return head?.epoch === epoch && head.revision > revision ? this.#load('gap', signal) : undefined;
    }
    return this.#apply(table, entries, signal);
  }

  async #apply(table: EntryTable, entries: readonly LogEntry[], signal: AbortSignal): Promise<string | undefined> {
    const changes: TableChange[] = [];
    let problem: string | undefined;
    for (const entry of entries) {
      const applied = table.apply(entry);
      if ('problem' in applied) {
        problem = applied.problem;
        break;
      }
      changes.push(...applied.changes);
    }
    await this.#settle(table, changes, signal);
    return problem === undefined ? undefined : this.#load(problem, signal);
  }

  async #load(why: string, signal: AbortSignal): Promise<string | undefined> {
    const { keyring, feed, clock, log, metrics } = this.#options;
    metrics?.reloads.inc({ why });
    const table = await loadTable(keyring, feed, this.#table);
    if (!(table instanceof EntryTable)) return table;
    const changes = table.changesSince(this.#table);
    const { epoch, revision, count } = table.checkpoint;
    log.info({ why, epoch, revision, entries: count, changes: changes.length }, 'directory loaded');
    this.#table = table;
    await this.#settle(table, changes, signal);
    this.#standing.loaded(clock.monotonic());
    return undefined;
  }

  /** Shows the new state to lookups, waits until everyone has acted on it, and only then says that it is applied. */
  async #settle(table: EntryTable, changes: readonly TableChange[], signal: AbortSignal): Promise<void> {
    const change = this.#show(changes);
    if (changes.length > 0) await this.#tellListeners(change, signal);
    if (signal.aborted || this.#applied === table.checkpoint) return;
    this.#applied = table.checkpoint;
    this.#reporter.poke();
    const { metrics } = this.#options;
    metrics?.epoch.set(table.checkpoint.epoch);
    metrics?.revision.set(table.checkpoint.revision);
    metrics?.rejected.set(table.rejected().length);
  }

  #show(changes: readonly TableChange[]): DirectoryChange {
    const appIds = new Set<string>();
    const tokenHashes = new Set<string>();
    const tokenApps = new Set<string>();
    for (const { key, content } of changes) {
      const [kind, name] = splitKey(key);
      if (kind === 'app') {
        this.#index.setApp(name, content?.kind === 'app' ? content.app : undefined);
        appIds.add(name);
      } else if (kind === 'token') {
        const token = content?.kind === 'token' ? content.token : undefined;
        const former = this.#index.setToken(name, token);
        tokenHashes.add(name);
        for (const each of [former, token]) if (each !== undefined) tokenApps.add(each.appId);
      } else if (kind === 'certificate') {
        const [appId, sha256] = splitCertificateName(name);
        const certificate = content?.kind === 'certificate' ? content.certificate : undefined;
        this.#index.setCertificate(appId, sha256, certificate);
        appIds.add(appId);
      }
    }
    return { appIds, tokenHashes, tokenApps };
  }

  async #tellListeners(change: DirectoryChange, signal: AbortSignal): Promise<void> {
    let left = [...this.#appliedListeners];
    while (left.length > 0 && !signal.aborted) {
      const results = await Promise.allSettled(left.map(async (listener) => listener(change)));
      const failed = results.filter((result) => result.status === 'rejected');
      left = left.filter((_, index) => results[index]?.status === 'rejected');
      if (failed.length === 0) return;
      this.#options.log.error(
        { err: failed[0]?.reason },
        'a change of the directory could not be carried out, trying again',
      );
      await this.#options.clock.sleep(RETRY_MS, signal);
    }
  }

  #noticeBeat(head: Head | undefined, { checkpoint }: EntryTable): void {
    if (head === undefined || head.beat === this.#freshBeat || comparePositions(head, checkpoint) > 0) return;
    this.#freshBeat = head.beat;
    this.#freshAt = this.#options.clock.monotonic();
  }

  #showState(): void {
    const now = this.#options.clock.monotonic();
    this.#options.metrics?.unadmitted.set(this.#standing.isUnadmitted(now) ? 1 : 0);
    const state = `${this.ready()} ${this.fenced()}`;
    if (state === this.#state) return;
    this.#state = state;
    this.#options.log.info({ ready: this.ready(), fenced: this.fenced() }, 'readiness of the directory');
    for (const listener of this.#stateListeners) listener();
  }
}
