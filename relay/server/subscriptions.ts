import { channelSignatureHolds } from '../auth/channel-signature.ts';
import { countSignature } from '../credential-use/count-socket.ts';
import type { App } from '../directory/directory.ts';
import { takeToken, type Bucket } from '../limits/token-bucket.ts';
import type { ClientMessage } from '../protocol/client-message.ts';
import { judgeSubscription, type SubscriptionVerdict } from '../protocol/subscription-request.ts';
import {
  stepSubscription,
  type SubscriptionEvent,
  type SubscriptionRefusal,
  type SubscriptionState,
} from '../protocol/subscription.ts';
import type { User } from '../protocol/user-data.ts';
import type { Subscriber } from './fan-out.ts';
import type { Hub } from './hub.ts';
import type { Joined } from './memberships.ts';

/** The identity of the object tells one attempt from the next: what a former one still brings is dropped. */
type Subscription = {
  state: SubscriptionState;
  /** As whom the socket is a member of a presence channel. */
  readonly userId: string | undefined;
};

type Admitted = Exclude<SubscriptionVerdict, { refusal: SubscriptionRefusal }>;

export type SubscribingSocket = Subscriber & {
  send(text: string): void;
  failed(error: unknown): void;
  /** It lives no longer than this RelayToken from now on. */
  relyOn(relayToken: string | undefined): void;
};

/** The channels of one connection: a machine of protocol/subscription.ts for each, and the effects that they answer. */
export class Subscriptions {
  readonly #hub: Hub;
  readonly #socket: SubscribingSocket;
  readonly #byChannel = new Map<string, Subscription>();
  #joins: Bucket | undefined;

  constructor(hub: Hub, socket: SubscribingSocket) {
    this.#hub = hub;
    this.#socket = socket;
  }

  stateOf(channel: string): SubscriptionState {
    return this.#byChannel.get(channel)?.state ?? 'none';
  }

  /** Who the socket is on a presence channel. */
  userIdOn(channel: string): string | undefined {
    return this.#byChannel.get(channel)?.userId;
  }

  /** Channels that it is subscribed to. */
  *names(): Iterable<string> {
    for (const [name, { state }] of this.#byChannel) if (state === 'subscribed') yield name;
  }

  /** @param user who the socket is signed in as. */
  subscribe(request: Extract<ClientMessage, { type: 'subscribe' }>, user: User | undefined): void {
    const app = this.#hub.directory.appById(this.#socket.appId);
    if (app === undefined) return this.#happened(request.channel, { type: 'refused', refusal: NO_APP });
    const known = this.#byChannel.get(request.channel);
    const verdict = judgeSubscription({
      request,
      socketId: this.#socket.id,
      app,
      relayTokenOf: (tokenId) => this.#hub.relayTokenOf(app.appId, tokenId),
      user,
      subscriptions: this.#byChannel.size - (known === undefined ? 0 : 1),
      maxSubscriptions: this.#hub.maxSubscriptions,
      now: this.#hub.wallClock(),
    });
    if ('refusal' in verdict) return this.#happened(request.channel, { type: 'refused', refusal: verdict.refusal });
    this.#countSignature(request, verdict);
    if (known !== undefined) return this.#happened(request.channel, { type: 'requested' });
    if (!this.#mayJoin()) return this.#happened(request.channel, { type: 'refused', refusal: TOO_MANY_JOINS });
    const admitted = this.#screened(app, verdict);
    if ('refusal' in admitted) return this.#happened(request.channel, { type: 'refused', refusal: admitted.refusal });
    this.#socket.relyOn(verdict.relayToken);
    this.#byChannel.set(request.channel, { state: 'none', userId: admitted.member?.userId });
    this.#happened(request.channel, { type: 'requested' }, admitted);
  }

  #countSignature(
    { auth, channel, channelData }: Extract<ClientMessage, { type: 'subscribe' }>,
    { channel: { kind } }: Admitted,
  ): void {
    // Of the others no signature was asked, whatever they sent.
    if (auth === undefined || kind === 'public' || kind === 'user') return;
    const signed = { socketId: this.#socket.id, channel, channelData };
    countSignature(this.#hub, this.#socket.appId, auth, (key) =>
      channelSignatureHolds(auth, signed, [key], this.#hub.wallClock()),
    );
  }

  unsubscribe(channel: string): void {
    this.#happened(channel, { type: 'unsubscribe' });
  }

  close(): void {
    for (const channel of this.#byChannel.keys()) this.#happened(channel, { type: 'connectionClosed' });
  }

  /** As many at once as it may have; whoever comes and goes without end would cost bus and counts more than all others do. */
  #mayJoin(): boolean {
    const rate = { perSecond: JOINS_PER_SECOND, burst: this.#hub.maxSubscriptions };
    const { bucket, taken } = takeToken(this.#joins, rate, this.#hub.now());
    this.#joins = bucket;
    return taken;
  }

  /** What the other members shall see. The signature is of `channel_data` as it was, and has been verified. */
  #screened(app: App, admitted: Admitted): Admitted | { readonly refusal: SubscriptionRefusal } {
    const { member } = admitted;
    if (member === undefined) return admitted;
    const screened = this.#hub.screening.screen(app, 'user_info', member.info, 'user_info');
    if ('text' in screened) return { ...admitted, member: { ...member, info: screened.text } };
    return { refusal: { type: 'SecretFound', message: `Found ${screened.refusal}`, status: 422 } };
  }

  /** @param admitted with `requested`. @param joined with `joined`. */
  #happened(channel: string, event: SubscriptionEvent, admitted?: Admitted, joined?: Joined): void {
    const subscription = this.#byChannel.get(channel);
    const next = stepSubscription(subscription?.state ?? 'none', event, channel);
    if (subscription !== undefined) subscription.state = next.state;
    if (next.state === 'none') this.#byChannel.delete(channel);
    for (const effect of next.effects) {
      if (effect.do === 'send') this.#socket.send(effect.text);
      else if (effect.do === 'leave') this.#hub.memberships.leave(this.#socket, channel, subscription?.userId);
      else if (effect.do === 'attach') joined?.attach();
      else if (subscription !== undefined && admitted !== undefined)
        this.#join(subscription, admitted).catch((error: unknown) => this.#socket.failed(error));
    }
  }

  async #join(subscription: Subscription, { channel, member }: Admitted): Promise<void> {
    const app = this.#hub.directory.appById(this.#socket.appId);
    if (app === undefined) return;
    const isCurrent = (): boolean => this.#byChannel.get(channel.name) === subscription;
    const outcome = await this.#hub.memberships.join({ socket: this.#socket, channel, member, app, isCurrent });
    if (outcome === undefined || !isCurrent()) return;
    if ('refusal' in outcome) return this.#happened(channel.name, { type: 'failed', refusal: outcome.refusal });
    this.#happened(channel.name, { type: 'joined', data: outcome.data() }, undefined, outcome);
  }
}

const JOINS_PER_SECOND = 50;
const TOO_MANY_JOINS: SubscriptionRefusal = {
  type: 'LimitReached',
  message: `A connection subscribes to at most ${JOINS_PER_SECOND} channels per second in the long run`,
  status: 403,
};
const NO_APP: SubscriptionRefusal = { type: 'AuthError', message: 'No such app', status: 401 };
