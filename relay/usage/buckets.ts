/** Usage is kept per minute, hour and day, each for as long as it is of use. UTC, as epoch milliseconds. */
export const GRANULARITIES = ['minute', 'hour', 'day'] as const;
export type Granularity = (typeof GRANULARITIES)[number];

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** In milliseconds: how long a bucket is, how long it is kept after its beginning, and what a query without `from` covers. */
export const BUCKETS: Readonly<
  Record<Granularity, { readonly length: number; readonly kept: number; readonly shown: number }>
> = {
  minute: { length: MINUTE, kept: 48 * HOUR, shown: HOUR },
  hour: { length: HOUR, kept: 90 * DAY, shown: DAY },
  day: { length: DAY, kept: 400 * DAY, shown: 30 * DAY },
};

export function bucketStart(granularity: Granularity, at: number): number {
  return at - (at % BUCKETS[granularity].length);
}

/** Beginnings of the buckets that overlap [from, to), oldest first. */
export function bucketsBetween(granularity: Granularity, from: number, to: number): number[] {
  const { length } = BUCKETS[granularity];
  const first = bucketStart(granularity, from);
  return Array.from({ length: Math.max(0, Math.ceil((to - first) / length)) }, (_, n) => first + n * length);
}
