import { pino } from 'pino';
import { tokenEntryKey } from '#crds/directory/entry-body.ts';
import type { EntryChange } from '#crds/directory/entry-body.ts';
import { trustEntry } from '#crds/directory/entry.ts';
import { comparePositions, ORIGIN } from '#crds/directory/position.ts';
import type { Position } from '#crds/directory/position.ts';
import { Keyring } from '#crds/keyring.ts';
import { EnforcementWatch } from '#operator/directory/enforcement-watch.ts';
import { evaluateEnforced } from '#operator/directory/enforcement.ts';
import { Publisher } from '#operator/directory/publisher.ts';
import { Follower } from '#relay/directory/follower.ts';
import { emptyDirectoryState, MemoryDirectory } from '../memory-directory.ts';
import type { MemoryDirectoryState } from '../memory-directory.ts';
import { MemoryRegistry } from './memory-registry.ts';
import type { Statements } from './memory-registry.ts';
import { SimulatedProcess, Simulation } from './simulation.ts';
import { steppedFeed, steppedStore } from './stepped-link.ts';
import { contentOf, hashOf } from './tokens.ts';

const keyring = Keyring.parse(`k1:${Buffer.alloc(32, 1).toString('base64')}`);
const log = pino({ level: 'silent' });
const FENCE_MS = 8_000;

type Operator = {
  process: SimulatedProcess;
  publisher: Publisher;
  enforcement: EnforcementWatch;
  stop: AbortController;
};
type Relay = { process: SimulatedProcess; follower: Follower; id: string; last: Position; stop: AbortController };

/** Real publishers and followers over the twins of PostgreSQL and Redis, and what must hold at every moment. */
export class World {
  readonly simulation = new Simulation();
  readonly registry = new MemoryRegistry(keyring);
  readonly link = new MemoryDirectory();
  readonly operators: Operator[] = [];
  readonly relays: Relay[] = [];
  /** Content at each revision that PostgreSQL has had, as text. */
  readonly #truth = new Map<number, string>([[0, contentOf(() => undefined)]]);
  /** Bytes seen in a log, by epoch and revision. */
  readonly #bytes = new Map<string, string>();
  /** The highest revision that any operator has called enforced by all. */
  enforced = 0;
  #kept: MemoryDirectoryState | undefined;
  #serial = 0;

  startOperator(offset: number): void {
    const process = new SimulatedProcess(`operator-${(this.#serial += 1)}`, offset);
    const steps = { simulation: this.simulation, process };
    const clock = this.#clock(process);
    const enforcement = new EnforcementWatch(clock);
    const statements = this.#statements(process);
    const publisher = new Publisher({
      keyring,
      registry: this.registry.log(statements),
      store: steppedStore(this.link.store, steps),
      clock,
      enforcement,
      log,
      // A live look: the process is gone, or another has taken its place.
      podLook: {
        look: async ({ id }) =>
          this.relays.some((relay) => relay.id === id && !relay.process.crashed) ? 'alive' : 'gone',
      },
    });
    const stop = new AbortController();
    // It ends deposed or killed; what it left behind is what the invariants judge.
    publisher.run(stop.signal).catch(() => {});
    this.operators.push({ process, publisher, enforcement, stop });
  }

  startRelay(id: string, offset: number, isFenced: boolean): void {
    for (const relay of this.relays) if (relay.id === id) relay.process.crashed = true;
    const process = new SimulatedProcess(`${id}-${(this.#serial += 1)}`, offset);
    const steps = { simulation: this.simulation, process };
    const follower = new Follower({
      keyring,
      feed: steppedFeed(this.link.feed, steps),
      clock: this.#clock(process),
      log,
      id,
      podUid: null,
      nextNonce: () => `nonce-${(this.#serial += 1)}`,
      fenceAfterMs: isFenced ? FENCE_MS : null,
    });
    const stop = new AbortController();
    void follower.run(stop.signal);
    this.relays.push({ process, follower, id, last: ORIGIN, stop });
  }

  /** The change of one name, through an operator that believes to lead. */
  commit(choice: number, name: string, isRemoved: boolean): void {
    const leading = this.operators.filter(
      ({ process, publisher }) => !process.crashed && publisher.term() !== undefined,
    );
    const operator = leading[choice % Math.max(leading.length, 1)];
    const term = operator?.publisher.term();
    if (operator === undefined || term === undefined) return;
    const id = String((this.#serial += 1));
    const key = tokenEntryKey(hashOf(name));
    const body = { id, appId: '1', namespace: 'n', name, environment: 'Live' as const, expiresAt: null };
    const change: EntryChange = { key, body: isRemoved ? null : body };
    const statements = this.#statements(operator.process);
    this.registry.commit(statements, term, [change]).then(
      () => operator.publisher.wake(),
      () => {},
    );
  }

  flush(): void {
    Object.assign(this.link.state, emptyDirectoryState());
  }
  keep(): void {
    this.#kept = structuredClone(this.link.state);
  }
  /** A replica that was behind is promoted, or an old file is loaded. */
  restore(): void {
    if (this.#kept !== undefined) Object.assign(this.link.state, structuredClone(this.#kept));
  }
  /** Memory was short. */
  evict(choice: number): void {
    const { state } = this.link;
    const snapshot = state.snapshots.get(state.head?.epoch ?? 0);
    if (choice % 3 === 0) state.head = undefined;
    else if (choice % 3 === 1) state.logs.clear();
    else snapshot?.delete([...snapshot.keys()][0] ?? '');
  }

  crash(process: SimulatedProcess | undefined): void {
    if (process === undefined) return;
    process.crashed = true;
    this.registry.endTransaction();
  }

  bye(relay: Relay): void {
    // Not before it is gone: the last report is allowed to get lost.
    void this.#leave(relay);
  }

  async #leave({ follower, process }: Relay): Promise<void> {
    await follower.bye();
    process.crashed = true;
  }

  livingRelays(): Relay[] {
    return this.relays.filter(({ process }) => !process.crashed);
  }

  /** Everything committed is enforced everywhere, and the leader knows it. */
  isAtRest(): boolean {
    const { row } = this.registry.tables;
    const leader = this.operators.find(({ process, publisher }) => !process.crashed && publisher.term() !== undefined);
    if (leader === undefined) return false;
    const view = leader.enforcement.view();
    const relays = this.livingRelays();
    const { reason } = evaluateEnforced({ view, revision: row.revision, entryKeys: [], since: 0, latched: false });
    return (
      reason === (relays.length === 0 ? 'NoReplicas' : 'AllReplicas') &&
      relays.every(({ follower }) => follower.ready() && comparePositions(follower.position(), row) === 0)
    );
  }

  describe(): string {
    const leader = this.operators.find(({ process }) => !process.crashed);
    const relays = this.livingRelays().map(({ process, follower }) => ({
      name: process.name,
      ...follower.position(),
      ready: follower.ready(),
    }));
    return JSON.stringify({
      row: this.registry.tables.row,
      relays,
      view: leader?.enforcement.view(),
      reports: [...this.link.state.replicas],
      pending: this.simulation.pending.map(({ process, target, enabled }) => `${process.name} ${target} ${enabled()}`),
      now: this.simulation.now,
    });
  }

  /** Throws when one of the invariants of ARCHITECTURE.md does not hold. */
  check(): void {
    this.#recordTruth();
    this.#recordBytes();
    for (const { enforcement, process } of this.operators) {
      if (process.crashed) continue;
      const view = enforcement.view();
      const revision = Math.min(view.head.revision, ...view.members.map((member) => member.revision));
      const verdict = evaluateEnforced({ view, revision, entryKeys: [], since: 0, latched: false });
      if (verdict.status === 'True') this.enforced = Math.max(this.enforced, revision);
    }
    for (const relay of this.livingRelays()) {
      const { follower, last, process } = relay;
      const position = follower.position();
      if (comparePositions(position, last) < 0) {
        throw new Error(`${process.name} went back from ${JSON.stringify(last)} to ${JSON.stringify(position)}`);
      }
      relay.last = position;
      const content = contentOf((hash) => follower.tokenByHash(hash)?.id);
      const truth = this.#truth.get(position.revision);
      if (content !== truth) {
        throw new Error(`${process.name} at ${JSON.stringify(position)} has ${content}, truth is ${truth}`);
      }
      if (follower.ready() && follower.admitted() && position.revision < this.enforced) {
        throw new Error(`${process.name} serves revision ${position.revision}, True was said of ${this.enforced}`);
      }
    }
  }

  #recordTruth(): void {
    const { row, entries } = this.registry.tables;
    if (this.#truth.has(row.revision)) return;
    const ids = new Map<string, string>();
    for (const [key, text] of entries) ids.set(key, String(trustEntry(text)?.body?.['id']));
    this.#truth.set(
      row.revision,
      contentOf((hash) => ids.get(tokenEntryKey(hash))),
    );
  }

  #recordBytes(): void {
    for (const [epoch, entries] of this.link.state.logs) {
      for (const { revision, text } of entries) {
        const key = `${epoch}/${revision}`;
        const seen = this.#bytes.get(key);
        if (seen !== undefined && seen !== text) throw new Error(`two contents of ${key}`);
        this.#bytes.set(key, text);
      }
    }
  }

  #clock(process: SimulatedProcess) {
    return {
      monotonic: () => this.simulation.now + process.offset,
      sleep: (ms: number, signal: AbortSignal) => this.simulation.sleep(process, ms, signal),
    };
  }

  #statements(process: SimulatedProcess): Statements {
    return {
      // The server gives no lock to a client that is gone.
      run: (effect, enabled) =>
        this.simulation.call(
          process,
          'postgres',
          effect,
          enabled === undefined ? undefined : () => !process.crashed && enabled(),
        ),
    };
  }
}
