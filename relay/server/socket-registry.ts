import type { LocalCounts } from '../occupancy/occupancy.ts';
import { isServerToUser } from '../protocol/channel-name.ts';

type Registered = { readonly appId: string };

type AppSockets<S> = { readonly sockets: Set<S>; readonly channels: Map<string, Set<S>> };

/** Every socket of this replica, found by app and by channel. Empty apps and channels leave no trace. */
export class SocketRegistry<S extends Registered> implements LocalCounts {
  readonly #apps = new Map<string, AppSockets<S>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(socket: S): void {
    const app = this.#apps.get(socket.appId) ?? { sockets: new Set<S>(), channels: new Map<string, Set<S>>() };
    this.#apps.set(socket.appId, app);
    app.sockets.add(socket);
    this.#size += 1;
  }

  /** The socket must have left its channels. */
  remove(socket: S): void {
    const app = this.#apps.get(socket.appId);
    if (app === undefined || !app.sockets.delete(socket)) return;
    this.#size -= 1;
    if (app.sockets.size === 0) this.#apps.delete(socket.appId);
  }

  join(socket: S, channel: string): void {
    const channels = this.#apps.get(socket.appId)?.channels;
    if (channels === undefined) return;
    const members = channels.get(channel);
    if (members === undefined) channels.set(channel, new Set([socket]));
    else members.add(socket);
  }

  leave(socket: S, channel: string): void {
    const channels = this.#apps.get(socket.appId)?.channels;
    const members = channels?.get(channel);
    members?.delete(socket);
    if (members?.size === 0) channels?.delete(channel);
  }

  all(): S[] {
    return [...this.#apps.values()].flatMap((app) => [...app.sockets]);
  }

  ofApp(appId: string): Iterable<S> {
    return this.#apps.get(appId)?.sockets ?? [];
  }

  ofChannel(appId: string, channel: string): ReadonlySet<S> | undefined {
    return this.#apps.get(appId)?.channels.get(channel);
  }

  apps(): Iterable<string> {
    return this.#apps.keys();
  }

  connections(appId: string): number {
    return this.#apps.get(appId)?.sockets.size ?? 0;
  }

  *channels(appId: string): Iterable<readonly [channel: string, subscriptions: number]> {
    for (const [channel, members] of this.#apps.get(appId)?.channels ?? []) {
      if (!isServerToUser(channel)) yield [channel, members.size];
    }
  }

  subscriptions(appId: string, channel: string): number {
    return isServerToUser(channel) ? 0 : (this.ofChannel(appId, channel)?.size ?? 0);
  }
}
