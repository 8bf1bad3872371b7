import { hkdfSync } from 'node:crypto';
import { inspect } from 'node:util';
import { z } from 'zod';

/** A secret text that prints as `[redacted]` wherever it is logged, inspected or serialised. `reveal()` is the one way to its value. */
export class Secret {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  reveal(): string {
    return this.#value;
  }
  toString(): string {
    return '[redacted]';
  }
  toJSON(): string {
    return '[redacted]';
  }
  [inspect.custom](): string {
    return '[redacted]';
  }
}

const entry = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,32}:[A-Za-z0-9+/_-]+={0,2}$/, 'must be id:base64, the id of letters, digits, - and _');

/**
 * Named 32-byte keys, as `ENCRYPTION_KEYS` and `DIRECTORY_KEYS` give them: `id:base64,id:base64`. The first encrypts and signs, all of
 * them decrypt and verify, so a key is rotated by prepending the new one and later dropping the old one.
 * Every use derives its own sub-key (HKDF-SHA256, RFC 5869, with the purpose as info), so no key serves two algorithms.
 */
export class Keyring {
  readonly #keys: ReadonlyMap<string, Buffer>;
  readonly #derived = new Map<string, Buffer>();
  readonly current: string;

  private constructor(keys: ReadonlyMap<string, Buffer>, current: string) {
    this.#keys = keys;
    this.current = current;
  }

  /** Throws an Error that names what is wrong with which id, and never the key. */
  static parse(text: string): Keyring {
    const keys = new Map<string, Buffer>();
    let current: string | undefined;
    for (const part of text.split(',')) {
      const trimmed = part.trim();
      if (!entry.safeParse(trimmed).success) {
        throw new Error(
          'expected id:base64,id:base64 with ids of letters, digits, - and _ (make one with: openssl rand -base64 32)',
        );
      }
      const colon = trimmed.indexOf(':');
      const id = trimmed.slice(0, colon);
      const key = Buffer.from(trimmed.slice(colon + 1), 'base64');
      if (key.length !== 32)
        throw new Error(`key ${id} has ${key.length} bytes, expected 32 (openssl rand -base64 32)`);
      if (keys.has(id)) throw new Error(`key id ${id} stands twice`);
      keys.set(id, key);
      current ??= id;
    }
    if (current === undefined) throw new Error('expected at least one id:base64 key');
    return new Keyring(keys, current);
  }

  ids(): string[] {
    return [...this.#keys.keys()];
  }

  /** The 32-byte sub-key of key `id` for one purpose, or undefined when the ring has no such key. */
  derive(id: string, purpose: string): Buffer | undefined {
    const key = this.#keys.get(id);
    if (key === undefined) return undefined;
    const cacheKey = `${id}\0${purpose}`;
    let derived = this.#derived.get(cacheKey);
    if (derived === undefined) {
      derived = Buffer.from(hkdfSync('sha256', key, '', `relay-operator/${purpose}`, 32));
      this.#derived.set(cacheKey, derived);
    }
    return derived;
  }

  toJSON(): unknown {
    return { keys: this.ids() };
  }
  [inspect.custom](): string {
    return `Keyring(${this.ids().join(', ')})`;
  }
}
