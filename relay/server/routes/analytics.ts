import { z } from 'zod';
import { BUCKETS, bucketsBetween, GRANULARITIES } from '../../usage/buckets.ts';
import type { Tally } from '../../usage/usage.ts';
import type { UsagePoint, UsageStore } from '../../usage/usage-store.ts';
import { endpoint, NOTHING, type Endpoint } from '../endpoint.ts';
import { Refused } from '../refuse.ts';

export type AnalyticsParts = {
  readonly usage: { flushApp(appId: string): Promise<void>; of(appId: string): Tally };
  readonly store: UsageStore;
  /** Epoch milliseconds. */
  readonly wallClock: () => number;
};

/** A day of minutes, and more than there are of hours and days in what is kept of a quarter and a year. */
const MAX_POINTS = 2_500;
const time = z.iso.datetime({ offset: true, error: 'must be a time such as 2026-11-22T18:00:00Z' });

const point = z.object({
  start: z.iso.datetime(),
  connections_peak: z.int().meta({ description: 'Most connections at once, to the minute.' }),
  connections_opened: z.int(),
  messages_in: z.int().meta({ description: 'Messages from WebSocket clients.' }),
  messages_out: z.int().meta({ description: 'Events written to WebSocket clients.' }),
  api_calls: z.int().meta({ description: 'Requests that the gate let through.' }),
});

export function analyticsEndpoint({ usage, store, wallClock }: AnalyticsParts): Endpoint {
  return endpoint({
    method: 'GET',
    path: '/analytics',
    surface: 'relay',
    scope: 'analytics:read',
    id: 'analytics',
    summary: 'Usage per minute, hour or day (UTC)',
    description:
      'Minutes are kept for 48 hours, hours for 90 days, days for 400 days. Numbers of other replicas are up to 5 s old. `complete` is false while Redis is away.',
    params: NOTHING,
    query: z.object({
      granularity: z.enum(GRANULARITIES).default('hour'),
      from: time.optional().meta({ description: 'Default: an hour, a day or 30 days before `to`.' }),
      to: time.optional().meta({ description: 'Exclusive. Default: now.' }),
    }),
    body: NOTHING,
    answer: z.object({ granularity: z.enum(GRANULARITIES), complete: z.boolean(), points: z.array(point) }),
    refusals: [],
    handle: async ({ app: { appId }, query: { granularity, from, to } }) => {
      const end = to === undefined ? wallClock() : Date.parse(to);
      const begin = from === undefined ? end - BUCKETS[granularity].shown : Date.parse(from);
      if (begin >= end) throw new Refused('parameter_invalid', 'from: must be before to');
      if ((end - begin) / BUCKETS[granularity].length > MAX_POINTS) {
        throw new Refused('parameter_invalid', `from: at most ${MAX_POINTS} points; ask for a coarser granularity`);
      }
      await usage.flushApp(appId);
      const { value, reached } = await store.read(appId, granularity, bucketsBetween(granularity, begin, end));
      return { granularity, complete: reached, points: value.map(shown) };
    },
  });
}

function shown({ start, counts }: UsagePoint): z.infer<typeof point> {
  return {
    start: new Date(start).toISOString(),
    connections_peak: counts.connectionsPeak,
    connections_opened: counts.connectionsOpened,
    messages_in: counts.messagesIn,
    messages_out: counts.messagesOut,
    api_calls: counts.apiCalls,
  };
}
