import { MAX_PUBLIC_KEYS, type PublicKeys, type RegisteredKey } from './public-keys.ts';

/** Of one process; replicas of one test share an instance. */
export class MemoryPublicKeys implements PublicKeys {
  readonly #max: number;
  readonly #apps = new Map<string, Map<string, RegisteredKey>>();
  #away = false;

  constructor(max = MAX_PUBLIC_KEYS) {
    this.#max = max;
  }
  goAway(): void {
    this.#away = true;
  }
  comeBack(): void {
    this.#away = false;
  }

  put(appId: string, key: RegisteredKey): Promise<'stored' | 'full' | 'away'> {
    if (this.#away) return Promise.resolve('away');
    const keys = this.#apps.get(appId) ?? new Map<string, RegisteredKey>();
    if (!keys.has(key.participant) && keys.size >= this.#max) return Promise.resolve('full');
    this.#apps.set(appId, keys.set(key.participant, key));
    return Promise.resolve('stored');
  }

  get(appId: string, participant: string): Promise<RegisteredKey | undefined | 'away'> {
    return Promise.resolve(this.#away ? 'away' : this.#apps.get(appId)?.get(participant));
  }

  list(appId: string): Promise<readonly RegisteredKey[] | 'away'> {
    const keys = [...(this.#apps.get(appId)?.values() ?? [])];
    return Promise.resolve(this.#away ? 'away' : keys.sort((a, b) => (a.participant < b.participant ? -1 : 1)));
  }

  remove(appId: string, participant: string): Promise<'removed' | 'unknown' | 'away'> {
    if (this.#away) return Promise.resolve('away');
    return Promise.resolve(this.#apps.get(appId)?.delete(participant) === true ? 'removed' : 'unknown');
  }
}
