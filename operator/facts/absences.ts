import type { Gap, SourceState } from './progress.ts';

/** A relay tells within seconds of its start, and every 30 s when there is nothing to tell. */
const PATIENCE_MS = 90_000;

export type Absent = {
  /** Replicas that will say no more, as they promised or not. */
  readonly gone: readonly string[];
  readonly gap: Gap | undefined;
};

/**
 * Notices relays that cannot tell any more what they had to tell. Measured by this process, on its own monotonic clock: after a change of
 * leader everybody is waited for anew.
 */
export class Absences {
  /** By replica, when it was last heard here. */
  readonly #heard = new Map<string, number>();
  /** Members that have never told, and since when that is so. */
  readonly #untold = new Map<string, number>();

  heard(replica: string, now: number): void {
    this.#heard.set(replica, now);
  }

  /**
   * @param members ids of the relays that count for the directory; undefined: not known
   * @param now monotonic ms
   */
  look(sources: ReadonlyMap<string, SourceState>, members: readonly string[] | undefined, now: number): Absent {
    if (members === undefined) return { gone: [], gap: undefined };
    const isMember = new Set(members);
    const gone = [...sources.values()].filter(
      ({ replica }) => !isMember.has(replica) && this.#silentFor(replica, now) > PATIENCE_MS,
    );
    for (const { replica } of gone) this.#heard.delete(replica);
    const silent = this.#lookForUntold(sources, isMember, now);
    const died = gone.some(({ ended }) => !ended);
    return { gone: gone.map(({ replica }) => replica), gap: died ? 'died' : silent ? 'silent' : undefined };
  }

  /** Whether somebody served without telling, and it is over. */
  #lookForUntold(sources: ReadonlyMap<string, SourceState>, members: ReadonlySet<string>, now: number): boolean {
    let over = false;
    for (const [id, since] of this.#untold) {
      const left = !members.has(id);
      const tells = sources.has(id);
      if (!left && !tells) continue;
      this.#untold.delete(id);
      over ||= !tells || now - since > PATIENCE_MS;
    }
    for (const id of members) if (!sources.has(id) && !this.#untold.has(id)) this.#untold.set(id, now);
    return over;
  }

  #silentFor(replica: string, now: number): number {
    const since = this.#heard.get(replica);
    if (since !== undefined) return now - since;
    this.#heard.set(replica, now);
    return 0;
  }
}
