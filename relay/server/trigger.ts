import { z } from 'zod';
import { parseJsonAs } from '#crds/json-text.ts';
import type { App } from '../directory/directory.ts';
import { MAX_EVENT_NAME } from '../protocol/client-message.ts';
import { SOCKET_ID_PATTERN } from '../protocol/socket-id.ts';
import { channelNamed } from './channel-parameter.ts';
import { infoOf, infoText, type Info } from './info.ts';
import { Refused } from './refuse.ts';

const MAX_CHANNELS = 100;
const MAX_BATCH = 10;
/** Of NaCl's secretbox. */
const NONCE_BYTES = 24;
const MAC_BYTES = 16;

const isReserved = (name: string): boolean => name.startsWith('pusher:') || name.startsWith('pusher_internal:');

const event = z.object({
  name: z
    .string()
    .min(1)
    .max(MAX_EVENT_NAME)
    .refine((name) => !isReserved(name), 'must not start with pusher: or pusher_internal:'),
  data: z.string('must be a string (JSON inside it, if it is JSON)'),
  socket_id: z.string().regex(SOCKET_ID_PATTERN, 'must be a socket id such as 123.456').nullish(),
  info: infoText.nullish(),
});

/** Body of POST events. */
export const triggerBody = event
  .extend({ channels: z.array(z.string()).min(1).max(MAX_CHANNELS).optional(), channel: z.string().optional() })
  .refine(({ channels, channel }) => channels !== undefined || channel !== undefined, {
    path: ['channels'],
    error: 'must name at least one channel',
  });

/**
 * What {@link triggerBody} makes of a name, a text and channels, which is all that most publishers send; undefined: it is something else, or
 * wrong, and the schema must say. A test holds the two to each other.
 */
export function usualTriggerBody(value: unknown): z.infer<typeof triggerBody> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { name, data, channels, channel, socket_id, info } = value as Readonly<Record<string, unknown>>;
  if (channel !== undefined || socket_id !== undefined || info !== undefined) return undefined;
  if (typeof name !== 'string' || name === '' || name.length > MAX_EVENT_NAME || isReserved(name)) return undefined;
  if (typeof data !== 'string' || !isListOfChannels(channels)) return undefined;
  return { name, data, channels };
}

function isListOfChannels(value: unknown): value is string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_CHANNELS) return false;
  return value.every((name) => typeof name === 'string');
}

/** Body of POST batch_events. */
export const batchBody = z.object({ batch: z.array(event.extend({ channel: z.string() })).min(1) });

/** One event to publish, checked against the app's limits. */
export type Trigger = {
  readonly name: string;
  readonly data: string;
  readonly channels: readonly string[];
  readonly exceptSocketId: string | undefined;
  readonly info: Info;
};

/** Throws {@link Refused}. */
export function triggerOf(body: z.infer<typeof triggerBody>, app: App): Trigger {
  const { channels = [body.channel ?? ''] } = body;
  return checked(body, channels.length === 1 ? channels : [...new Set(channels)], app);
}

/** Throws {@link Refused}. */
export function triggersOf({ batch }: z.infer<typeof batchBody>, app: App): Trigger[] {
  if (batch.length > MAX_BATCH) throw new Refused('batch_too_large');
  return batch.map((item) => checked(item, [item.channel], app));
}

function checked(fields: z.infer<typeof event>, channels: readonly string[], app: App): Trigger {
  for (const name of channels) if (channelNamed(name).kind === 'encrypted') checkEncrypted(fields, channels, app);
  if (Buffer.byteLength(fields.data) > app.limits.eventBytes) {
    // "content of this event" is what SDK tests look for.
    throw new Refused(
      'event_too_large',
      `The data content of this event exceeds the allowed maximum (${app.limits.eventBytes} bytes).`,
    );
  }
  return {
    name: fields.name,
    data: fields.data,
    channels,
    exceptSocketId: fields.socket_id ?? undefined,
    info: infoOf(fields.info),
  };
}

function checkEncrypted({ data }: { readonly data: string }, channels: readonly string[], app: App): void {
  if (!app.channels.encrypted) throw new Refused('encryption_disabled');
  // Its key is made from the channel's name: no other channel could read it, and a public one would show that it exists.
  if (channels.length > 1) throw new Refused('encrypted_channel_alone');
  if (!isSealed(data)) throw new Refused('encrypted_payload_invalid');
}

const sealed = z.strictObject({ nonce: z.base64(), ciphertext: z.base64() });

/** As far as one without the key can tell: the shape, and lengths that secretbox makes. */
function isSealed(data: string): boolean {
  const parsed = parseJsonAs(sealed, data);
  if (parsed === undefined) return false;
  const bytes = (text: string): number => Buffer.from(text, 'base64').length;
  return bytes(parsed.nonce) === NONCE_BYTES && bytes(parsed.ciphertext) >= MAC_BYTES;
}
