import { CONNECTIONS, parseMemberField } from './fields.ts';
import { REAPED, type Applied, type Item, type Own, type Write } from './store.ts';

/** This replica's numbers as they are in this moment. */
export interface LocalNumbers {
  /** @param field a name of fields.ts. */
  count(appId: string, field: string): { readonly count: number; readonly info: string };
  /** All fields that are not 0. */
  fields(appId: string): Iterable<string>;
}

/** `away`: the store did not answer, and the user is counted as soon as it does. */
export type MemberOutcome = 'in' | 'full' | 'away';

type Claim = { readonly gone: () => boolean; readonly answer: (granted: boolean | 'away') => void };
type Ask = { readonly limit: number; readonly answers: ((outcome: MemberOutcome) => void)[] };
type Flight = {
  readonly items: ReadonlyMap<string, number>;
  readonly asks: ReadonlyMap<string, Ask>;
  readonly claims: readonly Claim[];
  readonly rosters: readonly string[];
  readonly restoring: boolean;
};

/**
 * What one replica told the store of one app, and what it still has to tell. No I/O: writer.ts carries drafts and answers.
 *
 * The store keeps the mark of the last write it took. If it expects another one, it lost something, or somebody took this replica for dead,
 * or an answer was lost; then the ledger is made equal to what the store has and everything that differs is told again.
 */
export class AppLedger {
  mark = '';
  touched = false;
  /** Connections of others when they were last told. */
  elsewhere = 0;
  readonly #appId: string;
  readonly #numbers: LocalNumbers;
  readonly #told = new Map<string, number>();
  readonly #dirty = new Set<string>();
  readonly #asks = new Map<string, Ask>();
  readonly #rosters = new Set<string>();
  /** What the store had and lost, to be told again without announcing it a second time. */
  #restoring = new Map<string, number>();
  #claims: Claim[] = [];
  /** Sockets that were refused and are still among the connections for a moment: they must not turn others away. */
  #turnedAway: Claim[] = [];
  #limit = 0;
  #flight: Flight | undefined;
  #suspect = false;
  #leaving = false;

  constructor(appId: string, numbers: LocalNumbers) {
    this.#appId = appId;
    this.#numbers = numbers;
  }

  changed(field: string): void {
    this.#dirty.add(field);
  }

  claim(limit: number, gone: () => boolean): Promise<boolean | 'away'> {
    this.#limit = limit;
    return new Promise((answer) => this.#claims.push({ gone, answer }));
  }

  ask(field: string, limit: number): Promise<MemberOutcome> {
    const ask = this.#asks.get(field) ?? { limit, answers: [] };
    this.#asks.set(field, ask);
    this.#dirty.add(field);
    return new Promise((resolve) => ask.answers.push(resolve));
  }

  wantRoster(channel: string): void {
    this.#rosters.add(channel);
  }

  toldAhead(field: string): number {
    return this.#flight?.items.get(field) ?? this.#told.get(field) ?? 0;
  }

  hasWork(): boolean {
    return (
      this.#suspect ||
      this.#dirty.size + this.#asks.size + this.#rosters.size + this.#restoring.size + this.#claims.length > 0
    );
  }

  isEmpty(): boolean {
    return this.#told.size === 0 && !this.hasWork();
  }

  isSuspect(): boolean {
    return this.#suspect;
  }

  suspect(): void {
    this.#suspect = true;
  }

  /** From now on every number is 0. */
  leaveAll(): void {
    this.#leaving = true;
    this.#restoring.clear();
    this.#rosters.clear();
    for (const field of this.#told.keys()) this.#dirty.add(field);
  }

  /** The next write, or undefined when there turns out to be nothing to say. */
  draft(most: number): Omit<Write, 'expected' | 'next' | 'rules'> | undefined {
    if (this.#restoring.size > 0) return this.#restoration(most);
    const asks = new Map<string, Ask>();
    const items: Item[] = [];
    const claims = this.#livingClaims();
    if (claims.length > 0) this.#dirty.add(CONNECTIONS);
    for (const field of this.#dirty) {
      if (items.length === most) break;
      this.#dirty.delete(field);
      const ask = this.#asks.get(field);
      this.#asks.delete(field);
      const item = this.#item(field, ask, field === CONNECTIONS ? claims : []);
      if (item.count === (this.#told.get(field) ?? 0) && item.claim === 0) {
        // A user who is in already, or is gone again.
        if (ask !== undefined) settleAsk(ask, 'in');
        continue;
      }
      items.push(item);
      if (ask !== undefined) asks.set(field, ask);
    }
    if (claims.length > 0 && !items.some(({ claim }) => claim > 0)) {
      this.#claims.unshift(...claims);
      claims.length = 0;
    }
    const rosters = this.#dirty.size === 0 ? [...this.#rosters].slice(0, MOST_ROSTERS) : [];
    for (const channel of rosters) this.#rosters.delete(channel);
    if (items.length + rosters.length === 0) return undefined;
    const told = new Map(items.map(({ field, count }) => [field, count]));
    this.#flight = { items: told, asks, claims, rosters, restoring: false };
    return { restoring: false, items, rosters };
  }

  applied(mark: string, answer: Extract<Applied, { outcome: 'applied' }>): void {
    this.mark = mark;
    const flight = this.#land();
    if (flight === undefined) return;
    for (const [field, count] of flight.items) {
      const now = answer.refused.has(field) ? 0 : count + (field === CONNECTIONS ? answer.granted : 0);
      if (now > 0) this.#told.set(field, now);
      else this.#told.delete(field);
      if (flight.restoring) this.#restoring.delete(field);
    }
    this.elsewhere = Math.max(answer.connections - (this.#told.get(CONNECTIONS) ?? 0), 0);
    flight.claims.forEach(({ answer: tell }, index) => tell(index < answer.granted));
    for (const [field, ask] of flight.asks) settleAsk(ask, answer.refused.has(field) ? 'full' : 'in');
    this.#turnedAway.push(...flight.claims.slice(answer.granted));
    if (flight.restoring && this.#restoring.size === 0) this.#tellDifferences();
  }

  /** Nothing was applied. */
  stale(): void {
    this.#suspect = true;
    this.#takeBack(this.#land());
  }

  /** No answer: it may have been applied or not. Nobody waits for it any longer. */
  away(): void {
    const flight = this.#land();
    // If it was, the mark will tell.
    if (flight !== undefined) this.#suspect = true;
    for (const field of flight?.items.keys() ?? []) this.#dirty.add(field);
    for (const channel of flight?.rosters ?? []) this.#rosters.add(channel);
    for (const { answer } of [...(flight?.claims ?? []), ...this.#claims.splice(0)]) answer('away');
    for (const ask of [...(flight?.asks.values() ?? []), ...this.#asks.values()]) settleAsk(ask, 'away');
    this.#asks.clear();
  }

  /** Makes the ledger equal to what the store has. */
  recover(own: Own): void {
    this.#suspect = false;
    if (own.mark === '') {
      for (const [field, count] of this.#told) this.#restoring.set(field, count);
    }
    // Whoever took the numbers back, or lost them, has forgotten that they were ours, too.
    if (own.mark === '' || own.mark === REAPED) this.touched = false;
    this.mark = own.mark;
    this.#told.clear();
    for (const [field, count] of own.counts) {
      this.#told.set(field, count);
      this.#restoring.delete(field);
    }
    this.#tellDifferences();
  }

  #tellDifferences(): void {
    for (const field of this.#told.keys()) this.#dirty.add(field);
    if (!this.#leaving) for (const field of this.#numbers.fields(this.#appId)) this.#dirty.add(field);
  }

  #restoration(most: number): Omit<Write, 'expected' | 'next' | 'rules'> {
    const items = [...this.#restoring].slice(0, most).map(([field, count]) => {
      const { info } = this.#numbers.count(this.#appId, field);
      return { field, count, info, limit: undefined, claim: 0 };
    });
    const told = new Map(items.map(({ field, count }) => [field, count]));
    this.#flight = { items: told, asks: new Map(), claims: [], rosters: [], restoring: true };
    return { restoring: true, items, rosters: [] };
  }

  #item(field: string, ask: Ask | undefined, claims: readonly Claim[]): Item {
    const { count, info } = this.#leaving ? NOBODY : this.#numbers.count(this.#appId, field);
    if (field !== CONNECTIONS) {
      return { field, count, info: parseMemberField(field) === undefined ? '' : info, limit: ask?.limit, claim: 0 };
    }
    this.#turnedAway = this.#turnedAway.filter(({ gone }) => !gone());
    const placed = Math.max(count - claims.length - this.#turnedAway.length, 0);
    return { field, count: placed, info: '', limit: claims.length > 0 ? this.#limit : undefined, claim: claims.length };
  }

  #livingClaims(): Claim[] {
    const claims = this.#claims.splice(0);
    for (const { gone, answer } of claims) if (gone()) answer(false);
    return claims.filter(({ gone }) => !gone());
  }

  #land(): Flight | undefined {
    const flight = this.#flight;
    this.#flight = undefined;
    return flight;
  }

  #takeBack(flight: Flight | undefined): void {
    if (flight === undefined) return;
    for (const field of flight.items.keys()) this.#dirty.add(field);
    for (const channel of flight.rosters) this.#rosters.add(channel);
    this.#claims.unshift(...flight.claims);
    for (const [field, ask] of flight.asks) {
      const later = this.#asks.get(field);
      this.#asks.set(field, { limit: ask.limit, answers: [...ask.answers, ...(later?.answers ?? [])] });
    }
  }
}

/** Rosters may be large. */
const MOST_ROSTERS = 50;
const NOBODY = { count: 0, info: 'null' };

function settleAsk({ answers }: Ask, outcome: MemberOutcome): void {
  for (const answer of answers) answer(outcome);
}
