import { z } from 'zod';
import type { RefusalCode } from '../gate/refusals.ts';
import { userChannel } from '../users/user-channel.ts';
import type { Answers } from './questions.ts';

/** A socket of this replica as it is listed. */
export type ListedSocket = {
  readonly id: string;
  /** Epoch milliseconds. */
  readonly connectedAt: number;
  /** Name and version that the client gave of itself, e.g. `js 8.6.0`. */
  readonly client: string | undefined;
  /** Who is signed in. */
  readonly userId: string | undefined;
  /** Only what is subscribed, without pseudo-channels. */
  channels(): Iterable<string>;
  refuse(code: RefusalCode): void;
};

export type ListedSockets = {
  ofApp(appId: string): Iterable<ListedSocket>;
  ofChannel(appId: string, channel: string): Iterable<ListedSocket> | undefined;
};

/** No address: where a client is, is nobody's business but the gate's. */
export const connection = z.object({
  socket_id: z.string(),
  connected_at: z.iso.datetime(),
  client: z.string().optional().meta({ description: 'What the client calls itself, e.g. "js 8.6.0".' }),
  user_id: z.string().optional().meta({ description: 'Who is signed in.' }),
  channels: z.array(z.string()).meta({ description: 'The first 100 of channel_count.' }),
  channel_count: z.int(),
  replica: z.string(),
});
export type Connection = z.infer<typeof connection>;

export type ConnectionQuery = {
  /** Only socket ids after this one. */
  readonly after: string;
  readonly limit: number;
  readonly channel: string | undefined;
  readonly user: string | undefined;
};

const listing = z.object({
  after: z.string(),
  limit: z.int().min(1).max(100),
  channel: z.string().optional(),
  user: z.string().optional(),
});
const LIST = 'connections';
const DISCONNECT = 'disconnect';
const MAX_CHANNELS_SHOWN = 100;

export type ConnectionPage = {
  readonly connections: readonly Connection[];
  /** Pass it as `cursor` for the next page; null: this was the last. */
  readonly next: string | null;
  /** Replicas that did not answer in time: what they hold is missing. */
  readonly incomplete: readonly string[];
};

type Asking = { ask(appId: string, about: string, asked: unknown): Promise<Answers> };

/** The open connections of an app over all replicas. */
export class Connections {
  readonly #questions: Asking;

  constructor(questions: Asking) {
    this.#questions = questions;
  }

  async list(appId: string, query: ConnectionQuery): Promise<ConnectionPage> {
    // One more than wanted tells whether there is a next page.
    const wanted = query.limit;
    const { answers, silent } = await this.#questions.ask(appId, LIST, query);
    const all = [...answers.values()]
      .flatMap((answer) => pageOfReplica.safeParse(answer).data ?? [])
      .sort((a, b) => compare(a.socket_id, b.socket_id));
    const connections = all.slice(0, wanted);
    const more = all.length > wanted;
    return { connections, next: more ? (connections.at(-1)?.socket_id ?? null) : null, incomplete: silent };
  }

  /** `unanswered`: nobody has it, but not everybody answered. */
  async disconnect(appId: string, socketId: string): Promise<'closed' | 'unknown' | 'unanswered'> {
    const { answers, silent } = await this.#questions.ask(appId, DISCONNECT, socketId);
    if ([...answers.values()].includes(true)) return 'closed';
    return silent.length === 0 ? 'unknown' : 'unanswered';
  }
}

const pageOfReplica = z.array(connection);

/** What a replica answers when it is asked about its own sockets. */
export function connectionAnswers(
  sockets: ListedSockets,
  replica: string,
): Readonly<Record<string, (appId: string, asked: unknown) => unknown>> {
  return {
    [LIST]: (appId, asked) => {
      const { data } = listing.safeParse(asked);
      if (data === undefined) return [];
      const { after, limit, channel, user } = data;
      const candidates =
        user === undefined ? among(sockets, appId, channel) : sockets.ofChannel(appId, userChannel(user));
      const first = new FirstById(limit + 1);
      for (const socket of candidates ?? []) {
        if (socket.id > after && (user === undefined || channel === undefined || has(socket, channel)))
          first.offer(socket);
      }
      return first.sockets.map((socket) => described(socket, replica));
    },
    [DISCONNECT]: (appId, asked) => {
      for (const socket of sockets.ofApp(appId)) {
        if (socket.id !== asked) continue;
        socket.refuse('connection_terminated');
        return true;
      }
      return false;
    },
  };
}

const among = (sockets: ListedSockets, appId: string, channel: string | undefined): Iterable<ListedSocket> =>
  channel === undefined ? sockets.ofApp(appId) : (sockets.ofChannel(appId, channel) ?? []);

function has(socket: ListedSocket, channel: string): boolean {
  for (const name of socket.channels()) if (name === channel) return true;
  return false;
}

function described(socket: ListedSocket, replica: string): Connection {
  const channels = [...socket.channels()];
  return {
    socket_id: socket.id,
    connected_at: new Date(socket.connectedAt).toISOString(),
    ...(socket.client === undefined ? {} : { client: socket.client }),
    ...(socket.userId === undefined ? {} : { user_id: socket.userId }),
    channels: channels.slice(0, MAX_CHANNELS_SHOWN),
    channel_count: channels.length,
    replica,
  };
}

/** The `size` lowest ids, in order, without sorting everything: an app may have a hundred thousand sockets here. */
class FirstById {
  readonly sockets: ListedSocket[] = [];
  readonly #size: number;
  constructor(size: number) {
    this.#size = size;
  }
  offer(socket: ListedSocket): void {
    const last = this.sockets.at(-1);
    if (this.sockets.length === this.#size && last !== undefined && socket.id > last.id) return;
    const at = this.sockets.findIndex(({ id }) => id > socket.id);
    this.sockets.splice(at < 0 ? this.sockets.length : at, 0, socket);
    if (this.sockets.length > this.#size) this.sockets.pop();
  }
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
