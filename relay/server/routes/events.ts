import { z } from 'zod';
import type { Bus, Reach } from '../../bus/bus.ts';
import type { App } from '../../directory/directory.ts';
import { parseChannelName } from '../../protocol/channel-name.ts';
import type { Screening } from '../../screening/screening.ts';
import type { Answer } from '../answer.ts';
import { channelAttributes, type ChannelAttributes, type ChannelFacts } from '../channel-facts.ts';
import { endpoint, NOTHING, type Endpoint } from '../endpoint.ts';
import type { FanOut } from '../fan-out.ts';
import { wantsAny } from '../info.ts';
import { Refused } from '../refuse.ts';
import { batchBody, triggerBody, triggerOf, triggersOf, usualTriggerBody, type Trigger } from '../trigger.ts';

export type EventEndpointsParts = {
  readonly fanOut: FanOut;
  readonly bus: Bus;
  readonly facts: ChannelFacts;
  readonly screening: Screening;
};

/** Without `info` the answer is exactly this: SDKs compare. */
const NOTHING_TO_SAY = '{}';
const REFUSALS = [
  'channel_invalid',
  'event_too_large',
  'encryption_disabled',
  'encrypted_channel_alone',
  'encrypted_payload_invalid',
  'secret_found',
] as const;

/**
 * POST events and batch_events. While Redis is away an event still reaches the subscribers of this replica, and the answer is 200 with
 * `X-Relay-Delivery: local`: an error would make publishers send again, and those subscribers get it twice.
 */
export function eventEndpoints({ fanOut, bus, facts, screening }: EventEndpointsParts): readonly Endpoint[] {
  const publish = (appId: string, trigger: Trigger): Promise<Reach> => fanOut.publish(bus, appId, trigger);
  const screened = (app: App, trigger: Trigger, name: string): Trigger => {
    if (app.secretScanning === undefined || isSealed(trigger)) return trigger;
    const outcome = screening.screen(app, 'event', trigger.data, name);
    if ('refusal' in outcome) throw new Refused('secret_found', `Found ${outcome.refusal}.`);
    return { ...trigger, data: outcome.text };
  };
  const attributes = (appId: string, channel: string, { info }: Trigger): Promise<ChannelAttributes> =>
    facts.of(appId, channel, info);

  return [
    endpoint({
      method: 'POST',
      path: '/events',
      surface: 'pusher',
      scope: 'events:publish',
      id: 'publish',
      summary: 'Publish an event to one or more channels',
      params: NOTHING,
      query: NOTHING,
      body: triggerBody,
      usualBody: usualTriggerBody,
      answer: z.object({ channels: z.record(z.string(), channelAttributes).optional() }),
      refusals: REFUSALS,
      handle: async ({ app, body, reply }) => {
        const trigger = screened(app, triggerOf(body, app), 'data');
        sayReach(reply, await publish(app.appId, trigger));
        if (!wantsAny(trigger.info)) return NOTHING_TO_SAY;
        const told = trigger.channels.map(async (name) => [name, await attributes(app.appId, name, trigger)] as const);
        // Not by assignment: `__proto__` is a valid name.
        return { channels: Object.fromEntries(await Promise.all(told)) };
      },
    }),
    endpoint({
      method: 'POST',
      path: '/batch_events',
      surface: 'pusher',
      scope: 'events:batch',
      id: 'publishBatch',
      summary: 'Publish up to ten events at once',
      params: NOTHING,
      query: NOTHING,
      body: batchBody,
      answer: z.object({ batch: z.array(channelAttributes).optional() }),
      refusals: [...REFUSALS, 'batch_too_large'],
      handle: async ({ app, body, reply }) => {
        const triggers = triggersOf(body, app).map((trigger, at) => screened(app, trigger, `batch[${at}].data`));
        // Handed over one after the other without waiting in between, so that the order holds and the bus sees one batch.
        const reached = await Promise.all(triggers.map((trigger) => publish(app.appId, trigger)));
        sayReach(reply, reached.includes('local') ? 'local' : 'everywhere');
        if (!triggers.some(({ info }) => wantsAny(info))) return NOTHING_TO_SAY;
        const told = triggers.map((trigger) => attributes(app.appId, trigger.channels[0] ?? '', trigger));
        return { batch: await Promise.all(told) };
      },
    }),
  ];
}

/** An event for an encrypted channel goes to that one alone, and nobody here can read it. */
function isSealed({ channels: [name = ''] }: Trigger): boolean {
  const channel = parseChannelName(name);
  return 'kind' in channel && channel.kind === 'encrypted';
}

function sayReach(reply: Pick<Answer, 'header'>, reach: Reach): void {
  if (reach === 'local') reply.header('x-relay-delivery', 'local');
}
