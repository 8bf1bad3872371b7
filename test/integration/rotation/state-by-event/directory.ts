import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import type pg from 'pg';
import { randomBytes } from 'node:crypto';
import type { Keyring } from '#crds/keyring.ts';
import { UNKNOWN_VIEW, type DirectoryView } from '#operator/directory/enforcement.ts';
import { MemberKeeper } from '#operator/directory/member-keeper.ts';
import { DiscontinuityError, PublishedLog } from '#operator/directory/published-log.ts';
import { createRegistryLog } from '#operator/postgres/registry-log.ts';
import { Standing } from '#relay/directory/standing.ts';
import { emptyDirectoryState, MemoryDirectory, type MemoryDirectoryState } from '#standalone/memory-directory.ts';
import { SimulatedRelay } from '../simulated-relay.ts';

const BEAT_MS = 2_000;
const log = pino({ level: 'silent' });

/** How a relay is at the moment. `lagging`: it reports, and takes nothing in. `silent`: neither, and it serves on. `dead`: its pod is gone. */
export type Condition = 'well' | 'lagging' | 'silent' | 'dead';

export class Replica {
  readonly relay: SimulatedRelay;
  readonly #keyring: Keyring;
  readonly #standing: Standing;
  condition: Condition = 'well';
  #beat = 0;

  constructor(id: string, keyring: Keyring, now: () => number) {
    this.relay = new SimulatedRelay(id, keyring, now);
    this.#keyring = keyring;
    this.#standing = new Standing({ keyring, id, nextNonce: randomUUID, admitTimeoutMs: 60_000, fenceAfterMs: null });
  }

  serves(at: number): boolean {
    return this.condition !== 'dead' && this.relay.serving && this.#standing.isReady(at);
  }

  /** One round of following, reporting and asking for the admission; as far as it does that. */
  async round({ feed }: MemoryDirectory, at: number): Promise<void> {
    if (this.condition === 'silent' || this.condition === 'dead') return;
    if (this.condition === 'well') await this.relay.load(feed);
    const { id, checkpoint } = this.relay;
    if (checkpoint !== undefined) this.#standing.loaded(at);
    const { nonce, admitted } = this.#standing;
    const { epoch, revision, rejected } = this.relay.member();
    this.#beat += 1;
    const about = {
      podUid: null,
      fenceAfterMs: null,
      formats: [1],
      keyIds: this.#keyring.ids(),
      lacks: [],
      bye: false,
    };
    await feed.report(id, { nonce, beat: this.#beat, epoch, revision, admitted, rejected: [...rejected], ...about });
    const admission = await feed.admission(id);
    if (admission !== undefined && checkpoint !== undefined) this.#standing.consider(admission, checkpoint, at);
  }
}

/**
 * The directory between operator and relays, beat by beat: what the publisher does at a beat (operator/directory/publisher.ts), with its
 * real parts, over Redis' twin, on a monotonic clock that only beats move.
 */
export class SimulatedDirectory {
  readonly link = new MemoryDirectory();
  readonly replicas: Replica[] = [];
  readonly #keyring: Keyring;
  readonly #pool: pg.Pool;
  #leading: { readonly published: PublishedLog; readonly keeper: MemberKeeper } | undefined;
  #term: number | undefined;
  #at = 0;
  /** Redis answers nobody. */
  unreachable = false;

  constructor(keyring: Keyring, pool: pg.Pool) {
    this.#keyring = keyring;
    this.#pool = pool;
  }

  lead(term: number | undefined): void {
    this.#term = term;
    this.#leading = undefined;
  }

  view(): DirectoryView {
    if (this.#leading === undefined) return UNKNOWN_VIEW;
    const { published, keeper } = this.#leading;
    return { head: published.checkpoint ?? UNKNOWN_VIEW.head, members: keeper.view() };
  }

  /** Whether a relay says nothing any more, and nobody has missed it yet. */
  waitsForWord(): boolean {
    const mute = this.replicas.filter(({ condition }) => condition === 'silent' || condition === 'dead');
    return this.view().members.some(({ id, silent }) => !silent && mute.some(({ relay }) => relay.id === id));
  }

  serving(): readonly SimulatedRelay[] {
    return this.replicas.filter((replica) => replica.serves(this.#at)).map(({ relay }) => relay);
  }

  keep(): MemoryDirectoryState {
    return structuredClone(this.link.state);
  }

  /** Redis holds that, or nothing. */
  put(state: MemoryDirectoryState = emptyDirectoryState()): void {
    Object.assign(this.link.state, structuredClone(state));
  }

  /** Beats until nothing changes any more: what was committed is published, heard of, and reported. */
  async beats(most: number): Promise<void> {
    let former = '';
    for (let beat = 0; beat < most; beat += 1) {
      const state = this.#state();
      if (state === former) return;
      former = state;
      this.#at += BEAT_MS;
      await this.#beat();
      if (!this.unreachable) for (const replica of this.replicas) await replica.round(this.link, this.#at);
      if (this.#leading !== undefined && !this.unreachable) this.#leading.keeper.hear(this.link.state.replicas);
    }
  }

  #state(): string {
    const { head, members } = this.view();
    const known = members.map(({ id, epoch, revision, admitted, silent }) => [id, epoch, revision, admitted, silent]);
    return JSON.stringify([this.#term, head, known, this.serving().length]);
  }

  async #beat(): Promise<void> {
    const term = this.#term;
    if (term === undefined) return;
    try {
      if (this.unreachable) throw new Error('connect ECONNREFUSED');
      const { published, keeper } = (this.#leading ??= await this.#takeOver(term));
      const reports = await this.link.store.reports();
      keeper.hear(reports);
      try {
        await published.verify(reports.values());
      } catch (error) {
        if (!(error instanceof DiscontinuityError)) throw error;
        await published.rebuild(keeper.highestReport());
        return;
      }
      if (published.checkpoint !== undefined)
        await keeper.upkeep(published.checkpoint, reports, new AbortController().signal);
    } catch {
      // PostgreSQL or Redis is away.
      this.#leading?.published.doubt();
    }
  }

  async #takeOver(term: number): Promise<{ readonly published: PublishedLog; readonly keeper: MemberKeeper }> {
    const registry = createRegistryLog({ pool: this.#pool, keyring: this.#keyring, random: randomBytes });
    const options = {
      keyring: this.#keyring,
      registry,
      store: this.link.store,
      clock: { monotonic: () => this.#at, sleep: () => Promise.resolve() },
      log,
      podLook: {
        look: ({ id }: { readonly id: string }) =>
          Promise.resolve(
            this.replicas.some(({ relay, condition }) => relay.id === id && condition !== 'dead')
              ? ('alive' as const)
              : ('gone' as const),
          ),
      },
    };
    const keeper = new MemberKeeper(options, term, await registry.replicas(term));
    return { published: new PublishedLog(options, term), keeper };
  }
}
