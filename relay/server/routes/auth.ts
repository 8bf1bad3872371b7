import { z } from 'zod';
import { signChannel, signUser } from '../../auth/sign-for-client.ts';
import { findKeys, oldestKey } from '../../auth/app-key.ts';
import type { App, AppKey } from '../../directory/directory.ts';
import type { HttpVisit } from '../../gate/visit.ts';
import { isUserId, MAX_USER_ID } from '../../protocol/user-id.ts';
import { SOCKET_ID_PATTERN } from '../../protocol/socket-id.ts';
import { channelNamed } from '../channel-parameter.ts';
import { endpoint, NOTHING, type Endpoint } from '../endpoint.ts';
import { Refused } from '../refuse.ts';

const socketId = z.string().regex(SOCKET_ID_PATTERN, 'must be a socket id such as 123.456');

/** JSON as text (which is what is signed), or as an object, which is made text here. */
const jsonText = z
  .union([z.string(), z.record(z.string(), z.unknown())], 'must be an object, or JSON text')
  .meta({ description: 'JSON as text, or an object. The answer has the text that was signed: pass it on unchanged.' });
const userId = z.string().refine(isUserId);
/** Of a presence channel a number is an id too; of a sign-in it is not, pusher-js would not take it. */
const IDS = { id: userId, user_id: z.union([userId, z.number()]) };

const channelBody = z.object({ socket_id: socketId, channel_name: z.string(), channel_data: jsonText.optional() });
const userBody = z.object({ socket_id: socketId, user_data: jsonText });

/**
 * Signs subscriptions and sign-ins for a backend that has no SDK. A backend's, not a browser's: whoever may call this may be anybody in
 * any channel, so the caller has to know its user before it asks. What is signed for a token's caller ends with the RelayToken.
 */
export function authEndpoints(): readonly Endpoint[] {
  return [
    endpoint({
      method: 'POST',
      path: '/auth/channel',
      surface: 'relay',
      scope: 'channels:manage',
      id: 'authorizeChannel',
      summary: 'Sign a subscription to a private, presence or encrypted channel',
      description:
        'For backends. Presence channels take channel_data with user_id (and user_info); without it the member is who signed in at that socket. For encrypted channels add shared_secret to the answer before it goes to the browser: the relay does not know it.',
      params: NOTHING,
      query: NOTHING,
      body: channelBody,
      form: true,
      answer: z.object({ auth: z.string(), channel_data: z.string().optional() }),
      refusals: ['channel_invalid', 'channel_without_auth', 'encryption_disabled', 'app_without_key'],
      handle: ({ app, body, visit }) => {
        const channel = channelNamed(body.channel_name);
        if (channel.kind === 'public' || channel.kind === 'user') throw new Refused('channel_without_auth');
        if (channel.kind === 'encrypted' && !app.channels.encrypted) throw new Refused('encryption_disabled');
        const channelData = body.channel_data === undefined ? undefined : textOf(body.channel_data);
        // Without it the member is who signed in at the socket.
        if (channel.kind === 'presence' && channelData !== undefined)
          requireJson(channelData, 'channel_data', 'user_id');
        const signed = { socketId: body.socket_id, channel: channel.name, channelData, tokenId: visit.token?.id };
        return {
          auth: signChannel(signingKey(app, visit), signed),
          ...(channelData === undefined ? {} : { channel_data: channelData }),
        };
      },
    }),
    endpoint({
      method: 'POST',
      path: '/auth/user',
      surface: 'relay',
      scope: 'channels:manage',
      id: 'authenticateUser',
      summary: 'Sign a user in',
      description: 'For backends. user_data has id, and what else other members shall see of the user.',
      params: NOTHING,
      query: NOTHING,
      body: userBody,
      form: true,
      answer: z.object({ auth: z.string(), user_data: z.string() }),
      refusals: ['app_without_key'],
      handle: ({ app, body, visit }) => {
        const userData = textOf(body.user_data);
        requireJson(userData, 'user_data', 'id');
        const signed = { socketId: body.socket_id, userData, tokenId: visit.token?.id };
        return { auth: signUser(signingKey(app, visit), signed), user_data: userData };
      },
    }),
  ];
}

function textOf(value: string | object): string {
  if (typeof value === 'string') return value;
  try {
    return JSON.stringify(value);
  } catch {
    // V8 parses any depth, but may run out of stack when it writes it.
    throw new Refused('body_invalid', 'The body is nested too deeply.');
  }
}

/** What the relay itself would refuse at the socket is refused here, where the developer sees why. */
function requireJson(text: string, field: string, id: 'id' | 'user_id'): void {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refused('body_invalid', `${field}: must be JSON`);
  }
  if (z.looseObject({ [id]: IDS[id] }).safeParse(value).success) return;
  throw new Refused('body_invalid', `${field}: must have ${id}, a text of 1 to ${MAX_USER_ID} characters`);
}

/** The caller's own key; a token's caller gets the oldest one, which every replica has known the longest. */
function signingKey({ keys }: App, { credential, now }: HttpVisit): AppKey {
  const own = 'key' in credential ? findKeys(keys, credential.key, now)[0] : undefined;
  const key = own ?? oldestKey(keys, now);
  if (key === undefined) throw new Refused('app_without_key');
  return key;
}
