import { AppLedger, type LocalNumbers, type MemberOutcome } from './app-ledger.ts';
import type { Applied, OccupancyStore, Roster, Rules } from './store.ts';

/**
 * Tells the store this replica's numbers: coalesced, at the end of the turn, one write of an app at a time. A burst of joins is one command,
 * writes never overtake each other, and what could not be written is written at the next beat.
 */
export type WriterParts = {
  readonly store: OccupancyStore;
  readonly numbers: LocalNumbers;
  /** What the app wants to have announced now. */
  readonly rules: (appId: string) => Rules;
  readonly listener: WriterListener;
  readonly nextMark: () => string;
};

export type WriterListener = {
  /** Webhook events of the app wait in the store. Must not throw. */
  webhooks(appId: string): void;
  /** Called before those who wait for a join are told. Must not throw. */
  rosters(appId: string, rosters: ReadonlyMap<string, Roster>): void;
};

/** The most items of one write; Lua's stack and Redis' latency set it. */
const ITEMS_PER_WRITE = 500;
/** A late answer may repeat this often at most what a stale mark asks for; the next beat goes on. */
const MOST_RECOVERIES = 5;

export class Writer {
  readonly #parts: WriterParts;
  readonly #apps = new Map<string, AppLedger>();
  readonly #writing = new Map<string, Promise<void>>();
  readonly #due = new Map<string, NodeJS.Timeout>();
  #closed = false;

  constructor(parts: WriterParts) {
    this.#parts = parts;
  }

  changed(appId: string, field: string): void {
    this.#ledger(appId).changed(field);
    this.schedule(appId);
  }

  /** 'away' when the store did not answer. */
  claim(appId: string, limit: number, gone: () => boolean): Promise<boolean | 'away'> {
    const claimed = this.#ledger(appId).claim(limit, gone);
    this.schedule(appId);
    return claimed;
  }

  member(appId: string, field: string, limit: number): Promise<MemberOutcome> {
    const answered = this.#ledger(appId).ask(field, limit);
    this.schedule(appId);
    return answered;
  }

  wantRoster(appId: string, channel: string): void {
    this.#ledger(appId).wantRoster(channel);
    this.schedule(appId);
  }

  /** What the store has of this replica in `field`, once what is under way has arrived. */
  toldAhead(appId: string, field: string): number {
    return this.#apps.get(appId)?.toldAhead(field) ?? 0;
  }

  connectionsElsewhere(appId: string): number {
    return this.#apps.get(appId)?.elsewhere ?? 0;
  }

  /** Apps with a mark in the store, for a look whether it is still there. */
  *marks(): Iterable<readonly [appId: string, mark: string]> {
    for (const [appId, ledger] of this.#apps) {
      if (!this.#writing.has(appId) && ledger.mark !== '') yield [appId, ledger.mark];
    }
  }

  touched(): string[] {
    return [...this.#apps].filter(([, ledger]) => ledger.touched).map(([appId]) => appId);
  }

  /** The store has another mark, or none. */
  lost(appId: string, mark: string): void {
    const ledger = this.#apps.get(appId);
    if (ledger === undefined || ledger.mark !== mark || this.#writing.has(appId)) return;
    ledger.suspect();
    this.schedule(appId);
  }

  /** Tries again what could not be written, and forgets apps that are not used any more. */
  beat(): void {
    for (const [appId, ledger] of this.#apps) {
      if (ledger.hasWork()) this.schedule(appId);
      else if (ledger.isEmpty() && !this.#writing.has(appId) && !this.#due.has(appId)) {
        this.#apps.delete(appId);
        if (ledger.touched) void this.#parts.store.untouch(appId);
      }
    }
  }

  /** What is held back becomes due then. */
  dueIn(appId: string, ms: number | undefined): void {
    clearTimeout(this.#due.get(appId));
    this.#due.delete(appId);
    if (ms === undefined) return;
    const timer = setTimeout(() => (this.#closed ? undefined : void this.#settle(appId)), Math.max(ms, 1)).unref();
    this.#due.set(appId, timer);
  }

  schedule(appId: string): void {
    if (this.#closed || this.#writing.has(appId)) return;
    const writing = new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.#write(appId));
    this.#writing.set(appId, writing);
  }

  /** Writes zeros for everything, and no more after that. Answers whether something is left that others must see to. */
  async close(): Promise<boolean> {
    this.#closed = true;
    for (const timer of this.#due.values()) clearTimeout(timer);
    await Promise.all(this.#writing.values());
    await Promise.all(
      [...this.#apps].map(async ([appId, ledger]) => {
        ledger.leaveAll();
        if (ledger.hasWork()) await this.#write(appId);
      }),
    );
    return this.#due.size > 0 || [...this.#apps.values()].some((ledger) => !ledger.isEmpty());
  }

  #ledger(appId: string): AppLedger {
    const known = this.#apps.get(appId);
    if (known !== undefined) return known;
    const ledger = new AppLedger(appId, this.#parts.numbers);
    this.#apps.set(appId, ledger);
    return ledger;
  }

  async #write(appId: string): Promise<void> {
    const { store, rules, nextMark } = this.#parts;
    const ledger = this.#ledger(appId);
    try {
      for (let recoveries = 0; recoveries < MOST_RECOVERIES && (ledger.isSuspect() || ledger.hasWork());) {
        if (!ledger.touched) ledger.touched = await store.touch([appId]);
        if (!ledger.touched) return ledger.away();
        if (ledger.isSuspect()) {
          recoveries += 1;
          const own = await store.own(appId);
          if (own === undefined) return ledger.away();
          ledger.recover(own);
          continue;
        }
        const draft = ledger.draft(ITEMS_PER_WRITE);
        if (draft === undefined) continue;
        const next = nextMark();
        const answer = await store.apply(appId, { ...draft, expected: ledger.mark, next, rules: rules(appId) });
        if (answer === undefined) return ledger.away();
        this.#take(appId, ledger, next, answer);
      }
    } finally {
      // In the turn of the last look for work: whoever the last answer lets go on and change something must find that nobody is writing.
      this.#writing.delete(appId);
    }
  }

  #take(appId: string, ledger: AppLedger, mark: string, answer: Applied): void {
    if (answer.outcome === 'stale') return ledger.stale();
    if (answer.rosters.size > 0) this.#parts.listener.rosters(appId, answer.rosters);
    ledger.applied(mark, answer);
    this.dueIn(appId, answer.dueInMs);
    if (answer.enqueued > 0) this.#parts.listener.webhooks(appId);
  }

  async #settle(appId: string): Promise<void> {
    this.#due.delete(appId);
    const settled = await this.#parts.store.settle(appId, this.#parts.rules(appId));
    // Away: whoever comes first asks again; a replica that writes is told what is due.
    if (settled === undefined) return this.dueIn(appId, SETTLE_AGAIN_MS);
    if (settled.enqueued > 0) this.#parts.listener.webhooks(appId);
    this.dueIn(appId, settled.dueInMs);
  }
}

const SETTLE_AGAIN_MS = 1_000;
