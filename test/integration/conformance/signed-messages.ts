import { createHmac } from 'node:crypto';

export type Credentials = { readonly key: string; readonly secret: string };

const signature = ({ key, secret }: Credentials, text: string): string =>
  `${key}:${createHmac('sha256', secret).update(text).digest('hex')}`;

export type SubscribeMessage = {
  readonly event: 'pusher:subscribe';
  readonly data: { readonly channel: string; readonly auth?: string; readonly channel_data?: string };
};

/** As an SDK and its backend would build it: signed where the channel's name asks for it. */
export function subscribeMessage(
  credentials: Credentials,
  socketId: string,
  channel: string,
  member?: { readonly user_id: string; readonly user_info?: unknown },
): SubscribeMessage {
  if (!/^(private|presence)-/.test(channel)) return { event: 'pusher:subscribe', data: { channel } };
  const channelData = member === undefined ? undefined : JSON.stringify(member);
  const signed = [socketId, channel, ...(channelData === undefined ? [] : [channelData])].join(':');
  const auth = signature(credentials, signed);
  return {
    event: 'pusher:subscribe',
    data: { channel, auth, ...(channelData === undefined ? {} : { channel_data: channelData }) },
  };
}

export type SigninMessage = {
  readonly event: 'pusher:signin';
  readonly data: { readonly auth: string; readonly user_data: string };
};

export function signinMessage(
  credentials: Credentials,
  socketId: string,
  user: { readonly id: string; readonly watchlist?: readonly string[]; readonly [more: string]: unknown },
): SigninMessage {
  const userData = JSON.stringify(user);
  return {
    event: 'pusher:signin',
    data: { auth: signature(credentials, `${socketId}::user::${userData}`), user_data: userData },
  };
}
