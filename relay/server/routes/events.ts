import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Bus, Reach } from '../../bus/bus.ts';
import type { ChannelCounts } from '../channel-counts.ts';
import type { FanOut } from '../fan-out.ts';
import { gated, gatedApp } from '../http-gate.ts';
import { parseBatch, parseTrigger, type Trigger } from '../trigger.ts';

export type EventRoutesParts = { readonly fanOut: FanOut; readonly bus: Bus; readonly counts: ChannelCounts };

/** Without `info` the reply is exactly this: SDKs compare. */
const NOTHING_TO_SAY = '{}';

/**
 * POST events and batch_events. While Redis is away an event still reaches the subscribers of this replica, and the reply is 200 with
 * `X-Relay-Delivery: local`: an error would make publishers send again, and those subscribers get it twice.
 */
export function eventRoutes(scope: FastifyInstance, { fanOut, bus, counts }: EventRoutesParts): void {
  const publish = async (appId: string, trigger: Trigger): Promise<Reach> => fanOut.publish(bus, appId, trigger);

  scope.post('/events', async (request, reply) => {
    const app = gatedApp(request);
    const trigger = parseTrigger(gated(request).body, app);
    sayReach(reply, [await publish(app.appId, trigger)]);
    if (!wantsInfo(trigger)) return reply.type('application/json').send(NOTHING_TO_SAY);
    const channels: [name: string, attributes: object][] = [];
    for (const channel of trigger.channels) channels.push([channel, await info(app.appId, channel, trigger)]);
    // Not by assignment: `__proto__` is a valid name.
    return reply.send({ channels: Object.fromEntries(channels) });
  });

  scope.post('/batch_events', async (request, reply) => {
    const app = gatedApp(request);
    const triggers = parseBatch(gated(request).body, app);
    // Handed over one after the other without waiting in between, so that the order holds and the bus sees one batch.
    sayReach(reply, await Promise.all(triggers.map((trigger) => publish(app.appId, trigger))));
    if (!triggers.some(wantsInfo)) return reply.type('application/json').send(NOTHING_TO_SAY);
    const batch = await Promise.all(triggers.map((trigger) => info(app.appId, trigger.channels[0] ?? '', trigger)));
    return reply.send({ batch });
  });

  /** `user_count` is dropped silently: none of the channels served today is a presence channel. */
  async function info(appId: string, channel: string, trigger: Trigger): Promise<object> {
    return trigger.info.subscriptionCount ? { subscription_count: await counts.ofChannel(appId, channel) } : {};
  }
}

const wantsInfo = (trigger: Trigger): boolean => trigger.info.subscriptionCount || trigger.info.userCount;

function sayReach(reply: FastifyReply, reached: readonly Reach[]): void {
  if (reached.includes('local')) void reply.header('x-relay-delivery', 'local');
}
