import { Registry } from 'prom-client';
import { beforeEach, expect, test } from 'vitest';
import { FakeClock } from '#test/parts/fake-clock.ts';
import { EnforcementWatch } from './enforcement-watch.ts';
import type { MemberView } from './enforcement.ts';
import { UNKNOWN_VIEW } from './enforcement.ts';
import { createPublisherMetrics } from './metrics.ts';
import { PropagationTimes } from './propagation-times.ts';

let clock: FakeClock;
let watch: EnforcementWatch;
let times: PropagationTimes;
let metrics: ReturnType<typeof createPublisherMetrics>;

beforeEach(() => {
  clock = new FakeClock();
  watch = new EnforcementWatch(clock);
  metrics = createPublisherMetrics(new Registry());
  times = new PropagationTimes({ enforcement: watch, clock, seconds: metrics.enforcedSeconds });
});

const member = (id: string, revision: number): MemberView => ({
  id,
  epoch: 1,
  revision,
  admitted: true,
  silent: false,
  rejected: new Set(),
  lacks: undefined,
});
const show = (head: number, ...members: MemberView[]): void =>
  watch.update({ head: { epoch: 1, revision: head }, members });
/** Count and sum by change. */
const measured = async (): Promise<Record<string, number>> =>
  Object.fromEntries(
    (await metrics.enforcedSeconds.get()).values
      .filter(({ metricName }) => metricName?.endsWith('_count') === true || metricName?.endsWith('_sum') === true)
      .map(({ metricName = '', labels, value }) => [`${labels.change} ${metricName.split('_').at(-1)}`, value]),
  );

test('from the commit until the last relay has acknowledged it', async () => {
  times.committed(5, 'removal');
  await clock.advance(40);
  times.committed(6, 'other');
  show(6, member('a', 6), member('b', 4));
  await clock.advance(10);
  show(6, member('a', 6), member('b', 5));
  expect(await measured()).toEqual({ 'removal count': 1, 'removal sum': 0.05 });
  await clock.advance(50);
  show(6, member('a', 6), member('b', 6));
  expect(await measured()).toEqual({ 'removal count': 1, 'removal sum': 0.05, 'other count': 1, 'other sum': 0.06 });
});

test('a relay that does not answer is waited for; where none is, nothing is measured', async () => {
  times.committed(5, 'removal');
  show(5, member('a', 5), { ...member('b', 4), silent: true });
  expect(await measured()).toEqual({});
  show(5);
  show(5, member('a', 5));
  expect(await measured()).toEqual({});
});

test('whoever leads no more measures nothing of what was under way', async () => {
  times.committed(5, 'removal');
  watch.update({ head: { epoch: 1, revision: 4 }, members: [member('a', 4)] });
  watch.update(UNKNOWN_VIEW);
  show(5, member('a', 5));
  expect(await measured()).toEqual({});
});
