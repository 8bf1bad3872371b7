import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Pace } from './pace.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A socket, and how often it was paused. */
function paced(clientEventsPerSecond = 0): {
  pace: Pace;
  socket: { paused: boolean; pause(): void; resume(): void };
  held: () => number;
} {
  let times = 0;
  const socket = {
    paused: false,
    pause: () => {
      socket.paused = true;
    },
    resume: () => {
      socket.paused = false;
    },
  };
  const parts = {
    now: () => Date.now(),
    clientEventsPerSecond: () => clientEventsPerSecond,
    heldBack: () => {
      times += 1;
    },
  };
  const pace = new Pace(parts, '101', socket);
  return { pace, socket, held: () => times };
}
const count = (pace: Pace, times: number): void => {
  for (let n = 0; n < times; n += 1) pace.count();
};

describe('the pace of a socket', () => {
  test('a thousand messages at once are nothing special, one more is', () => {
    const { pace, socket, held } = paced();
    count(pace, 1_000);
    expect(socket.paused).toBe(false);
    count(pace, 1);
    expect(socket.paused).toBe(true);
    expect(held()).toBe(1);
  });

  test('it is read again once what was read beyond is made up for, and not before', () => {
    const { pace, socket, held } = paced();
    // 300 come with what was read already, when nothing more is read.
    count(pace, 1_300);
    vi.advanceTimersByTime(999);
    expect(socket.paused).toBe(true);
    vi.advanceTimersByTime(2);
    expect(socket.paused).toBe(false);
    expect(held()).toBe(1);
    count(pace, 2);
    expect(socket.paused).toBe(true);
    expect(held()).toBe(2);
  });

  test('what an app allows in client events comes on top', () => {
    const { pace, socket } = paced(700);
    count(pace, 2_000);
    vi.advanceTimersByTime(999);
    expect(socket.paused).toBe(true);
    vi.advanceTimersByTime(2);
    expect(socket.paused).toBe(false);
  });

  test('who keeps to it is never held back', () => {
    const { pace, held } = paced();
    for (let second = 0; second < 60; second += 1) {
      count(pace, 300);
      vi.advanceTimersByTime(1_000);
    }
    expect(held()).toBe(0);
  });
});
