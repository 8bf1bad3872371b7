import { memberField, parseMemberField } from '../occupancy/fields.ts';

type User = { readonly info: string; readonly sockets: Set<string>; readonly waiting: Set<string> };

/** The users of presence channels that this replica has sockets of. Sockets wait until the store has let their user in. */
export class LocalMembers {
  readonly #apps = new Map<string, Map<string, Map<string, User>>>();

  /** Returns whether the user is in already, through another socket here. */
  add(appId: string, channel: string, userId: string, info: string, socketId: string): boolean {
    const channels = this.#apps.get(appId) ?? new Map<string, Map<string, User>>();
    this.#apps.set(appId, channels);
    const users = channels.get(channel) ?? new Map<string, User>();
    channels.set(channel, users);
    const user = users.get(userId) ?? { info, sockets: new Set<string>(), waiting: new Set<string>() };
    users.set(userId, user);
    const isIn = user.sockets.size > 0;
    (isIn ? user.sockets : user.waiting).add(socketId);
    return isIn;
  }

  /** The socket's wait is over. False: it has left meanwhile. */
  letIn(appId: string, channel: string, userId: string, socketId: string): boolean {
    const user = this.#user(appId, channel, userId);
    if (user === undefined || !user.waiting.delete(socketId)) return user?.sockets.has(socketId) ?? false;
    user.sockets.add(socketId);
    return true;
  }

  remove(appId: string, channel: string, userId: string, socketId: string): boolean {
    const users = this.#apps.get(appId)?.get(channel);
    const user = users?.get(userId);
    if (users === undefined || user === undefined) return false;
    const was = user.waiting.delete(socketId) || user.sockets.delete(socketId);
    if (user.sockets.size + user.waiting.size === 0) users.delete(userId);
    if (users.size === 0) this.#apps.get(appId)?.delete(channel);
    if (this.#apps.get(appId)?.size === 0) this.#apps.delete(appId);
    return was;
  }

  /** Info of a user that is in, undefined when it is not. */
  infoOf(appId: string, channel: string, userId: string): string | undefined {
    const user = this.#user(appId, channel, userId);
    return user !== undefined && user.sockets.size > 0 ? user.info : undefined;
  }

  hasChannel(appId: string, channel: string): boolean {
    return this.#apps.get(appId)?.has(channel) ?? false;
  }

  *usersOf(appId: string, channel: string): Iterable<readonly [userId: string, info: string]> {
    for (const [userId, user] of this.#apps.get(appId)?.get(channel) ?? []) {
      if (user.sockets.size > 0) yield [userId, user.info];
    }
  }

  /** Sockets behind a field of occupancy/fields.ts, those that wait included. */
  count(appId: string, field: string): { readonly count: number; readonly info: string } {
    const member = parseMemberField(field);
    const user = member === undefined ? undefined : this.#user(appId, member.channel, member.userId);
    return { count: user === undefined ? 0 : user.sockets.size + user.waiting.size, info: user?.info ?? 'null' };
  }

  *fields(appId: string): Iterable<string> {
    for (const [channel, users] of this.#apps.get(appId) ?? []) {
      for (const userId of users.keys()) yield memberField(channel, userId);
    }
  }

  #user(appId: string, channel: string, userId: string): User | undefined {
    return this.#apps.get(appId)?.get(channel)?.get(userId);
  }
}
