import type { Roster } from '../occupancy/store.ts';
import type { RosterChange } from './presence.ts';

/** A roster's change as the store announces it. `youngMs` as in {@link Roster}. */
export type RosterDelta = RosterChange & {
  /** The version that it follows. */
  readonly previous: number;
  readonly version: number;
  readonly youngMs: number;
};

/** `fetch`: something was missed. `fetchInMs`: somebody may only be missing because the store is being filled again. */
export type RosterStep = { readonly changes: readonly RosterChange[]; readonly fetchInMs: number | undefined };

const MOST_EARLY = 1_000;
const FETCH_AGAIN_MS = 200;

/**
 * A presence channel as this replica's subscribers know it. Whoever is on the shared roster or has a socket here is a member; what was told
 * is remembered by itself, so however deltas, snapshots and own joins interleave, each change is told once. Pure.
 */
export class RosterView {
  /** undefined: never fetched. */
  #version: number | undefined;
  #shared = new Map<string, string>();
  readonly #told = new Map<string, string>();
  /** Deltas that came before those that they follow. */
  #early: RosterDelta[] = [];
  readonly #infoHere: (userId: string) => string | undefined;

  /** @param infoHere info of a user with a socket here. */
  constructor(infoHere: (userId: string) => string | undefined) {
    this.#infoHere = infoHere;
  }

  get version(): number | undefined {
    return this.#version;
  }

  /** userId → info */
  get members(): ReadonlyMap<string, string> {
    return this.#told;
  }

  /** The store began anew below it (a clock that went back): the next snapshot counts. */
  forgetVersion(): void {
    this.#version = undefined;
  }

  /** Sockets of the user came or went here. */
  changedHere(userId: string): readonly RosterChange[] {
    return this.#compare([userId]);
  }

  delta(delta: RosterDelta): RosterStep {
    if (this.#version === undefined || (delta.version > this.#version && delta.previous !== this.#version)) {
      this.#early.push(delta);
      // Whoever is so far behind fetches anyway.
      if (this.#early.length > MOST_EARLY) this.#early = [];
      return { changes: [], fetchInMs: 0 };
    }
    if (delta.version <= this.#version) return NOTHING;
    this.#version = delta.version;
    if ('added' in delta) {
      this.#shared.set(delta.added.userId, delta.added.info);
      return { changes: this.#compare([delta.added.userId]), fetchInMs: undefined };
    }
    if (delta.youngMs > 0) return { changes: [], fetchInMs: delta.youngMs };
    this.#shared.delete(delta.removed);
    return { changes: this.#compare([delta.removed]), fetchInMs: undefined };
  }

  fetched({ version, members, youngMs }: Roster): RosterStep {
    if (this.#version !== undefined && version < this.#version && youngMs === 0) return NOTHING;
    const concerned = new Set([...this.#shared.keys(), ...members.keys()]);
    this.#version = version;
    this.#shared = youngMs > 0 ? new Map([...this.#shared, ...members]) : new Map(members);
    const changes = [...this.#compare(concerned)];
    let fetchInMs = youngMs > 0 ? youngMs : undefined;
    for (const early of this.#early.splice(0)) {
      const step = this.delta(early);
      changes.push(...step.changes);
      fetchInMs ??= step.fetchInMs === 0 ? FETCH_AGAIN_MS : step.fetchInMs;
    }
    // Those that still do not follow may be of a history that the store has lost.
    this.#early = [];
    return { changes, fetchInMs };
  }

  #compare(userIds: Iterable<string>): RosterChange[] {
    const changes: RosterChange[] = [];
    for (const userId of userIds) {
      const info = this.#shared.get(userId) ?? this.#infoHere(userId);
      if (info !== undefined && !this.#told.has(userId)) {
        this.#told.set(userId, info);
        changes.push({ added: { userId, info } });
      } else if (info === undefined && this.#told.delete(userId)) changes.push({ removed: userId });
    }
    return changes;
  }
}

const NOTHING: RosterStep = { changes: [], fetchInMs: undefined };
