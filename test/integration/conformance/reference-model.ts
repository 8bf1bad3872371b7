/** What is true of an app when nothing moves any more, in the words of the protocol's specification and with none of its machinery. */

/** Numbers that are no replicas pick one of those that there are: steps are drawn without knowing the state. */
export type Draw =
  | {
      readonly do: 'connect' | 'subscribe';
      readonly client: number;
      readonly replica: number;
      readonly channel: string;
    }
  | { readonly do: 'unsubscribe'; readonly pick: number }
  | { readonly do: 'leave'; readonly pick: number; readonly rudely: boolean }
  | { readonly do: 'kill' | 'cutOff' | 'heal'; readonly replica: number }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'flush' | 'restartRedis' };

export type Step =
  | { readonly do: 'connect'; readonly client: number; readonly replica: number }
  | { readonly do: 'subscribe' | 'unsubscribe'; readonly client: number; readonly channel: string }
  | { readonly do: 'leave'; readonly client: number; readonly rudely: boolean }
  | Extract<Draw, { readonly do: 'kill' | 'cutOff' | 'heal' | 'wait' | 'flush' | 'restartRedis' }>;

/** Two pages of each user, so that users with several sockets are common. */
export const userOf = (client: number): string => `user-${Math.floor(client / 2)}`;
export const isPresence = (channel: string): boolean => channel.startsWith('presence-');

type Client = { readonly replica: number; readonly channels: Set<string> };

export class ReferenceModel {
  readonly clients = new Map<number, Client>();

  /** What a draw means now: nothing, a step, or two, because who subscribes must be connected. */
  steps(draw: Draw): Step[] {
    switch (draw.do) {
      case 'connect':
        return this.clients.has(draw.client) ? [] : [{ ...draw, do: 'connect' }];
      case 'subscribe': {
        const subscribe = { do: 'subscribe', client: draw.client, channel: draw.channel } as const;
        const client = this.clients.get(draw.client);
        if (client === undefined) return [{ ...draw, do: 'connect' }, subscribe];
        return client.channels.has(draw.channel) ? [] : [subscribe];
      }
      case 'unsubscribe': {
        const all = [...this.clients].flatMap(([client, { channels }]) =>
          [...channels].map((channel) => ({ do: 'unsubscribe', client, channel }) as const),
        );
        return picked(all, draw.pick);
      }
      case 'leave': {
        const all = [...this.clients.keys()].map((client) => ({ do: 'leave', client, rudely: draw.rudely }) as const);
        return picked(all, draw.pick);
      }
      case 'kill':
      case 'cutOff':
      case 'heal':
      case 'wait':
      case 'flush':
      case 'restartRedis':
        return [draw];
    }
  }

  take(step: Step): void {
    if (step.do === 'connect') this.clients.set(step.client, { replica: step.replica, channels: new Set() });
    else if (step.do === 'leave') this.clients.delete(step.client);
    else if (step.do === 'subscribe') this.clients.get(step.client)?.channels.add(step.channel);
    else if (step.do === 'unsubscribe') this.clients.get(step.client)?.channels.delete(step.channel);
    else if (step.do === 'kill')
      for (const [id, client] of this.clients) if (client.replica === step.replica) this.clients.delete(id);
  }

  /** Channels with subscribers, and how many sockets each has. */
  subscriptions(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { channels } of this.clients.values())
      for (const channel of channels) counts.set(channel, (counts.get(channel) ?? 0) + 1);
    return counts;
  }

  /** The users of a channel: each once, however many sockets it has there. */
  members(channel: string): Set<string> {
    return new Set([...this.clients].filter(([, { channels }]) => channels.has(channel)).map(([id]) => userOf(id)));
  }
}

function picked<T>(all: readonly T[], pick: number): T[] {
  const one = all[pick % Math.max(all.length, 1)];
  return one === undefined ? [] : [one];
}

/** What a receiver of webhooks has reason to believe: of each pair of opposite events the last one counts. */
export function believed(events: readonly Record<string, unknown>[]): {
  readonly occupied: Set<string>;
  readonly members: Set<string>;
} {
  const occupied = new Set<string>();
  const members = new Set<string>();
  for (const { name, channel, user_id } of events) {
    const member = `${String(channel)} ${String(user_id)}`;
    if (name === 'channel_occupied') occupied.add(String(channel));
    else if (name === 'channel_vacated') occupied.delete(String(channel));
    else if (name === 'member_added') members.add(member);
    else if (name === 'member_removed') members.delete(member);
  }
  return { occupied, members };
}

/** The same for a subscriber of a presence channel, who is told every change exactly once: rejects what contradicts what it knows. */
export function rosterOf(frames: readonly { readonly event: string; readonly data: unknown }[]): Set<string> {
  const roster = new Set<string>();
  for (const { event, data } of frames) {
    const told = JSON.parse(String(data)) as { presence?: { ids: string[] }; user_id?: string };
    const user = told.user_id ?? '';
    if (event === 'pusher_internal:subscription_succeeded') {
      roster.clear();
      for (const id of told.presence?.ids ?? []) roster.add(id);
    } else if (event === 'pusher_internal:member_added') {
      if (roster.has(user)) throw new Error(`${user} was added twice: ${JSON.stringify(frames)}`);
      roster.add(user);
    } else if (event === 'pusher_internal:member_removed' && !roster.delete(user)) {
      throw new Error(`${user} was removed and was not there: ${JSON.stringify(frames)}`);
    }
  }
  return roster;
}
