import { describe, expect, test } from 'vitest';
import { bucketsBetween, bucketStart } from './buckets.ts';
import { MemoryUsageWorld } from './memory.ts';
import { Usage } from './usage.ts';
import type { Granularity } from './buckets.ts';
import type { UsageCounts } from './usage-store.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 0, 1);

class Scene {
  now = START;
  open = 0;
  readonly world = new MemoryUsageWorld(() => this.now);
  readonly usage = this.boot('one');

  boot(replica: string): Usage {
    return new Usage({ store: this.world.store(replica), connections: () => this.open, wallClock: () => this.now });
  }
  async read(granularity: Granularity, at: number): Promise<UsageCounts | undefined> {
    const { value } = await this.world.store('reader').read('101', granularity, [bucketStart(granularity, at)]);
    return value[0]?.counts;
  }
}

describe('usage', () => {
  test('what is counted falls into the minute in which it began, and into its hour and day', async () => {
    const scene = new Scene();
    scene.usage.of('101').apiCalls += 2;
    scene.now += MINUTE;
    await scene.usage.flush();
    scene.usage.of('101').apiCalls += 3;
    await scene.usage.flush();
    expect(await scene.read('minute', START)).toMatchObject({ apiCalls: 2 });
    expect(await scene.read('minute', START + MINUTE)).toMatchObject({ apiCalls: 3 });
    expect(await scene.read('hour', START)).toMatchObject({ apiCalls: 5 });
    expect(await scene.read('day', START)).toMatchObject({ apiCalls: 5 });
  });

  test('writing twice adds nothing; another boot adds up', async () => {
    const scene = new Scene();
    scene.usage.of('101').messagesIn += 1;
    await Promise.all([scene.usage.flush(), scene.usage.flush(), scene.usage.flushApp('101')]);
    const next = scene.boot('two');
    next.of('101').messagesIn += 1;
    await next.flush();
    expect(await scene.read('minute', START)).toMatchObject({ messagesIn: 2 });
  });

  test('the peak of a day is that of its highest minute, not of all boots together', async () => {
    const scene = new Scene();
    scene.open = 100;
    scene.usage.opened('101');
    await scene.usage.flush();
    // Everybody moves to another replica, later on the same day.
    scene.open = 0;
    await scene.usage.flush();
    scene.now += 3 * HOUR;
    scene.open = 100;
    const next = scene.boot('two');
    next.opened('101');
    await next.flush();
    expect(await scene.read('day', START)).toMatchObject({ connectionsPeak: 100, connectionsOpened: 2 });
  });

  test('open connections count in every minute, without any traffic', async () => {
    const scene = new Scene();
    scene.open = 3;
    scene.usage.opened('101');
    for (let n = 0; n < 3; n++) {
      await scene.usage.flush();
      scene.now += MINUTE;
    }
    await scene.usage.flush();
    expect(await scene.read('minute', START + 2 * MINUTE)).toMatchObject({ connectionsPeak: 3, connectionsOpened: 0 });
  });

  test('a store that is away loses nothing: minutes wait, hours and days come with the next write', async () => {
    const scene = new Scene();
    scene.world.goAway();
    for (let n = 0; n < 3; n++) {
      scene.usage.of('101').messagesOut += 10;
      scene.now += MINUTE;
      await scene.usage.flush();
    }
    scene.world.comeBack();
    await scene.usage.flush();
    expect(await scene.read('minute', START)).toMatchObject({ messagesOut: 10 });
    expect(await scene.read('minute', START + 2 * MINUTE)).toMatchObject({ messagesOut: 10 });
    expect(await scene.read('day', START)).toMatchObject({ messagesOut: 30 });
  });

  test('an app that comes back on the same day goes on counting; a quiet day ends its memory', async () => {
    const scene = new Scene();
    scene.usage.of('101').apiCalls += 1;
    await scene.usage.flush();
    scene.now += HOUR;
    await scene.usage.flush();
    scene.usage.of('101').apiCalls += 1;
    await scene.usage.flush();
    expect(await scene.read('day', START)).toMatchObject({ apiCalls: 2 });
    const before = scene.usage.of('101');
    scene.now += DAY;
    await scene.usage.flush();
    expect(scene.usage.of('101')).not.toBe(before);
  });
});

test('buckets of a range', () => {
  expect(bucketsBetween('hour', START + 5, START + 2 * HOUR)).toEqual([START, START + HOUR]);
  expect(bucketsBetween('hour', START, START + HOUR + 1)).toEqual([START, START + HOUR]);
  expect(bucketsBetween('day', START, START)).toEqual([]);
});
