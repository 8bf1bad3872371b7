import { z } from 'zod';
import type { App } from '../directory/directory.ts';
import { parseChannelName } from '../protocol/channel-name.ts';
import { MAX_EVENT_NAME } from '../protocol/client-message.ts';
import { SOCKET_ID_PATTERN } from '../protocol/socket-id.ts';
import { parseInfo, type Info } from './info.ts';
import { Refused } from './refuse.ts';

const MAX_CHANNELS = 100;
const MAX_BATCH = 10;

const event = z.object({
  name: z
    .string()
    .min(1)
    .max(MAX_EVENT_NAME)
    .refine((name) => !/^pusher(_internal)?:/.test(name), 'must not start with pusher: or pusher_internal:'),
  data: z.string('must be a string (JSON inside it, if it is JSON)'),
  socket_id: z.string().regex(SOCKET_ID_PATTERN, 'must be a socket id such as 123.456').nullish(),
  info: z.string().nullish(),
});

const single = event.extend({
  channels: z.array(z.string()).min(1).max(MAX_CHANNELS).optional(),
  channel: z.string().optional(),
});
const batch = z.object({ batch: z.array(z.unknown()).min(1) });
const batched = event.extend({ channel: z.string() });

/** One event to publish, checked against the app's limits. */
export type Trigger = {
  readonly name: string;
  readonly data: string;
  readonly channels: readonly string[];
  readonly exceptSocketId: string | undefined;
  readonly info: Info;
};

/** Body of POST events. Throws {@link Refused}. */
export function parseTrigger(body: Buffer, app: App): Trigger {
  const fields = parsed(single, parseJson(body), '');
  const channels = fields.channels ?? (fields.channel === undefined ? undefined : [fields.channel]);
  if (channels === undefined) throw new Refused('body_invalid', 'channels: must name at least one channel');
  return checked({ ...fields, channels: [...new Set(channels)] }, app);
}

/** Body of POST batch_events. Throws {@link Refused}. */
export function parseBatch(body: Buffer, app: App): Trigger[] {
  const { batch: events } = parsed(batch, parseJson(body), '');
  if (events.length > MAX_BATCH) throw new Refused('batch_too_large');
  return events.map((item, index) => {
    const fields = parsed(batched, item, `batch[${index}].`);
    return checked({ ...fields, channels: [fields.channel] }, app);
  });
}

type Fields = z.infer<typeof event> & { readonly channels: readonly string[] };

function checked(fields: Fields, app: App): Trigger {
  for (const name of fields.channels) {
    const channel = parseChannelName(name);
    if ('fault' in channel) {
      const code = channel.fault === 'not_served' ? 'channel_not_served' : 'channel_invalid';
      throw new Refused(code, `${channel.message} (${JSON.stringify(name.slice(0, 200))})`);
    }
  }
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
    channels: fields.channels,
    exceptSocketId: fields.socket_id ?? undefined,
    info: parseInfo(fields.info ?? undefined),
  };
}

function parsed<T>(schema: z.ZodType<T>, value: unknown, prefix: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? 'the body' : issue.path.join('.');
  throw new Refused('body_invalid', `${prefix}${where}: ${issue?.message ?? 'not valid'}`);
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    throw new Refused('body_invalid', 'The body is not valid JSON.');
  }
}
