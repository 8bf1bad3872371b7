import { expect, test } from 'vitest';
import { tokenHash } from '#crds/token-format.ts';
import { TransientError } from '../engine/errors.ts';
import { MemoryTokenInstallation, type Calls } from '#test/parts/memory-token-installation.ts';

// Killed before and after every single call of a port, the operator reaches the same state, and nobody who rereads the Secret is refused.

const DAY = 86_400_000;

class Killed extends Error {}

/** What it ended with, and how many calls that took. */
type Life = { readonly calls: number; readonly end: unknown };

/** The life of one token: issued, rotated because somebody asks and because it is time, the old ones gone. Killed at one call, if at any. */
async function live(kill?: { readonly call: number; readonly when: 'before' | 'after' }): Promise<Life> {
  const installation = new MemoryTokenInstallation();
  let calls = 0;
  let handedOut = false;
  const seen = (): string | undefined => installation.secret('ci-token')?.data['RELAY_TOKEN'];
  /** Somebody who rereads the Secret each time. A first issue may be a moment ahead of the relays. */
  const careful = (): void => {
    const token = seen();
    if (token === undefined || !handedOut) return;
    expect(installation.accepted(token)).toEqual([true, true]);
  };
  const counting: Calls = async (_, call) => {
    calls += 1;
    const here = calls === kill?.call;
    careful();
    if (here && kill.when === 'before') throw new Killed();
    const result = await call();
    careful();
    if (here) throw new Killed();
    return result;
  };
  /** Starts again as often as it is killed, and tries again after what was refused, until it is done. */
  const settle = async (): Promise<void> => {
    for (let start = 0; start < 10; start += 1) {
      try {
        await installation.operator(counting)();
        return;
      } catch (error) {
        if (!(error instanceof Killed || (error instanceof TransientError && error.quiet))) throw error;
      }
    }
    throw new Error('it does not come to an end');
  };
  const states = (): string => installation.rows.map(({ state }) => state).join(' ');
  const step = async (days: number): Promise<void> => {
    installation.now += days * DAY;
    await settle();
  };

  await step(0);
  handedOut = true;
  const first = seen();
  installation.annotate({ 'relay-operator.dev/rotate': 'monday' });
  await step(1);
  const second = seen();
  // The end of the overlap, of the grace, and of what the relays remember; then an interval is over.
  for (const days of [6.99, 0.02, 1.1, 31, 50, 1, 1]) await step(days);
  const third = seen();
  const tokens = [first, second, third];
  expect(new Set(tokens).size).toBe(3);
  const accepted = tokens.map((token) => installation.accepted(token ?? ''));
  const active = installation.rows.find(({ state }) => state === 'Active');
  expect(tokenHash(third ?? '')).toBe(active?.sha256);
  expect(installation.object.status?.tokenId).toBe(active?.id);
  return {
    calls,
    end: {
      accepted,
      active: states().match(/Active/g)?.length,
      living: installation.rows.filter(({ state }) => state !== 'Revoked').map(({ state }) => state),
      staged: installation.secret('ci-token-next'),
      told: [...installation.occasions.values()].map(({ occasion }) => occasion.what),
      handled: installation.object.status?.handledRequests,
      credentials: installation.object.status?.credentials?.map(({ state }) => state),
    },
  };
}

test('a life without a crash', async () => {
  const { end } = await live();
  expect(end).toEqual({
    accepted: [
      [false, false],
      [true, true],
      [true, true],
    ],
    active: 1,
    living: ['Retiring', 'Active'],
    staged: undefined,
    told: ['Rotated', 'RotationUpcoming', 'Rotated'],
    handled: { rotate: 'monday' },
    credentials: ['Active', 'Retiring'],
  });
});

test('killed before and after each call: the same end', async () => {
  const { calls, end } = await live();
  expect(calls).toBeGreaterThan(40);
  for (let call = 1; call <= calls; call += 1) {
    for (const when of ['before', 'after'] as const) {
      const killed = await live({ call, when });
      expect({ call, when, end: killed.end }).toEqual({ call, when, end });
    }
  }
});
