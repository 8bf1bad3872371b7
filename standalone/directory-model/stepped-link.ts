import { tokenEntryKey } from '#crds/directory/entry-body.ts';
import type { DirectoryStore } from '#operator/directory/directory-store.ts';
import type { DirectoryFeed } from '#relay/directory/feed.ts';
import type { SimulatedProcess, Simulation } from './simulation.ts';
import { hashOf, NAMES } from './tokens.ts';

// Redis as one simulated process reaches it: every call is a step, and what it does is taken from the twin at that moment.

type Steps = { readonly simulation: Simulation; readonly process: SimulatedProcess };

export function steppedStore(store: DirectoryStore, { simulation, process }: Steps): DirectoryStore {
  const call = <T>(effect: () => Promise<T>): Promise<T> => simulation.call(process, 'redis', effect);
  return {
    head: () => call(() => store.head()),
    publish: async (rows) => {
      // One script per row, each of them a step.
      for (const [index, row] of rows.entries()) if ((await call(() => store.publish([row]))) === 0) return index;
      return rows.length;
    },
    beat: (checkpoint) => call(() => store.beat(checkpoint)),
    fill: async (epoch, entries) => {
      for (const entry of entries) await call(() => store.fill(epoch, [entry]));
    },
    flip: (checkpoint) => call(() => store.flip(checkpoint)),
    discard: (epoch) => call(() => store.discard(epoch)),
    reports: () => call(() => store.reports()),
    forget: (id, nonce) => call(() => store.forget(id, nonce)),
    admit: (id, admission) => call(() => store.admit(id, admission)),
    onReport: (listener) =>
      store.onReport((announcement) => {
        if (!process.partitioned) process.deliver(() => listener(announcement));
      }),
  };
}

export function steppedFeed(feed: DirectoryFeed, { simulation, process }: Steps): DirectoryFeed {
  const call = <T>(effect: () => Promise<T>): Promise<T> => simulation.call(process, 'redis', effect);
  return {
    head: () => call(() => feed.head()),
    // Entry by entry, so that changes and flushes fall between two pages.
    snapshot: async function* (epoch) {
      for (const name of NAMES) {
        const found: (readonly [string, string])[] = [];
        yield await call(async () => {
          for await (const page of feed.snapshot(epoch)) {
            found.push(...page.filter(([key]) => key === tokenEntryKey(hashOf(name))));
          }
          return found;
        });
      }
    },
    log: (epoch, revision, limit) => call(() => feed.log(epoch, revision, limit)),
    follow: async (epoch, revision, waitMs, signal) => {
      const found = await call(() => feed.log(epoch, revision, 100));
      if (found === undefined || found.length > 0) return found;
      await simulation.sleep(process, waitMs / 4, signal);
      return call(() => feed.log(epoch, revision, 100));
    },
    report: (id, report) => call(() => feed.report(id, report)),
    admission: (id) => call(() => feed.admission(id)),
  };
}
