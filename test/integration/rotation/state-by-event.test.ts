import { afterAll, beforeAll, expect, test } from 'vitest';
import { events, type EventName } from './state-by-event/events.ts';
import { live } from './state-by-event/history.ts';
import { HOUR, Installation } from './state-by-event/installation.ts';
import { Invariants } from './state-by-event/invariants.ts';
import { outcomeOf } from './state-by-event/outcome.ts';
import { states, type History, type State, type StateName } from './state-by-event/states.ts';
import { subjects, type SubjectName } from './state-by-event/subjects.ts';
import { Table, type Row } from './state-by-event/table.ts';

// Every state of Kubernetes, PostgreSQL, Redis and the relays × everything that can happen, for each kind. state-by-event.md is the table and
// says what each pair comes to; invariants.ts holds whatever it says. The real reconcilers, registry, log of the publisher, membership, entry
// table and gate, on a clock that the test moves.

const table = Table.read();
const namesOf = <Name extends string>(record: Readonly<Record<Name, unknown>>): Name[] => Object.keys(record) as Name[];
const kinds = namesOf<SubjectName>(subjects);
const rows: readonly Row[] = namesOf<StateName>(states).flatMap((state) =>
  namesOf<EventName>(events).map((event) => ({ state, event })),
);

/** One of each kind, and what it went through before. */
const installations = new Map<SubjectName, { readonly installation: Installation; readonly history: History }>();
beforeAll(async () => {
  for (const kind of kinds) {
    const installation = await Installation.open(subjects[kind]);
    installations.set(kind, { installation, history: await live(installation) });
  }
});
afterAll(async () => {
  for (const { installation } of installations.values()) await installation[Symbol.asyncDispose]();
});

test('the table has a row for every pair, and no others', () => {
  expect(table.rows).toEqual(rows);
  expect(rows.length * kinds.length).toBe(26 * 16 * 3);
});

test('what the table calls impossible has a reason there, and every reason is of something', () => {
  const given = rows.flatMap((row) => kinds.flatMap((kind) => table.impossible(row, kind) ?? []));
  expect([...new Set(given)].toSorted()).toEqual(table.reasons.toSorted());
});

/** What the pair comes to: as long as the state lasts, and afterwards. */
async function run({ state: name, event }: Row, kind: SubjectName): Promise<string> {
  const state: State = states[name];
  const found = installations.get(kind);
  if (found === undefined) throw new Error(`no installation of ${kind}`);
  const { installation, history } = found;
  await installation.goTo(history.base);
  const invariants = new Invariants(installation);
  invariants.carefulReader();
  installation.onLook(
    () => invariants.look(),
    () => invariants.carefulReader(),
  );

  if (state.when === 'before the event') await state.enter(installation, history);
  await events[event](installation, history);
  if (state.when === 'after the event') {
    await state.enter(installation, history);
    await installation.settle();
  }
  if (state.leave === undefined) return atLast(installation, invariants);
  await invariants.atRest();
  const meanwhile = await outcomeOf(installation);
  invariants.troubles();
  await state.leave(installation, history);
  await installation.settle();
  // By then everything that waited has been looked at again.
  installation.now += HOUR;
  await installation.settle();
  const outcome = await atLast(installation, invariants);
  return meanwhile === outcome ? outcome : `${meanwhile} → ${outcome}`;
}

async function atLast(installation: Installation, invariants: Invariants): Promise<string> {
  await invariants.healed();
  return outcomeOf(installation);
}

test.for(rows)('$state × $event', async (row) => {
  const possible = kinds.filter((kind) => table.impossible(row, kind) === undefined);
  const runs = await Promise.allSettled(possible.map((kind) => run(row, kind)));
  const outcomes = runs.map((result) => (result.status === 'fulfilled' ? result.value : String(result.reason)));
  const lines = (cells: readonly (string | undefined)[]): readonly string[] =>
    possible.map((kind, index) => `${kind}: ${cells[index] ?? ''}`);
  expect(lines(outcomes)).toEqual(lines(possible.map((kind) => table.cell(row, kind))));
});
