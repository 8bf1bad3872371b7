import { CONDITION, REASON } from '#crds/conditions.ts';
import type { Installation } from './installation.ts';

/** Nothing that is said of a credential that works and is enforced everywhere. */
const USUAL: ReadonlySet<string> = new Set([REASON.Reconciled, REASON.AllReplicas]);

/** A status that is about the object as it is, and says nothing of the relays: nobody could wait for them. */
const NO_ENFORCED = 'without-Enforced';

/**
 * What an installation has come to, in the words of the table: whose value the Secret holds, in brackets what else is accepted, and what
 * the status says that is not the usual.
 */
export async function outcomeOf(installation: Installation): Promise<string> {
  const { credentials, directory, subject } = installation;
  const relays = directory.serving();
  const values = installation.readable();
  const held = credentials.find(
    ({ identity }) => values !== undefined && identity === subject.protocol.identity(values),
  );
  const object = await installation.object();
  const words = credentials.flatMap((credential) => {
    const accepting = relays.filter((relay) => installation.accepts(relay, credential)).length;
    if (credential === held || accepting === 0) return [];
    return [`${credential.letter}${accepting < relays.length ? '~' : ''}`];
  });
  const accepting = held === undefined ? 0 : relays.filter((relay) => installation.accepts(relay, held)).length;
  const refused = accepting === relays.length ? '' : accepting === 0 ? ' refused' : '~';
  const secret = held === undefined ? '–' : `${held.letter}${refused}`;
  const said = [CONDITION.Ready, CONDITION.Enforced, CONDITION.Warning].map((type) => installation.condition(type));
  const [ready, enforced, warning] = await Promise.all(said);
  const reasons = [ready, enforced, warning].flatMap((condition) =>
    condition === undefined || USUAL.has(condition.reason) ? [] : [condition.reason],
  );
  if (ready !== undefined && enforced === undefined) reasons.push(NO_ENFORCED);
  const life = object === undefined ? ['gone'] : object.metadata.deletionTimestamp === undefined ? [] : ['deleting'];
  return [secret, ...(words.length === 0 ? [] : [`(${words.toReversed().join(' ')})`]), ...life, ...reasons].join(' ');
}
