import { randomInt } from 'node:crypto';
import { pino } from 'pino';
import type { Bus, BusListener } from '#relay/bus/bus.ts';
import { Signals } from '#relay/bus/signals.ts';
import { SharedState } from '#relay/occupancy/shared-state.ts';
import type { OccupancyStore, Rules } from '#relay/occupancy/store.ts';
import type { Member, RosterChange } from '#relay/presence/presence.ts';
import { SocketRegistry } from '#relay/server/socket-registry.ts';

/** Counts and presence of one replica, with sockets that exist only as entries of its registry. */
export class Replica implements AsyncDisposable {
  readonly name: string;
  readonly state: SharedState;
  /** What arrived at this replica from the bus: `{channel} {signal or event}`. */
  readonly heard: string[] = [];
  /** Contradictions in what sockets were told: somebody who came twice, or went without having come. */
  readonly faults: string[] = [];
  readonly #registry = new SocketRegistry<FakeSocket>();
  readonly #bus: Bus;
  readonly #cut: () => void;

  constructor(name: string, parts: ReplicaParts) {
    this.name = name;
    const signals = new Signals();
    this.#bus = parts.bus((appId, channel, message) => {
      this.heard.push(`${channel} ${message.kind === 'event' ? message.tail.toString() : message.text}`);
      if (message.kind === 'signal') signals.dispatch(appId, channel, message);
    });
    this.#cut = parts.cut;
    this.state = new SharedState({
      store: parts.store,
      local: this.#registry,
      signals,
      rules: parts.rules,
      rosterListener: (appId, channel, change) => this.#changed(appId, channel, change),
      onWebhooks: () => undefined,
      onRecovered: () => undefined,
      now: () => performance.now(),
      log: pino({ level: 'silent' }),
      beatMs: parts.beatMs,
      leaseMs: parts.leaseMs,
    });
  }

  connect(appId: string): FakeSocket {
    const socket = new FakeSocket(appId);
    this.#registry.add(socket);
    this.state.occupancy.changed(appId, undefined);
    return socket;
  }

  async admit(appId: string, limit: number): Promise<FakeSocket | undefined> {
    const socket = this.connect(appId);
    if (await this.state.occupancy.admit(appId, limit, () => socket.gone)) return socket;
    this.disconnect(socket);
    return undefined;
  }

  disconnect(socket: FakeSocket): void {
    for (const channel of socket.channels.keys()) this.leave(socket, channel);
    socket.gone = true;
    this.#registry.remove(socket);
    this.state.occupancy.changed(socket.appId, undefined);
  }

  async join(socket: FakeSocket, channel: string): Promise<void> {
    await this.#bus.subscribe(socket.appId, channel);
    socket.channels.set(channel, undefined);
    this.#registry.join(socket, channel);
    this.state.occupancy.changed(socket.appId, channel);
  }

  /** As the relay does it: bus, roster, then the socket is among those that are told. */
  async joinAs(socket: FakeSocket, channel: string, userId: string, limit = 1_000): Promise<boolean> {
    await this.#bus.subscribe(socket.appId, channel);
    const member: Member = { userId, info: JSON.stringify({ name: userId }) };
    const joining = await this.state.presence.join(socket.appId, channel, socket.id, member, limit);
    if (joining.outcome === 'full' || socket.gone) {
      this.state.presence.leave(socket.appId, channel, socket.id, userId);
      this.#bus.unsubscribe(socket.appId, channel);
      return false;
    }
    socket.channels.set(channel, { userId, told: new Set(joining.members.map((one) => one.userId)) });
    if (!socket.members(channel).includes(userId)) this.faults.push(`${userId} does not see itself in ${channel}`);
    this.#registry.join(socket, channel);
    this.state.occupancy.changed(socket.appId, channel);
    return true;
  }

  leave(socket: FakeSocket, channel: string): void {
    const membership = socket.channels.get(channel);
    socket.channels.delete(channel);
    this.#registry.leave(socket, channel);
    if (membership !== undefined) this.state.presence.leave(socket.appId, channel, socket.id, membership.userId);
    this.#bus.unsubscribe(socket.appId, channel);
    this.state.occupancy.changed(socket.appId, channel);
  }

  /** Hears the bus channel without being one of its subscribers. */
  async listen(appId: string, channel: string): Promise<void> {
    await this.#bus.subscribe(appId, channel);
  }

  async channels(appId: string): Promise<Record<string, number>> {
    return Object.fromEntries((await this.state.occupancy.channels(appId)).value);
  }

  async members(appId: string, channel: string): Promise<string[]> {
    const { value } = await this.state.presence.members(appId, channel);
    return value.map(({ userId }) => userId).toSorted();
  }

  /** As `kill -9`: no goodbye. */
  kill(): void {
    this.#cut();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.state[Symbol.asyncDispose]();
    await this.#bus[Symbol.asyncDispose]();
    this.#cut();
  }

  #changed(appId: string, channel: string, change: RosterChange): void {
    for (const socket of this.#registry.ofChannel(appId, channel) ?? []) {
      const told = socket.channels.get(channel)?.told;
      if ('added' in change) {
        if (told?.has(change.added.userId) !== false)
          this.faults.push(`${change.added.userId} came twice to ${channel}`);
        told?.add(change.added.userId);
      } else if (told?.delete(change.removed) !== true) {
        this.faults.push(`${change.removed} went from ${channel} without having come`);
      }
    }
  }
}

export class FakeSocket {
  readonly id = `${randomInt(1e9)}.${randomInt(1e9)}`;
  readonly appId: string;
  readonly channels = new Map<string, { readonly userId: string; readonly told: Set<string> } | undefined>();
  gone = false;

  constructor(appId: string) {
    this.appId = appId;
  }

  /** As this client was told. */
  members(channel: string): string[] {
    return [...(this.channels.get(channel)?.told ?? [])].toSorted();
  }
}

export type ReplicaParts = {
  readonly bus: (listener: BusListener) => Bus;
  readonly store: OccupancyStore;
  readonly cut: () => void;
  readonly rules: (appId: string) => Rules;
  readonly beatMs: number;
  readonly leaseMs: number;
};
