import type { Bus } from '../bus/bus.ts';
import type { Directory } from '../directory/directory.ts';
import type { Occupancy } from '../occupancy/occupancy.ts';
import { ErrorCode } from '../protocol/close-codes.ts';
import { errorMessage, signinSuccess } from '../protocol/server-message.ts';
import { MAX_WATCHLIST, type User } from '../protocol/user-data.ts';
import { userChannel } from './user-channel.ts';
import type { Watcher, Watchlists } from './watchlists.ts';

export type UserSocket = Watcher & { readonly id: string; send(text: string): void };

export type UsersParts = {
  /** Finds the signed-in sockets of a user by its {@link userChannel}. */
  readonly registry: {
    join(socket: UserSocket, channel: string): void;
    leave(socket: UserSocket, channel: string): void;
  };
  readonly bus: Bus;
  readonly occupancy: Pick<Occupancy, 'changed'>;
  readonly watchlists: Watchlists;
  readonly directory: Pick<Directory, 'appById'>;
};

export type Signin = {
  readonly user: User;
  /** As the client sent it; the success repeats it. */
  readonly userData: string;
  /** Who the socket is signed in as already: the same user, whose watchlist is replaced. */
  readonly former: User | undefined;
  /** False once the socket is closed or signs in anew. */
  readonly isCurrent: () => boolean;
};

/** Signs sockets in as users, who are then counted, found and watched over all replicas. */
export class Users {
  readonly #parts: UsersParts;
  /** Sockets whose sign-in the bus has not taken yet. */
  readonly #subscribing = new WeakMap<UserSocket, Promise<unknown>>();

  constructor(parts: UsersParts) {
    this.#parts = parts;
  }

  /**
   * The socket is found by its user when this returns, and at all replicas when the client has its success. A socket that closes must be
   * signed out, whether this is still under way or not.
   */
  async signIn(socket: UserSocket, { user, userData, former, isCurrent }: Signin): Promise<void> {
    const { registry, bus, occupancy, watchlists, directory } = this.#parts;
    const channel = userChannel(user.id);
    if (former === undefined) {
      registry.join(socket, channel);
      occupancy.changed(socket.appId, channel);
      this.#subscribing.set(socket, bus.subscribe(socket.appId, channel));
    }
    // Also one that signs in again has its success only then.
    await this.#subscribing.get(socket);
    this.#subscribing.delete(socket);
    if (!isCurrent()) return;
    socket.send(signinSuccess(userData));
    const enabled = directory.appById(socket.appId)?.channels.watchlists === true;
    if (enabled && user.watchlistCut) {
      const message = `A watchlist has at most ${MAX_WATCHLIST} users; the first ${MAX_WATCHLIST} are watched`;
      socket.send(errorMessage(ErrorCode.watchlistTooLong, message));
    }
    await watchlists.watch(socket, enabled ? user.watchlist : []);
  }

  signOut(socket: UserSocket, userId: string): void {
    const { registry, bus, occupancy, watchlists } = this.#parts;
    const channel = userChannel(userId);
    watchlists.unwatch(socket);
    registry.leave(socket, channel);
    bus.unsubscribe(socket.appId, channel);
    occupancy.changed(socket.appId, channel);
  }
}
