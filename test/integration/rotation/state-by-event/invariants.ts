import { isDeepStrictEqual } from 'node:util';
import type { SimulatedRelay } from '../simulated-relay.ts';
import { CONDITION } from '#crds/conditions.ts';
import { TransientError } from '#operator/engine/errors.ts';
import type { Credential, Installation } from './installation.ts';

function holds(what: string, actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) throw new Error(`${what}: ${JSON.stringify(actual)}`);
}

const PATIENCE_MS = 60_000;

/** What must hold of every pair, whatever the table says of it. Nothing here asks the code that is tested what should be. */
export class Invariants {
  readonly #installation: Installation;
  /** Whoever rereads the Secret was let in by every relay at the last look. */
  #served = false;
  readonly #refusals: string[] = [];

  constructor(installation: Installation) {
    this.#installation = installation;
  }

  /** At every moment. */
  async look(): Promise<void> {
    const installation = this.#installation;
    this.carefulReader();
    holds('whoever rereads the Secret is never refused', this.#refusals, []);
    await this.#killed();
    const object = await installation.object();
    if (object !== undefined)
      holds(
        'nobody but its author changes a spec',
        installation.declared.some((spec) => isDeepStrictEqual(spec, object.spec)),
        true,
      );
  }

  /** Once it has come to rest in the state that it is in. */
  async atRest(): Promise<void> {
    const installation = this.#installation;
    if (!installation.operator.running || installation.databaseUnreachable) return;
    await this.#enforcedIsTrue();
    await this.#oneMailEach();
    if (installation.directory.unreachable) return;
    installation.writes = [];
    await installation.resync();
    holds('a second look finds nothing to write', installation.writes, []);
  }

  /** Once whatever was in the way is gone. */
  async healed(): Promise<void> {
    const installation = this.#installation;
    await this.atRest();
    holds('nothing waits to be handed out', await installation.readStaged(), undefined);
    const { rows } = await installation.pool.query(
      `SELECT id FROM app_key WHERE state = 'Pending' UNION ALL SELECT id FROM token WHERE state = 'Pending'`,
    );
    holds('nothing waits to be handed out', rows, []);
    const reader = this.#reader();
    if (reader === undefined || installation.dead) return;
    for (const relay of installation.directory.serving())
      holds(`${relay.id} lets in whoever reads the Secret`, installation.accepts(relay, reader), true);
  }

  /** What a dependency that is away made of the reconciles meanwhile. */
  troubles(): void {
    const { troubles, databaseUnreachable } = this.#installation;
    for (const trouble of troubles) {
      const backend = trouble instanceof TransientError ? trouble.backend : undefined;
      const refused = trouble instanceof Error && trouble.message === 'connect ECONNREFUSED';
      holds(String(trouble), databaseUnreachable && (backend === 'postgres' || refused), true);
    }
    this.#installation.troubles = [];
  }

  #reader(): Credential | undefined {
    const { credentials, subject, tampered } = this.#installation;
    const values = this.#installation.readable();
    if (values === undefined || (tampered && subject.secret !== undefined)) return undefined;
    return credentials.find(({ identity }) => identity === subject.protocol.identity(values));
  }

  /** Who rereads the Secret before each request is let in by every relay, and goes on to be, whatever is done to the credentials. */
  carefulReader(): void {
    const installation = this.#installation;
    const reader = this.#reader();
    const relays = reader === undefined ? [] : installation.directory.serving();
    const refusing = relays.filter((relay) => reader !== undefined && !installation.accepts(relay, reader));
    if (this.#served && !installation.excused)
      this.#refusals.push(...refusing.map(({ id }) => `${id} refuses ${reader?.letter ?? ''}, which is in the Secret`));
    this.#served = reader !== undefined && refusing.length === 0;
  }

  /** `Enforced` after a revoke, and an object that is gone, are guarantees. */
  async #killed(): Promise<void> {
    const installation = this.#installation;
    const { killed, directory, declared } = installation;
    if (killed.length === 0) return;
    const object = await installation.object();
    const enforced = await installation.condition(CONDITION.Enforced);
    // Not seen yet, or still at it.
    if (object !== undefined && !(isDeepStrictEqual(object.spec, declared.at(-1)) && enforced?.status === 'True'))
      return;
    // A relay that is silent for a minute no longer keeps an object from being deleted.
    const waived = object === undefined && installation.now - installation.killedAt > PATIENCE_MS;
    for (const relay of directory.serving()) {
      if (waived && relay.lagging) continue;
      const alive = killed.filter((credential) => installation.accepts(relay, credential));
      holds(
        `killed, that is enforced, and ${relay.id} accepts`,
        alive.map(({ letter }) => letter),
        [],
      );
    }
  }

  /** `Enforced` is True only if every relay that serves decides as one does that has just read everything from PostgreSQL. */
  async #enforcedIsTrue(): Promise<void> {
    const installation = this.#installation;
    if ((await installation.condition(CONDITION.Enforced))?.status !== 'True') return;
    const fresh = await installation.freshRelay();
    const decisions = (relay: SimulatedRelay): readonly string[] =>
      installation.credentials.map((each) => `${each.letter} ${installation.accepts(relay, each)}`);
    for (const relay of installation.directory.serving())
      holds(`Enforced is True, and ${relay.id} decides as PostgreSQL has it`, decisions(relay), decisions(fresh));
  }

  /** Exactly one mail of each rotation, at the most one of everything else. */
  async #oneMailEach(): Promise<void> {
    const { kind, name } = this.#installation.subject;
    const { rows } = await this.#installation.pool.query<{ occasion: string; mails: number }>(
      `SELECT concat_ws(' ', detail->>'what', detail->>'credentialId', CASE WHEN detail->>'what' LIKE '%Upcoming' THEN detail->>'at' END) AS occasion,
              count(*)::int AS mails
         FROM notification JOIN occasion ON occasion.key = notification.occasion AND occasion.installation = notification.installation
        WHERE detail->>'kind' = $1 AND detail->>'name' = $2 GROUP BY 1 HAVING count(*) > 1`,
      [kind, name],
    );
    holds('at the most one mail of each occasion', rows, []);
  }
}
