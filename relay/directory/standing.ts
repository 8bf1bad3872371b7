import { admits } from '#crds/directory/admission.ts';
import type { Admission } from '#crds/directory/admission.ts';
import type { Checkpoint } from '#crds/directory/checkpoint.ts';
import { comparePositions } from '#crds/directory/position.ts';
import type { Keyring } from '#crds/keyring.ts';

export type StandingOptions = {
  readonly keyring: Keyring;
  readonly id: string;
  /** Fresh random text. */
  readonly nextNonce: () => string;
  /** RELAY_ADMIT_TIMEOUT. */
  readonly admitTimeoutMs: number;
  /** RELAY_FENCE_AFTER; null: never. */
  readonly fenceAfterMs: number | null;
};

/**
 * How this relay stands with the operator (rules 9 and 10). Memory only; `now` is monotonic milliseconds.
 *
 * A fence ends a run: the operator may have counted this relay out meanwhile and told users that everyone enforces a change which this
 * one has not seen. So it comes back under a new nonce and needs a new admission, as after a boot.
 */
export class Standing {
  readonly #options: StandingOptions;
  #nonce: string;
  #admitted = false;
  #fenced = false;
  /** An admission of this run that has not been reached yet: there is an operator, and it wants more than we have. */
  #wanted: Admission | undefined;
  #waitingSince: number | undefined;
  /** Start of the last report of this run that arrived; before that, of the first that may have. */
  #heardAt: number | undefined;

  constructor(options: StandingOptions) {
    this.#options = options;
    this.#nonce = options.nextNonce();
  }

  get nonce(): string {
    return this.#nonce;
  }
  get admitted(): boolean {
    return this.#admitted;
  }

  /** Must not serve, because nobody may be counting on it. Ask before each use: time alone changes the answer. */
  isFenced(now: number): boolean {
    this.#look(now);
    return this.#fenced && !this.#mayServe(now);
  }

  /** May serve what has been loaded. */
  isReady(now: number): boolean {
    this.#look(now);
    return this.#mayServe(now);
  }

  /** Serves without an operator's word. */
  isUnadmitted(now: number): boolean {
    return this.isReady(now) && !this.#admitted;
  }

  /** The directory is in memory: from now on an operator is waited for. */
  loaded(now: number): void {
    this.#waitingSince ??= now;
  }

  reporting(start: number): void {
    this.#look(start);
    this.#heardAt ??= start;
  }

  /** A report arrived. @param start when it was sent. @param nonce of the run that it was of. */
  reported(start: number, nonce: string, now: number): void {
    this.#look(now);
    if (nonce !== this.#nonce) return;
    this.#heardAt = start;
    if (this.#fenced) this.#waitingSince ??= now;
  }

  /** Rule 9: true when the admission is for this run and `applied` has reached it. */
  consider(admission: Admission, applied: Checkpoint, now: number): boolean {
    const { keyring, id } = this.#options;
    this.#look(now);
    if (this.#admitted) return true;
    if (!admits(keyring, id, this.#nonce, admission)) return false;
    const distance = comparePositions(applied, admission);
    if (distance < 0 || (distance === 0 && applied.digest !== admission.digest)) {
      this.#wanted = admission;
      return false;
    }
    this.#admitted = true;
    this.#fenced = false;
    this.#wanted = undefined;
    return true;
  }

  #mayServe(now: number): boolean {
    if (this.#waitingSince === undefined) return false;
    if (this.#admitted) return true;
    return this.#wanted === undefined && now - this.#waitingSince >= this.#options.admitTimeoutMs;
  }

  #look(now: number): void {
    const { fenceAfterMs, nextNonce } = this.#options;
    if (fenceAfterMs === null || this.#heardAt === undefined || now - this.#heardAt <= fenceAfterMs) return;
    this.#fenced = true;
    this.#nonce = nextNonce();
    this.#admitted = false;
    this.#wanted = undefined;
    this.#waitingSince = undefined;
    this.#heardAt = undefined;
  }
}
