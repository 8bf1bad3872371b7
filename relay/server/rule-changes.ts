import { countryFor, type Geography } from '../access/countries.ts';
import type { Directory } from '../directory/directory.ts';
import { firstRefusal } from '../gate/gate.ts';
import type { RefusalCode } from '../gate/refusals.ts';
import { registrationOf, servingState } from '../gate/visit.ts';
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
  concerned: (socket: RelaySocket) => boolean = () => true,
): Promise<void> {
  const closing: Promise<void>[] = [];
  for (const appId of appIds) {
    for (const socket of registry.ofApp(appId)) {
      const code = concerned(socket) ? liveRefusal(socket, rules) : undefined;
      if (code === undefined) continue;
      countRefusal(metrics, 'live', code);
      closing.push(socket.closed());
      socket.refuse(code);
    }
  }
  await Promise.all(closing);
}

/** Of a change of tokens: those that a token signed for, which are few. */
export function reliesOnToken({ relayTokens }: RelaySocket): boolean {
  return relayTokens.length > 0;
}

function liveRefusal(socket: RelaySocket, { directory, geography, wallClock }: Rules): RefusalCode | undefined {
  const app = directory.appById(socket.appId);
  const now = wallClock();
  return firstRefusal(
    {
      door: 'live',
      serving: servingState(directory, false),
      app,
      credential: { method: 'publicKey', key: socket.key },
      address: socket.address,
      country: countryFor(app?.access, socket.address, geography),
      origin: socket.origin,
      certificate: socket.certificate,
      registration: registrationOf(directory, app, socket.certificate),
      now,
      relayTokensAccepted: socket.relayTokens.every((owner) => directory.acceptsTokenOf(socket.appId, owner, now)),
    },
    'arrival',
  );
}
