import { parseJson } from '#crds/json-text.ts';

/** What a client may send, read from one text frame. Unknown `pusher:` events are kept apart from garbage: a newer SDK is not an attack. */
export type ClientMessage =
  | { readonly type: 'ping' }
  | { readonly type: 'pong' }
  | {
      readonly type: 'subscribe';
      readonly channel: string;
      readonly auth: string | undefined;
      readonly channelData: string | undefined;
    }
  | { readonly type: 'unsubscribe'; readonly channel: string }
  /** Empty texts for what is missing: they verify as little as any other wrong ones. */
  | { readonly type: 'signin'; readonly auth: string; readonly userData: string }
  | { readonly type: 'clientEvent'; readonly event: string; readonly channel: string; readonly data: string }
  | { readonly type: 'unsupported'; readonly event: string }
  | { readonly type: 'malformed'; readonly reason: string };

export const MAX_EVENT_NAME = 200;
const CLIENT_EVENT_PREFIX = 'client-';

/**
 * Parsed by hand and not with zod: this is the hot path of every client frame, and a frame has five shapes.
 * A client event's `data` becomes the JSON text that receivers get (strings as they are, anything else serialised).
 */
export function parseClientMessage(text: string): ClientMessage {
  const frame = parseObject(text);
  if (frame === undefined) return malformed('a message must be a JSON object');
  const event = frame['event'];
  if (typeof event !== 'string') return malformed('a message needs an "event" of type string');
  if (event.length > MAX_EVENT_NAME) return malformed(`event names have at most ${MAX_EVENT_NAME} characters`);
  switch (event) {
    case 'pusher:ping':
      return { type: 'ping' };
    case 'pusher:pong':
      return { type: 'pong' };
    case 'pusher:subscribe':
      return subscribe(frame['data']);
    case 'pusher:unsubscribe':
      return unsubscribe(frame['data']);
    case 'pusher:signin':
      return signin(frame['data']);
    default:
      return event.startsWith(CLIENT_EVENT_PREFIX) ? clientEvent(event, frame) : { type: 'unsupported', event };
  }
}

function subscribe(data: unknown): ClientMessage {
  const fields = objectOf(data);
  const channel = fields?.['channel'];
  if (typeof channel !== 'string') return malformed('pusher:subscribe needs data.channel of type string');
  const auth = fields?.['auth'];
  const channelData = fields?.['channel_data'];
  return {
    type: 'subscribe',
    channel,
    auth: typeof auth === 'string' ? auth : undefined,
    channelData: typeof channelData === 'string' ? channelData : undefined,
  };
}

function unsubscribe(data: unknown): ClientMessage {
  const channel = objectOf(data)?.['channel'];
  return typeof channel === 'string'
    ? { type: 'unsubscribe', channel }
    : malformed('pusher:unsubscribe needs data.channel of type string');
}

function signin(data: unknown): ClientMessage {
  const fields = objectOf(data);
  const auth = fields?.['auth'];
  const userData = fields?.['user_data'];
  return {
    type: 'signin',
    auth: typeof auth === 'string' ? auth : '',
    userData: typeof userData === 'string' ? userData : '',
  };
}

function clientEvent(event: string, frame: Record<string, unknown>): ClientMessage {
  const channel = frame['channel'];
  if (typeof channel !== 'string') return malformed('a client event needs a "channel" of type string');
  const data = serialised(frame['data']);
  if (data === undefined) return malformed('the data of a client event is nested too deeply');
  return { type: 'clientEvent', event, channel, data };
}

/** undefined: V8 parses any depth, but recurses to write it, and runs out of stack. */
function serialised(data: unknown): string | undefined {
  if (typeof data === 'string') return data;
  try {
    return JSON.stringify(data ?? null);
  } catch {
    return undefined;
  }
}

const malformed = (reason: string): ClientMessage => ({ type: 'malformed', reason });

function parseObject(text: string): Record<string, unknown> | undefined {
  return objectOf(parseJson(text));
}

function objectOf(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}
