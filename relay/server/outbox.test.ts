import { expect, test } from 'vitest';
import { Outbox, type Consumer } from './outbox.ts';

class TestConsumer implements Consumer {
  waiting = undefined;
  readonly written: Buffer[] = [];
  unsent = 0;
  dropped = 0;
  unsentBytes(): number {
    return this.unsent;
  }
  write(bytes: Buffer): void {
    this.written.push(bytes);
  }
  tooSlow(): void {
    this.dropped += 1;
  }
}
const immediate = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
/** A turn of the event loop, and the look for more that follows it. */
const turn = async (): Promise<void> => {
  await immediate();
  await immediate();
};
const [a, b, c] = ['a', 'b', 'c'].map((text) => Buffer.from(text)) as [Buffer, Buffer, Buffer];

test('one write per consumer and turn, in order', async () => {
  const outbox = new Outbox(1_000);
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
  const outbox = new Outbox(1_000);
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
  const outbox = new Outbox(1_000);
  const consumers = Array.from({ length: 3 }, () => new TestConsumer());
  for (const frame of [a, b]) for (const consumer of consumers) outbox.push(consumer, frame);
  await turn();
  expect(new Set(consumers.map(({ written }) => written[0])).size).toBe(1);
});

test('consumers with different frames get their own', async () => {
  const outbox = new Outbox(1_000);
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
  const outbox = new Outbox(1_000);
  const one = new TestConsumer();
  outbox.push(one, a);
  outbox.flushOne(one);
  expect(one.written.map(String)).toEqual(['a']);
  await turn();
  expect(one.written).toHaveLength(1);
});

test('a consumer with too much unsent is dropped and gets nothing', async () => {
  const outbox = new Outbox(10);
  const one = new TestConsumer();
  one.unsent = 11;
  outbox.push(one, a);
  await turn();
  expect([one.dropped, one.written.length]).toEqual([1, 0]);
});

test('a burst above the limit is written to a consumer that has nothing unsent', async () => {
  const outbox = new Outbox(10);
  const one = new TestConsumer();
  outbox.push(one, Buffer.alloc(100));
  await turn();
  expect([one.dropped, one.written.length]).toEqual([0, 1]);
});
