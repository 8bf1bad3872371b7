import { LACKS_GEOIP } from '#crds/directory/report.ts';
import { names, type DirectoryView } from '../directory/enforcement.ts';
import type { Enforcement } from '../directory/enforcement-watch.ts';

/** Which relays have no database of countries. `some` names them; undefined: not every relay has said so yet. */
export type WithoutDatabase =
  | { readonly relays: 'none' }
  | { readonly relays: 'all' }
  | { readonly relays: 'some'; readonly named: string }
  | undefined;

export function withoutDatabase({ members }: DirectoryView): WithoutDatabase {
  if (members.length === 0 || members.some(({ lacks }) => lacks === undefined)) return undefined;
  const without = members.filter(({ lacks }) => lacks?.has(LACKS_GEOIP) === true);
  if (without.length === 0) return { relays: 'none' };
  // Not by name when it is all of them: a rollout, which changes the names, then writes no status.
  return without.length === members.length ? { relays: 'all' } : { relays: 'some', named: names(without) };
}

/** Calls the listener when the answer of `withoutDatabase` is another one. Returns the way to stop. */
export function onDatabasesChange(enforcement: Enforcement, listener: () => void): () => void {
  const look = (): string => JSON.stringify(withoutDatabase(enforcement.view()));
  let seen = look();
  return enforcement.onChange(() => {
    const found = look();
    if (found === seen) return;
    seen = found;
    listener();
  });
}
