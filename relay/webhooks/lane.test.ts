import { expect, test } from 'vitest';
import { backoffMs, RETRY_WINDOW_MS } from './backoff.ts';
import { Lane } from './lane.ts';
import type { Delivery } from './webhook-queue.ts';

const noJitter = (): number => 1;
let ids = 0;
const delivery = (channel: string, timeMs = 0): Delivery => {
  ids += 1;
  return { id: String(ids), timeMs, event: { name: 'channel_occupied', channel } };
};
const channels = (deliveries: readonly Delivery[]): string[] => deliveries.map(({ event }) => event.channel);
/** Everything that can be sent now, one POST each. */
function takeAll(lane: Lane, now: number, batching = false): (readonly Delivery[])[] {
  const posts: (readonly Delivery[])[] = [];
  for (let taken = lane.take(now, batching); taken.length > 0; taken = lane.take(now, batching)) posts.push(taken);
  return posts;
}

test('the pause doubles from a second to a minute, and at least half of it stays', () => {
  expect([1, 2, 3, 4, 5, 6, 7, 8, 50].map((n) => backoffMs(n, noJitter))).toEqual([
    1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000,
  ]);
  expect(backoffMs(3, () => 0)).toBe(2_000);
});

test('one event a POST, up to eight at once, and one at a time in a channel', () => {
  const lane = new Lane(noJitter);
  lane.add([delivery('a'), delivery('a'), delivery('b')]);
  const posts = takeAll(lane, 0);
  expect(posts.map(channels)).toEqual([['a'], ['b']]);
  lane.sent(posts[0] ?? []);
  expect(takeAll(lane, 0).map(channels)).toEqual([['a']]);
  lane.add(Array.from({ length: 20 }, (_, n) => delivery(`c${n}`)));
  expect(takeAll(lane, 0)).toHaveLength(6);
  expect(lane.out).toBe(8);
});

test('a failed event comes again after its pause, before later ones of its channel; others do not wait', () => {
  const lane = new Lane(noJitter);
  lane.add([delivery('a'), delivery('a'), delivery('b')]);
  const first = lane.take(0, false);
  lane.failed(first, 'status', 0);
  const other = lane.take(0, false);
  expect(channels(other)).toEqual(['b']);
  lane.sent(other);
  expect(lane.take(999, false)).toEqual([]);
  expect(lane.nextAt(0)).toBe(1_000);
  const again = lane.take(1_000, false);
  expect(again).toEqual(first);
  lane.sent(again);
  expect(channels(lane.take(1_000, false))).toEqual(['a']);
});

test('a dead endpoint is asked by one POST at a time, after growing pauses; eight that failed together are one failure', () => {
  const lane = new Lane(noJitter);
  lane.add(Array.from({ length: 20 }, (_, n) => delivery(`c${n}`)));
  for (const post of takeAll(lane, 0)) lane.failed(post, 'unreachable', 0);
  let now = 0;
  const pauses: number[] = [];
  for (let n = 0; n < 6; n += 1) {
    const posts = takeAll(lane, now);
    expect(posts).toHaveLength(1);
    lane.failed(posts[0] ?? [], 'unreachable', now);
    const next = lane.nextAt(now) ?? 0;
    pauses.push(next - now);
    now = next;
  }
  expect(pauses).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000]);
  const probe = lane.take(now, false);
  lane.sent(probe);
  expect(takeAll(lane, now)).toHaveLength(8);
});

test('given up is what failed and is five minutes old, and what had no chance with a failing endpoint; nothing else', () => {
  const lane = new Lane(noJitter);
  const [old, young, untried] = [delivery('a', 0), delivery('b', 10_000), delivery('c', 0)];
  lane.add([old, young]);
  for (const post of takeAll(lane, 10_000)) lane.failed(post, 'status', 10_000);
  lane.add([untried]);
  expect(lane.expired(RETRY_WINDOW_MS - 1).deliveries).toEqual([]);
  expect(lane.expired(RETRY_WINDOW_MS)).toEqual({ deliveries: [old, untried], reason: 'status' });
  expect(lane.size).toBe(1);

  const late = new Lane(noJitter);
  late.add([delivery('a', 0)]);
  expect(late.expired(RETRY_WINDOW_MS * 2).deliveries).toEqual([]);
  expect(late.take(RETRY_WINDOW_MS * 2, false)).toHaveLength(1);
  expect(late.expired(RETRY_WINDOW_MS * 2).deliveries).toEqual([]);
});

test('batches: in order, one at a time, bounded in number and bytes; a batch that fails comes again in smaller ones', () => {
  const lane = new Lane(noJitter);
  lane.add(Array.from({ length: 150 }, () => delivery('a')));
  const first = lane.take(0, true);
  expect(first).toHaveLength(100);
  expect(lane.take(0, true)).toEqual([]);
  lane.failed(first, 'status', 0);
  expect(lane.take(999, true)).toEqual([]);
  const second = lane.take(1_000, true);
  expect(second).toEqual(first.slice(0, 25));
  lane.failed(second, 'status', 1_000);
  expect(lane.take(3_000, true)).toEqual(first.slice(0, 6));

  const big = new Lane(noJitter);
  const data = 'x'.repeat(100_000);
  const clientEvent = (): Delivery => ({
    id: String((ids += 1)),
    timeMs: 0,
    event: { name: 'client_event', channel: 'a', event: 'client-x', data, socket_id: '1.1' },
  });
  big.add([clientEvent(), clientEvent(), clientEvent()]);
  expect(big.bytes).toBeGreaterThan(300_000);
  const two = big.take(0, true);
  expect(two).toHaveLength(2);
  big.sent(two);
  big.sent(big.take(0, true));
  expect(big.bytes).toBe(0);
});

test('refused: everything that is not under way elsewhere goes at once', () => {
  const lane = new Lane(noJitter);
  lane.add([delivery('a'), delivery('b'), delivery('c')]);
  const [one, two] = [lane.take(0, false), lane.take(0, false)];
  expect(channels(lane.refused(one))).toEqual(['a', 'c']);
  expect(lane.size).toBe(1);
  lane.putBack(two);
  expect(lane.take(0, false)).toEqual(two);
});
