import { readFile, stat } from 'node:fs/promises';
import { Reader, type CountryResponse } from 'maxmind';
import type { Logger } from 'pino';
import type { Geography } from './countries.ts';
import type { GeoipMetrics } from './geoip-metrics.ts';
import { formatIpAddress, type IpAddress } from './ip-address.ts';

export type GeoipDatabaseParts = {
  /** An mmdb file with the fields of GeoLite2-Country or -City. It need not exist yet. */
  readonly path: string;
  readonly metrics: GeoipMetrics;
  readonly log: Logger;
  /** How often the file is looked at, in milliseconds. */
  readonly checkMs?: number;
};

const CHECK_MS = 5_000;
/** Many addresses share a record; the largest databases have some hundred thousand, most of them about towns. */
const MAX_CACHED_RECORDS = 10_000;
/** Clients whose country is remembered: some 100 bytes each. */
const MAX_REMEMBERED = 10_000;
const MAPPED_WORD = 0xffff;
/** In the database without a country, or not in it. */
const NOWHERE = '';

/**
 * The database of countries, in memory whole, read again when the file changes. It is looked at rather than watched: a notification is about
 * one directory entry, and in Kubernetes a mounted file changes by a link further up. What cannot be read leaves the former one in place.
 */
export class GeoipDatabase implements Geography, AsyncDisposable {
  readonly #parts: GeoipDatabaseParts;
  readonly #listeners = new Set<() => void>();
  readonly #countries = new Map<number, string>();
  #reader: Reader<CountryResponse> | undefined;
  /** The state of the file that was read, or could not be. */
  #seen: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #checking: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(parts: GeoipDatabaseParts) {
    this.#parts = parts;
  }

  /** Resolves when the file was read, or could not be: then there are no countries until it can. */
  static async open(parts: GeoipDatabaseParts): Promise<GeoipDatabase> {
    const database = new GeoipDatabase(parts);
    await database.#check();
    database.#plan();
    return database;
  }

  get available(): boolean {
    return this.#reader !== undefined;
  }

  countryOf(address: IpAddress | undefined): string | undefined {
    const { lookups } = this.#parts.metrics;
    if (this.#reader === undefined) {
      lookups.noDatabase.inc();
      return undefined;
    }
    const country = address === undefined ? undefined : this.#remembered(this.#reader, address);
    (country === undefined ? lookups.unknown : lookups.known).inc();
    return country;
  }

  /** A client sends many requests, and reading the file for it costs more than most other rules of the gate. */
  #remembered(reader: Reader<CountryResponse>, address: IpAddress): string | undefined {
    const [first, second, third, last] = address;
    // Of IPv4 clients: there are too many IPv6 addresses for one to come again.
    if (first !== 0 || second !== 0 || third !== MAPPED_WORD) return countryIn(reader, address);
    const known = this.#countries.get(last);
    if (known !== undefined) return known === NOWHERE ? undefined : known;
    if (this.#countries.size >= MAX_REMEMBERED) this.#countries.clear();
    const country = countryIn(reader, address);
    this.#countries.set(last, country ?? NOWHERE);
    return country;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#checking;
  }

  #plan(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#checking = this.#check().then(() => this.#plan());
    }, this.#parts.checkMs ?? CHECK_MS).unref();
  }

  async #check(): Promise<void> {
    const { path, metrics, log } = this.#parts;
    let state = MISSING;
    try {
      const { dev, ino, size, mtimeNs } = await stat(path, { bigint: true });
      state = `${dev}:${ino}:${size}:${mtimeNs}`;
      if (state === this.#seen) return;
      this.#reader = new Reader<CountryResponse>(await readFile(path), { cache: new RecordCache() });
    } catch (err) {
      // Once for each state that the file is in.
      if (state !== this.#seen)
        log.warn({ err, path, former: this.#reader !== undefined }, 'the database of countries cannot be read');
      this.#seen = state;
      return;
    }
    this.#seen = state;
    this.#countries.clear();
    const { databaseType, buildEpoch } = this.#reader.metadata;
    metrics.built.set(buildEpoch.getTime() / 1000);
    log.info({ path, databaseType, built: buildEpoch }, 'the database of countries is loaded');
    for (const listener of this.#listeners) listener();
  }
}

/** Stands in where no database is configured. */
export function noGeography({ lookups }: GeoipMetrics): Geography {
  return {
    available: false,
    countryOf: () => {
      lookups.noDatabase.inc();
      return undefined;
    },
    onChange: () => () => undefined,
  };
}

const MISSING = 'missing';

function countryIn(reader: Reader<CountryResponse>, address: IpAddress): string | undefined {
  try {
    // Only typed by the library: another kind of database has other fields.
    const code: unknown = reader.get(formatIpAddress(address))?.country?.iso_code;
    return typeof code === 'string' ? code : undefined;
  } catch {
    // A file that is damaged in the middle.
    return undefined;
  }
}

/** The decoded records by their place in the file. Emptied when full: it is full again soon, of what is asked for. */
class RecordCache {
  readonly #records = new Map<string | number, unknown>();

  get(key: string | number): unknown {
    return this.#records.get(key);
  }

  set(key: string | number, record: unknown): void {
    if (this.#records.size >= MAX_CACHED_RECORDS) this.#records.clear();
    this.#records.set(key, record);
  }
}
