import { countryFor, type Geography } from '../access/countries.ts';
import type { Directory } from '../directory/directory.ts';
import { firstRefusal } from '../gate/gate.ts';
import type { RefusalCode } from '../gate/refusals.ts';
import { servingState } from '../gate/visit.ts';
import { countRefusal, type RelayMetrics } from './metrics.ts';
import type { RelaySocket } from './socket.ts';
import type { SocketRegistry } from './socket-registry.ts';

/** What the gate asks about a socket. */
export type Rules = {
  readonly directory: Directory;
  readonly geography: Geography;
  /** Epoch milliseconds. */
  readonly wallClock: () => number;
};

/**
 * Sends every open socket of the changed apps through the gate again and closes those that it would not let in now. Resolves when these
 * are gone: the follower reports a revision only then, so `Enforced` means that nobody is left (directory.md, rule 8).
 */
export async function recheckSockets(
  appIds: Iterable<string>,
  registry: SocketRegistry<RelaySocket>,
  rules: Rules,
  metrics: RelayMetrics,
): Promise<void> {
  const closing: Promise<void>[] = [];
  for (const appId of appIds) {
    for (const socket of registry.ofApp(appId)) {
      const code = liveRefusal(socket, rules);
      if (code === undefined) continue;
      countRefusal(metrics, 'live', code);
      closing.push(socket.closed());
      socket.refuse(code);
    }
  }
  await Promise.all(closing);
}

function liveRefusal(socket: RelaySocket, { directory, geography, wallClock }: Rules): RefusalCode | undefined {
  const app = directory.appById(socket.appId);
  return firstRefusal(
    {
      door: 'live',
      serving: servingState(directory, false),
      app,
      credential: { method: 'publicKey', key: socket.key },
      address: socket.address,
      country: countryFor(app?.access, socket.address, geography),
      origin: socket.origin,
      now: wallClock(),
    },
    'arrival',
  );
}
