import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Outbox, type Consumer } from './outbox.ts';

class TestConsumer implements Consumer {
  waiting = undefined;
  readonly written: Buffer[] = [];
  unsent = 0;
  dropped = 0;
  takes = (): void => undefined;
  unsentBytes(): number {
    return this.unsent;
  }
  write(bytes: Buffer): void {
    this.written.push(bytes);
    this.takes();
  }
  tooSlow(): void {
    this.dropped += 1;
  }
}
/** A clock by which writing takes no time. */
const unhurried = (): number => 0;
const immediate = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
/** A turn of the event loop, and the look for more that follows it. */
const turn = async (): Promise<void> => {
  await immediate();
  await immediate();
};
const [a, b, c] = ['a', 'b', 'c'].map((text) => Buffer.from(text)) as [Buffer, Buffer, Buffer];

test('one write per consumer and turn, in order', async () => {
  const outbox = new Outbox(1_000, unhurried);
  const [one, two] = [new TestConsumer(), new TestConsumer()];
  for (const frame of [a, b, c]) for (const consumer of [one, two]) outbox.push(consumer, frame);
  expect(one.written).toEqual([]);
  await turn();
  expect(one.written.map(String)).toEqual(['abc']);
  outbox.push(one, a);
  await turn();
  expect(one.written.map(String)).toEqual(['abc', 'a']);
});

test('what arrives in the very next turn goes out in the same write, and nothing later does', async () => {
  const outbox = new Outbox(1_000, unhurried);
  const one = new TestConsumer();
  outbox.push(one, a);
  await immediate();
  outbox.push(one, b);
  await immediate();
  expect(one.written.map(String)).toEqual(['ab']);
  outbox.push(one, c);
  expect(one.written).toHaveLength(1);
  await turn();
  expect(one.written.map(String)).toEqual(['ab', 'c']);
});

test('consumers with the same frames share the very same bytes', async () => {
  const outbox = new Outbox(1_000, unhurried);
  const consumers = Array.from({ length: 3 }, () => new TestConsumer());
  for (const frame of [a, b]) for (const consumer of consumers) outbox.push(consumer, frame);
  await turn();
  expect(new Set(consumers.map(({ written }) => written[0])).size).toBe(1);
});

test('consumers with different frames get their own', async () => {
  const outbox = new Outbox(1_000, unhurried);
  const [one, two, three] = [new TestConsumer(), new TestConsumer(), new TestConsumer()];
  outbox.push(one, a);
  outbox.push(two, b);
  outbox.push(one, b);
  outbox.push(three, a);
  outbox.push(two, c);
  outbox.push(three, c);
  outbox.push(one, c);
  await turn();
  expect([one, two, three].map(({ written }) => String(written[0]))).toEqual(['abc', 'bc', 'ac']);
});

test('flushOne writes now, and the turn does not write it again', async () => {
  const outbox = new Outbox(1_000, unhurried);
  const one = new TestConsumer();
  outbox.push(one, a);
  outbox.flushOne(one);
  expect(one.written.map(String)).toEqual(['a']);
  await turn();
  expect(one.written).toHaveLength(1);
});

test('a consumer with too much unsent is dropped and gets nothing', async () => {
  const outbox = new Outbox(10, unhurried);
  const one = new TestConsumer();
  one.unsent = 11;
  outbox.push(one, a);
  await turn();
  expect([one.dropped, one.written.length]).toEqual([1, 0]);
});

test('a burst above the limit is written to a consumer that has nothing unsent', async () => {
  const outbox = new Outbox(10, unhurried);
  const one = new TestConsumer();
  outbox.push(one, Buffer.alloc(100));
  await turn();
  expect([one.dropped, one.written.length]).toEqual([0, 1]);
});

describe('under load', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  /** A write to `one` takes so long, in milliseconds; then an event comes every millisecond. When was there another write, with how many events? */
  const secondWrite = (writingMs: number): { readonly after: number; readonly events: number } => {
    const from = Date.now();
    let spent = 0;
    const outbox = new Outbox(1_000, () => Date.now() - from + spent);
    const one = new TestConsumer();
    outbox.push(one, a);
    one.takes = () => {
      spent += writingMs;
    };
    vi.runAllTimers();
    expect(one.written.map(String)).toEqual(['a']);
    for (let after = 0; after < 20; after += 1) {
      outbox.push(one, b);
      vi.advanceTimersByTime(1);
      const text = one.written[1]?.toString();
      if (text !== undefined) return { after, events: text.length };
    }
    throw new Error('nothing was written for 20 ms');
  };

  test('an outbox that writes quickly never rests', () => {
    expect(secondWrite(0.9)).toEqual({ after: 0, events: 1 });
  });
  test('it rests twice as long as it wrote, and what comes meanwhile is one write', () => {
    expect(secondWrite(2)).toEqual({ after: 4, events: 5 });
  });
  test('however long it wrote, it rests for 8 ms at most', () => {
    expect(secondWrite(1_000)).toEqual({ after: 8, events: 9 });
  });
  test('once it has rested, it writes at once', () => {
    const from = Date.now();
    let spent = 0;
    const outbox = new Outbox(1_000, () => Date.now() - from + spent);
    const one = new TestConsumer();
    one.takes = () => {
      spent += 5;
    };
    outbox.push(one, a);
    vi.runAllTimers();
    vi.advanceTimersByTime(8);
    outbox.push(one, b);
    vi.advanceTimersByTime(1);
    expect(one.written.map(String)).toEqual(['a', 'b']);
  });
  test('what must go out now does not wait for the end of a rest', () => {
    const outbox = new Outbox(1_000, () => Date.now());
    const one = new TestConsumer();
    one.takes = () => {
      vi.advanceTimersByTime(5);
    };
    outbox.push(one, a);
    vi.runAllTimers();
    outbox.push(one, b);
    outbox.flushOne(one);
    expect(one.written.map(String)).toEqual(['a', 'b']);
    vi.runAllTimers();
    expect(one.written).toHaveLength(2);
  });
});
