import type { Logger } from 'pino';
import type { Bus } from '../bus/bus.ts';
import type { Directory } from '../directory/directory.ts';
import type { RefusalCode } from '../gate/refusals.ts';
import type { Monotonic } from '../limits/monotonic.ts';
import type { Occupancy } from '../occupancy/occupancy.ts';
import type { Tallies } from '../usage/usage.ts';
import type { Arrivals } from '../connections/arrivals.ts';
import type { CredentialUses } from '../credential-use/use-tally.ts';
import type { Screening } from '../screening/screening.ts';
import type { Users } from '../users/users.ts';
import type { WebhookSink } from '../webhooks/webhook-sink.ts';
import type { ClientEvent, FanOut } from './fan-out.ts';
import type { Memberships } from './memberships.ts';
import { countRefusal, type RelayMetrics } from './metrics.ts';
import type { Outbox } from './outbox.ts';
import { Pace, type PaceParts, type Readable } from './pace.ts';
import type { RelaySocket } from './socket.ts';
import type { SocketRegistry } from './socket-registry.ts';

export type HubParts = {
  readonly registry: SocketRegistry<RelaySocket>;
  readonly outbox: Outbox;
  readonly fanOut: FanOut;
  readonly bus: Bus;
  readonly occupancy: Occupancy;
  readonly memberships: Memberships;
  readonly users: Users;
  readonly webhooks: WebhookSink;
  readonly screening: Screening;
  readonly usage: Tallies;
  readonly credentialUses: CredentialUses;
  /** Told of every socket that came or went, when it is counted. */
  readonly arrivals: Arrivals;
  readonly directory: Directory;
  readonly metrics: RelayMetrics;
  readonly log: Logger;
  readonly now: Monotonic;
  /** Epoch milliseconds. */
  readonly wallClock: () => number;
  /** Most subscriptions of one socket. */
  readonly maxSubscriptions: number;
};

/** What a socket may do to the rest of the relay: be found, join channels, sign in, publish. */
export class Hub {
  readonly outbox: Outbox;
  readonly memberships: Memberships;
  readonly users: Users;
  readonly screening: Screening;
  readonly usage: Tallies;
  readonly credentialUses: CredentialUses;
  readonly directory: Directory;
  readonly metrics: RelayMetrics;
  readonly now: Monotonic;
  readonly wallClock: () => number;
  readonly maxSubscriptions: number;
  readonly #parts: HubParts;
  readonly #pace: PaceParts;

  constructor(parts: HubParts) {
    this.#parts = parts;
    this.outbox = parts.outbox;
    this.memberships = parts.memberships;
    this.users = parts.users;
    this.screening = parts.screening;
    this.usage = parts.usage;
    this.credentialUses = parts.credentialUses;
    this.directory = parts.directory;
    this.metrics = parts.metrics;
    this.now = parts.now;
    this.wallClock = parts.wallClock;
    this.maxSubscriptions = parts.maxSubscriptions;
    this.#pace = {
      now: parts.now,
      clientEventsPerSecond: (appId) => parts.directory.appById(appId)?.limits.clientEventsPerSecond ?? 0,
      heldBack: () => parts.metrics.heldBack.inc(),
    };
  }

  /** The RelayToken that a token belongs to, by its public part; undefined: none, or none that is let in now. */
  relayTokenOf(appId: string, tokenId: string): string | undefined {
    const owner = this.directory.ownerOfToken(appId, tokenId);
    return owner !== undefined && this.directory.acceptsTokenOf(appId, owner, this.wallClock()) ? owner : undefined;
  }

  /** Something in the relay threw while it served this socket: a fault of ours that must not become everybody's. */
  failed(socket: RelaySocket, error: unknown): void {
    this.refused('internal');
    this.#parts.log.error({ err: error, appId: socket.appId, socketId: socket.id }, 'serving a connection failed');
  }

  /** How fast a socket of the app is read. */
  paceOf(appId: string, socket: Readable): Pace {
    return new Pace(this.#pace, appId, socket);
  }

  add(socket: RelaySocket): void {
    this.#parts.registry.add(socket);
    this.#parts.occupancy.changed(socket.appId, undefined);
    this.#parts.arrivals.opened(socket.appId);
  }

  release(socket: RelaySocket): void {
    this.#parts.registry.remove(socket);
    this.#parts.occupancy.changed(socket.appId, undefined);
    this.#parts.arrivals.closed(socket.appId);
  }

  publish(appId: string, event: ClientEvent): void {
    const { fanOut, bus, webhooks } = this.#parts;
    void fanOut.publishClientEvent(bus, appId, event);
    const { channel, name, data, socketId, userId } = event;
    const told = { name: 'client_event', channel, event: name, data, socket_id: socketId } as const;
    webhooks.enqueue(appId, [userId === undefined ? told : { ...told, user_id: userId }]);
  }

  refused(code: RefusalCode): void {
    countRefusal(this.metrics, 'live', code);
  }
}
