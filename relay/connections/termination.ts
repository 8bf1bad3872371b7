import { z } from 'zod';
import type { Signals } from '../bus/signals.ts';
import type { RefusalCode } from '../gate/refusals.ts';
import { userChannel } from '../users/user-channel.ts';

/** Sockets of this replica as the commands of other replicas need them. */
export type Terminable = { refuse(code: RefusalCode): void };
export type TerminableSockets = {
  ofChannel(appId: string, channel: string): ReadonlySet<Terminable> | undefined;
};

const TERMINATE = 'terminate';
const command = z.object({ user: z.string() });

/** The signal that closes the connections of a user, wherever they are. */
export function terminateUser(user: string): {
  readonly channel: string;
  readonly content: { readonly type: string; readonly user: string };
} {
  return { channel: userChannel(user), content: { type: TERMINATE, user } };
}

/** Obeys it at this replica. */
export function onTerminateUser(signals: Signals, sockets: TerminableSockets): void {
  signals.on(TERMINATE, (appId, _channel, content) => {
    const { data } = command.safeParse(content);
    if (data === undefined) return;
    // A copy: a socket that goes leaves the set.
    for (const socket of Array.from(sockets.ofChannel(appId, userChannel(data.user)) ?? [])) {
      socket.refuse('connection_terminated');
    }
  });
}
