import { pino } from 'pino';
import { expect, test } from 'vitest';
import { FakeClock } from '#test/parts/fake-clock.ts';
import { EventRecorder } from './events.ts';
import type { EventSink, RecordedEvent } from './events.ts';

const subject = {
  apiVersion: 'v1',
  kind: 'Thing',
  metadata: { name: 'a', namespace: 'shop', uid: 'uid-a' },
};
const note = { type: 'Normal', reason: 'Issued', action: 'Issue', note: 'hello' } as const;

function recorder(write: EventSink['write'] = () => Promise.resolve()) {
  const clock = new FakeClock();
  const written: RecordedEvent[] = [];
  let ids = 0;
  const events = new EventRecorder({
    sink: {
      write: async (event, signal) => {
        await write(event, signal);
        written.push(event);
      },
    },
    clock,
    newId: () => `${(ids += 1)}`,
    log: pino({ level: 'silent' }),
  });
  return { clock, events, written };
}

test('the same again is a count on the same event, written at most every half minute', async () => {
  const { clock, events, written } = recorder();
  for (let i = 0; i < 50; i += 1) {
    events.record(subject, note);
    await clock.advance(1000);
  }
  await clock.advance(60_000);
  expect(written.map(({ name, count }) => [name, count])).toEqual([
    ['a.1', 1],
    ['a.1', 31],
    ['a.1', 50],
  ]);
  expect(written.at(-1)?.lastAt).toBe(Date.UTC(2026, 0, 1) + 49_000);
});

test('after six quiet minutes it is a new event', async () => {
  const { clock, events, written } = recorder();
  events.record(subject, note);
  await clock.advance(360_000);
  events.record(subject, note);
  await clock.advance(0);
  expect(written.map(({ name, count }) => [name, count])).toEqual([
    ['a.1', 1],
    ['a.2', 1],
  ]);
});

test('an object has a budget: 25 at once, then one in five minutes; the others are not touched by it', async () => {
  const { clock, events, written } = recorder();
  for (let i = 0; i < 100; i += 1) events.record(subject, { ...note, note: `note ${i}` });
  events.record({ ...subject, metadata: { ...subject.metadata, uid: 'uid-b', name: 'b' } }, note);
  await clock.advance(0);
  expect(written).toHaveLength(26);
  expect(events.dropped).toBe(75);
  await clock.advance(300_000);
  events.record(subject, { ...note, note: 'later' });
  await clock.advance(0);
  expect(written).toHaveLength(27);
});

test('a sink that fails or hangs neither holds up nor fails who records, and dispose ends it', async () => {
  const failing = recorder(() => Promise.reject(new Error('forbidden')));
  failing.events.record(subject, note);
  await failing.events.flush();
  expect(failing.events.dropped).toBe(1);

  const hanging = recorder(
    (_, signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  );
  for (let i = 0; i < 5000; i += 1) {
    hanging.events.record({ ...subject, metadata: { ...subject.metadata, uid: `uid-${i}` } }, note);
  }
  expect(hanging.events.dropped).toBeGreaterThanOrEqual(4000);
  await hanging.events[Symbol.asyncDispose]();
  expect(hanging.written).toEqual([]);
});
