import type { Logger } from 'pino';
import type { Keyring } from '#crds/keyring.ts';
import type { MonotonicClock } from './clock.ts';
import type { DirectoryStore } from './directory-store.ts';
import { UNKNOWN_VIEW } from './enforcement.ts';
import type { EnforcementWatch } from './enforcement-watch.ts';
import { NotLeadingError } from './errors.ts';
import { MemberKeeper } from './member-keeper.ts';
import type { PublisherMetrics } from './metrics.ts';
import type { PodLook } from './pod-look.ts';
import { DiscontinuityError, PublishedLog } from './published-log.ts';
import type { RegistryLog } from './registry-log.ts';
import { Sleeper } from './sleeper.ts';

export type PublisherOptions = {
  /** DIRECTORY_KEYS. */
  readonly keyring: Keyring;
  readonly registry: RegistryLog;
  readonly store: DirectoryStore;
  readonly clock: MonotonicClock;
  readonly enforcement: EnforcementWatch;
  readonly log: Logger;
  /** Without it a silent replica counts until it reports again, says bye, or has fenced itself. */
  readonly podLook?: PodLook;
  readonly metrics?: PublisherMetrics;
  /** True when somebody else says of this error that a backend is down, so that an outage is one line in the log. Default: nobody does. */
  readonly saidElsewhere?: (error: unknown) => boolean;
  /** Rule 5; default 2 000. */
  readonly beatMs?: number;
  /** Rule 4: how long reports are waited for before a rebuild; longer than the 2 s between two reports of a relay. Default 5 000. */
  readonly reportWaitMs?: number;
  /** Default 24 h. */
  readonly outboxKeepMs?: number;
};

type Leading = { readonly term: number; readonly published: PublishedLog; readonly keeper: MemberKeeper };

const PRUNE_EVERY_MS = 600_000;
const DAY_MS = 86_400_000;

/**
 * The leader's side of the directory: publishes what is committed, repairs what Redis lost, admits relays, and knows what each of them
 * has applied. Several may run at once although one leads: what they write is the same bytes, or refused.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #sleeper: Sleeper;
  #leading: Leading | undefined;
  #beatAt = 0;
  #pruneAt = 0;
  #rotationRefused = false;
  #failing: { readonly step: string; readonly level: 'warn' | 'debug' } | undefined;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#sleeper = new Sleeper(options.clock);
  }

  /** The term under which this process leads; undefined before it has taken over and after it stopped. */
  term(): number | undefined {
    return this.#leading?.term;
  }

  /** Something was committed: publish now, not at the next beat. */
  wake(): void {
    this.#sleeper.wake();
  }

  /**
   * Takes over and leads until the signal is aborted; then resolves. Rejects with NotLeadingError once a higher term is seen. While
   * PostgreSQL or Redis is away it waits and tries again.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { store, clock, enforcement } = this.#options;
    const onAbort = (): void => this.wake();
    signal.addEventListener('abort', onAbort);
    let stopListening = (): void => {};
    try {
      while (this.#leading === undefined) {
        if (signal.aborted) return;
        await this.#attempt('take_over', async () => this.#takeOver());
        if (this.#leading === undefined) await this.#sleeper.sleep(this.#beatMs());
      }
      const leading = this.#leading;
      this.#beatAt = clock.monotonic();
      this.#pruneAt = clock.monotonic() + PRUNE_EVERY_MS;
      stopListening = store.onReport(({ id, report }) => {
        if (leading.keeper.hear([[id, report]])) this.#beatNow();
        this.#show(leading);
      });
      while (!signal.aborted) {
        if (clock.monotonic() >= this.#beatAt) {
          this.#beatAt = clock.monotonic() + this.#beatMs();
          await this.#attempt('beat', () => this.#beat(leading, signal));
        } else {
          await this.#attempt('publish', () => this.#publish(leading, signal));
        }
        this.#show(leading);
        await this.#sleeper.sleep(Math.max(0, this.#beatAt - clock.monotonic()));
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      stopListening();
      this.#leading = undefined;
      enforcement.update(UNKNOWN_VIEW);
    }
  }

  async #takeOver(): Promise<void> {
    const { registry, log } = this.#options;
    const { term, epoch, revision } = await registry.takeOver();
    const rows = await registry.replicas(term);
    const keeper = new MemberKeeper(this.#options, term, rows);
    this.#leading = { term, published: new PublishedLog(this.#options, term), keeper };
    log.info({ term, epoch, revision, replicas: rows.length }, 'leading the directory');
  }

  async #publish(leading: Leading, signal: AbortSignal): Promise<void> {
    const started = this.#options.clock.monotonic();
    const before = leading.published.checkpoint?.revision;
    await this.#repairing(leading, signal, () => leading.published.catchUp());
    if (leading.published.checkpoint?.revision === before) return;
    this.#options.metrics?.publishSeconds.observe((this.#options.clock.monotonic() - started) / 1_000);
  }

  /** Rule 5, and what follows from it. Reports are read before PostgreSQL: only then does "ahead" mean anything. */
  async #beat(leading: Leading, signal: AbortSignal): Promise<void> {
    const { published, keeper, term } = leading;
    const { store, registry, clock } = this.#options;
    const reports = await store.reports();
    keeper.hear(reports);
    const isWell = await this.#repairing(leading, signal, () => published.verify(reports.values()));
    // After a repair the reports are old: admit and let go at the next beat.
    if (!isWell || published.checkpoint === undefined) return this.#beatNow();
    await keeper.upkeep(published.checkpoint, reports, signal);
    await this.#rotateKey(leading, signal);
    if (clock.monotonic() < this.#pruneAt) return;
    this.#pruneAt = clock.monotonic() + PRUNE_EVERY_MS;
    await registry.pruneOutbox(term, this.#options.outboxKeepMs ?? DAY_MS);
  }

  /** Runs a step, and a rebuild when the step finds that nothing less will do. Returns whether the step went through. */
  async #repairing(leading: Leading, signal: AbortSignal, step: () => Promise<void>): Promise<boolean> {
    try {
      await step();
      return true;
    } catch (error) {
      if (!(error instanceof DiscontinuityError)) throw error;
      this.#options.log.warn({ why: error.message }, 'the directory in Redis is rebuilt');
      await this.#rebuild(leading, signal);
      return false;
    }
  }

  async #rebuild({ published, keeper }: Leading, signal: AbortSignal, signWith?: string): Promise<void> {
    const { store, clock, metrics, reportWaitMs = 5_000 } = this.#options;
    published.doubt();
    // Not the sleeper: a commit does not shorten this.
    await clock.sleep(reportWaitMs, signal);
    if (signal.aborted) return;
    keeper.hear(await store.reports());
    await published.rebuild(keeper.highestReport(), signWith);
    metrics?.rebuilds.inc();
  }

  /** A new first key in DIRECTORY_KEYS signs the directory as soon as every relay has it. */
  async #rotateKey(leading: Leading, signal: AbortSignal): Promise<void> {
    const { keyring, log } = this.#options;
    const used = leading.published.checkpoint?.keyId;
    if (used === undefined || used === keyring.current) return;
    if (leading.keeper.allHaveKey(keyring.current)) {
      log.info({ from: used, to: keyring.current }, 'the directory is signed with a new key');
      await this.#rebuild(leading, signal, keyring.current);
    } else if (!this.#rotationRefused) {
      this.#rotationRefused = true;
      log.warn(
        { key: keyring.current },
        'not every relay has the first key of DIRECTORY_KEYS: the old one is used until then',
      );
    }
  }

  /** Logs an outage once, when it begins and when it ends. */
  async #attempt(step: string, work: () => Promise<void>): Promise<void> {
    const { log, metrics } = this.#options;
    try {
      await work();
      if (this.#failing?.step === step) {
        const { level } = this.#failing;
        this.#failing = undefined;
        log[level === 'warn' ? 'info' : level]({ step }, 'the directory can be worked on again');
      }
    } catch (error) {
      if (error instanceof NotLeadingError) throw error;
      this.#leading?.published.doubt();
      metrics?.errors.inc({ step });
      const level = this.#options.saidElsewhere?.(error) === true ? 'debug' : 'warn';
      if (this.#failing === undefined)
        log[level]({ step, err: error }, 'the directory cannot be worked on, trying again');
      this.#failing ??= { step, level };
    }
  }

  #show({ published, keeper }: Leading): void {
    const { enforcement, metrics } = this.#options;
    const members = keeper.view();
    const head = published.checkpoint ?? UNKNOWN_VIEW.head;
    enforcement.update({ head: { epoch: head.epoch, revision: head.revision }, members });
    if (metrics === undefined) return;
    metrics.epoch.set(head.epoch);
    metrics.revision.set(head.revision);
    const silent = members.filter((member) => member.silent).length;
    const agreeing = members.filter(
      (member) => !member.silent && member.admitted && member.epoch === head.epoch && member.revision >= head.revision,
    ).length;
    metrics.replicas.set({ state: 'silent' }, silent);
    metrics.replicas.set({ state: 'agreeing' }, agreeing);
    metrics.replicas.set({ state: 'behind' }, members.length - silent - agreeing);
  }

  #beatNow(): void {
    this.#beatAt = this.#options.clock.monotonic();
    this.#sleeper.wake();
  }

  #beatMs(): number {
    return this.#options.beatMs ?? 2_000;
  }
}
