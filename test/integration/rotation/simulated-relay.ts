import type pg from 'pg';
import { signCheckpoint, type Checkpoint } from '#crds/directory/checkpoint.ts';
import type { Keyring } from '#crds/keyring.ts';
import type { MemberView } from '#operator/directory/enforcement.ts';
import { tokenHash } from '#crds/token-format.ts';
import { DirectoryIndex } from '#relay/directory/directory-index.ts';
import { EntryTable } from '#relay/directory/entry-table.ts';
import { splitCertificateName, splitKey } from '#relay/directory/decode-entry.ts';
import type { DirectoryFeed } from '#relay/directory/feed.ts';
import { loadTable } from '#relay/directory/load.ts';
import { firstRefusal } from '#relay/gate/gate.ts';
import type { RefusalCode } from '#relay/gate/refusals.ts';
import type { HttpVisit } from '#relay/gate/visit.ts';

export type BearerCall = { readonly appId: string; readonly token: string };
export type KeyCall = { readonly appId: string; readonly key: string; readonly secret: string };
export type CertificateCall = { readonly appId: string; readonly sha256: string };

/** A relay's decisions without its sockets: the real entry table over what PostgreSQL holds, and the real gate. */
export class SimulatedRelay {
  readonly id: string;
  readonly #keyring: Keyring;
  readonly #now: () => number;
  #table: EntryTable | undefined;
  #index = new DirectoryIndex();
  /** It does not follow at the moment: everything that it was told so far goes on to hold. */
  lagging = false;

  constructor(id: string, keyring: Keyring, now: () => number) {
    this.id = id;
    this.#keyring = keyring;
    this.#now = now;
  }

  /** kill -9 and a new boot: it serves nobody before it has loaded the directory again. */
  crash(): void {
    this.#table = undefined;
    this.#index = new DirectoryIndex();
    this.lagging = false;
  }

  get serving(): boolean {
    return this.#table !== undefined;
  }

  member(): MemberView {
    const { epoch, revision } = this.#table?.checkpoint ?? { epoch: 0, revision: 0 };
    const rejected = new Set(this.#table?.rejected());
    return { id: this.id, epoch, revision, admitted: this.serving, rejected, silent: this.lagging, lacks: new Set() };
  }

  /** Takes in what was published, unless it lags. */
  async follow(pool: pg.Pool): Promise<void> {
    if (this.lagging) return;
    const { rows } = await pool.query<{
      epoch: number;
      revision: number;
      count: number;
      digest: string;
      key_id: string;
    }>('SELECT epoch, revision, count, digest, key_id FROM directory');
    const [row] = rows;
    if (row === undefined || row.key_id === '') return;
    const old = this.#table;
    if (old?.checkpoint.revision === row.revision && old.checkpoint.epoch === row.epoch) return;
    const head = signCheckpoint(this.#keyring, { ...row, keyId: row.key_id });
    const entries = await pool.query<{ key: string; text: string }>('SELECT key, text FROM entry');
    const snapshot = entries.rows.map(({ key, text }) => [key, text] as const);
    const table = EntryTable.load(this.#keyring, head, snapshot, [], old);
    if (!(table instanceof EntryTable)) throw new Error(`relay ${this.id} cannot load the directory: ${table}`);
    this.#take(table, old);
  }

  /** As {@link follow}, of what the link between operator and relays holds. What cannot be loaded leaves it as it is. */
  async load(feed: DirectoryFeed): Promise<void> {
    if (this.lagging) return;
    const old = this.#table;
    const head = await feed.head();
    if (head?.epoch === old?.checkpoint.epoch && head?.revision === old?.checkpoint.revision) return;
    const table = await loadTable(this.#keyring, feed, old);
    if (table instanceof EntryTable) this.#take(table, old);
  }

  get checkpoint(): Checkpoint | undefined {
    return this.#table?.checkpoint;
  }

  #take(table: EntryTable, old: EntryTable | undefined): void {
    for (const { key, content } of table.changesSince(old)) {
      const [kind, name] = splitKey(key);
      if (kind === 'app') this.#index.setApp(name, content?.kind === 'app' ? content.app : undefined);
      if (kind === 'token') this.#index.setToken(name, content?.kind === 'token' ? content.token : undefined);
      if (kind === 'certificate') {
        const [appId, sha256] = splitCertificateName(name);
        this.#index.setCertificate(appId, sha256, content?.kind === 'certificate' ? content.certificate : undefined);
      }
    }
    this.#table = table;
  }

  /** What the gate says, and the id of the credential that it let in. */
  bearer({ appId, token }: BearerCall): { readonly refusal: RefusalCode | undefined; readonly credential: string } {
    const sha256 = tokenHash(token);
    const found = this.#index.tokenByHash(sha256);
    const refusal = firstRefusal(
      this.#visit(appId, { credential: { method: 'bearer', sha256 }, token: found }),
      'arrival',
    );
    return { refusal, credential: found?.id ?? '' };
  }

  /** As {@link bearer}, with `X-Relay-Key` and `X-Relay-Secret`. */
  keyAndSecret({ appId, key, secret }: KeyCall): {
    readonly refusal: RefusalCode | undefined;
    readonly credential: string;
  } {
    const refusal = firstRefusal(
      this.#visit(appId, { credential: { method: 'keyAndSecret', key, secret }, token: undefined }),
      'arrival',
    );
    const verified = this.#index
      .appById(appId)
      ?.keys.find((candidate) => candidate.key === key && candidate.secret.reveal() === secret);
    return { refusal, credential: verified?.id ?? '' };
  }

  /** With this client certificate, and a key that the app has. */
  certificate({ appId, sha256 }: CertificateCall): RefusalCode | undefined {
    const registration = this.#index.certificateOf(appId, sha256);
    const [key] = this.#index.appById(appId)?.keys ?? [];
    const credential = { method: 'keyAndSecret', key: key?.key ?? '', secret: key?.secret.reveal() ?? '' } as const;
    return firstRefusal(
      { ...this.#visit(appId, { credential, token: undefined }), certificate: { sha256 }, registration },
      'arrival',
    );
  }

  #visit(appId: string, how: Pick<HttpVisit, 'credential' | 'token'>): HttpVisit {
    return {
      door: 'http',
      serving: this.serving ? 'yes' : 'not_ready',
      app: this.#index.appById(appId),
      address: undefined,
      country: undefined,
      origin: undefined,
      certificate: undefined,
      registration: undefined,
      tlsMissing: false,
      scope: 'events:publish',
      method: 'POST',
      path: `/apps/${appId}/events`,
      parameters: [],
      duplicatedHeader: false,
      contentType: 'application/json',
      announcedBytes: 2,
      body: Buffer.from('{}'),
      withinRate: true,
      now: this.#now(),
      ...how,
    };
  }
}
