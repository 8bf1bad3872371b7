import type { Logger } from 'pino';
import { signAdmission } from '#crds/directory/admission.ts';
import type { Checkpoint } from '#crds/directory/checkpoint.ts';
import type { Position } from '#crds/directory/position.ts';
import type { ReplicaReport } from '#crds/directory/report.ts';
import type { Keyring } from '#crds/keyring.ts';
import type { MonotonicClock } from './clock.ts';
import type { DirectoryStore } from './directory-store.ts';
import type { MemberView } from './enforcement.ts';
import { depart, departures, hear, highestReport, isSilent, markSaved, startMembership } from './membership.ts';
import type { Departure, Member, Membership } from './membership.ts';
import type { PodLook } from './pod-look.ts';
import type { RegistryLog, ReplicaRow } from './registry-log.ts';

export type MemberKeeperOptions = {
  readonly keyring: Keyring;
  readonly registry: RegistryLog;
  readonly store: DirectoryStore;
  readonly clock: MonotonicClock;
  readonly log: Logger;
  readonly podLook?: PodLook;
};

type ReplicaRun = Pick<Member, 'id' | 'nonce' | 'podUid'>;

/** The same silent replica is looked for at most this often. */
const LOOK_EVERY_MS = 10_000;

/** Keeps the membership of one term: hears reports, writes it down, admits, and lets go. */
export class MemberKeeper {
  readonly #options: MemberKeeperOptions;
  readonly #term: number;
  readonly #lookedAt = new Map<string, number>();
  /** Departures that a look has found, for the next upkeep. */
  readonly #gone: Departure[] = [];
  /** Runs that this process has admitted once. */
  readonly #admitted = new Set<string>();
  #membership: Membership;

  constructor(options: MemberKeeperOptions, term: number, rows: readonly ReplicaRow[]) {
    this.#options = options;
    this.#term = term;
    this.#membership = startMembership(rows, options.clock.monotonic());
  }

  /** Returns whether a run has appeared that waits for its admission. */
  hear(reports: Iterable<readonly [id: string, report: ReplicaReport]>): boolean {
    const before = this.#membership;
    this.#membership = hear(before, reports, this.#options.clock.monotonic());
    if (this.#membership === before) return false;
    return [...this.#membership.members.values()].some(
      ({ nonce, report }) => report?.admitted === false && !report.bye && !this.#admitted.has(nonce),
    );
  }

  highestReport(): Position {
    return highestReport(this.#membership);
  }

  /** Every relay that reported has this key of DIRECTORY_KEYS. */
  allHaveKey(keyId: string): boolean {
    return [...this.#membership.members.values()].every(({ report }) => report?.keyIds.includes(keyId) ?? false);
  }

  view(): MemberView[] {
    const now = this.#options.clock.monotonic();
    return [...this.#membership.members.values()].map((member) => ({
      id: member.id,
      epoch: member.report?.epoch ?? 0,
      revision: member.report?.revision ?? 0,
      admitted: member.report?.admitted ?? false,
      rejected: new Set(member.report?.rejected),
      silent: isSilent(member, now),
      lacks: member.report === undefined ? undefined : new Set(member.report.lacks),
    }));
  }

  /**
   * Rules 9 and 10. Call it right after reports have been read and rule 5 has succeeded: silence that was only our own deafness must not
   * count.
   * @param checkpoint the truth that rule 5 has just seen in Redis.
   * @param reports as read before that: a run that appeared later may have missed a revision that was already enforced everywhere.
   */
  async upkeep(
    checkpoint: Checkpoint,
    reports: ReadonlyMap<string, ReplicaReport>,
    signal: AbortSignal,
  ): Promise<void> {
    const now = this.#options.clock.monotonic();
    for (const departure of [...departures(this.#membership, now), ...this.#gone.splice(0)])
      await this.#release(departure);
    for (const member of this.#membership.members.values()) {
      if (!member.saved) await this.#save(member);
      const read = reports.get(member.id);
      if (read?.nonce === member.nonce && !read.admitted) await this.#admit(member, checkpoint);
      if (isSilent(member, now)) this.#lookFor(member, now, signal);
    }
  }

  async #release(departure: Departure): Promise<void> {
    const { registry, store, log } = this.#options;
    const { id, nonce, why } = departure;
    // PostgreSQL first: what is left in Redis then is found again, the other way round a partitioned relay could be forgotten.
    await registry.removeReplica(this.#term, id, nonce);
    this.#membership = depart(this.#membership, departure);
    this.#admitted.delete(nonce);
    this.#lookedAt.delete(nonce);
    await store.forget(id, nonce);
    log.info({ replica: id, why }, 'relay has left');
  }

  async #save({ id, nonce, podUid, fenceAfterMs }: Member): Promise<void> {
    const row = { id, nonce, podUid, fenceAfterMs };
    await this.#options.registry.saveReplica(this.#term, row);
    this.#membership = markSaved(this.#membership, row);
  }

  async #admit({ id, nonce }: Member, { epoch, revision, digest, keyId }: Checkpoint): Promise<void> {
    const { keyring, store, log } = this.#options;
    await store.admit(id, signAdmission(keyring, id, { nonce, epoch, revision, digest, keyId }));
    if (!this.#admitted.has(nonce)) log.info({ replica: id, epoch, revision }, 'relay admitted');
    this.#admitted.add(nonce);
  }

  /** In the background: the API server may be slow, and the beat must not wait for it. */
  #lookFor({ id, nonce, podUid }: Member, now: number, signal: AbortSignal): void {
    const { podLook } = this.#options;
    if (podLook === undefined) return;
    const last = this.#lookedAt.get(nonce);
    if (last !== undefined && now - last < LOOK_EVERY_MS) return;
    this.#lookedAt.set(nonce, now);
    void this.#look(podLook, { id, nonce, podUid }, signal);
  }

  async #look(podLook: PodLook, { id, nonce, podUid }: ReplicaRun, signal: AbortSignal): Promise<void> {
    try {
      const found = await podLook.look({ id, podUid }, signal);
      if (found === 'gone') this.#gone.push({ id, nonce, why: 'pod_gone' });
    } catch (error) {
      this.#options.log.warn({ replica: id, err: error }, 'the pod of a silent relay could not be looked at');
    }
  }
}
