import type { RefusalCode } from '../gate/refusals.ts';
import { takeToken, type Bucket } from '../limits/token-bucket.ts';
import { judgeClientEvent } from '../protocol/client-event.ts';
import type { ClientMessage } from '../protocol/client-message.ts';
import { errorMessage } from '../protocol/server-message.ts';
import type { Hub } from './hub.ts';
import type { Subscriptions } from './subscriptions.ts';

export type SendingSocket = {
  readonly id: string;
  readonly appId: string;
  send(text: string): void;
  refuse(code: RefusalCode): void;
};

/** The client events of one connection: judged, screened, and published to the channel that it is on. */
export class ClientEvents {
  readonly #hub: Hub;
  readonly #socket: SendingSocket;
  #bucket: Bucket | undefined;

  constructor(hub: Hub, socket: SendingSocket) {
    this.#hub = hub;
    this.#socket = socket;
  }

  /** @param subscriptions of the socket; undefined: it never had any. */
  publish(message: Extract<ClientMessage, { type: 'clientEvent' }>, subscriptions: Subscriptions | undefined): void {
    const { id, appId } = this.#socket;
    // Time alone closes a fence, so it is asked before every acceptance and not only when it is announced.
    if (this.#hub.directory.fenced()) {
      this.#hub.refused('directory_fenced');
      return this.#socket.refuse('directory_fenced');
    }
    const app = this.#hub.directory.appById(appId);
    if (app === undefined) return;
    const perSecond = app.limits.clientEventsPerSecond;
    const refusal = judgeClientEvent(
      {
        channel: message.channel,
        data: message.data,
        subscription: subscriptions?.stateOf(message.channel) ?? 'none',
        rules: { clientEvents: app.channels.clientEvents, eventBytes: app.limits.eventBytes, perSecond },
      },
      () => {
        const { bucket, taken } = takeToken(this.#bucket, { perSecond, burst: perSecond }, this.#hub.now());
        this.#bucket = bucket;
        return taken;
      },
    );
    if (refusal !== undefined) return this.#socket.send(errorMessage(refusal.code, refusal.message));
    const screened = this.#hub.screening.screen(app, 'client_event', message.data, 'data');
    if ('refusal' in screened)
      return this.#socket.send(errorMessage(null, `Client event rejected: found ${screened.refusal}`));
    this.#hub.publish(appId, {
      name: message.event,
      data: screened.text,
      channel: message.channel,
      socketId: id,
      userId: subscriptions?.userIdOn(message.channel),
    });
  }
}
