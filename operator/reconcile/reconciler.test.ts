import { pino } from 'pino';
import { describe, expect, test, vi } from 'vitest';
import type { Enforcement } from '../directory/enforcement-watch.ts';
import { UNKNOWN_VIEW } from '../directory/enforcement.ts';
import { PendingKeys } from './pending-keys.ts';
import type { Plan } from './plan.ts';
import { createReconcile } from './reconciler.ts';

type Status = { readonly enforced: boolean };

/** An object whose change is revision 7, and relays that acknowledge it while a status waits for them, or do not. */
function installation({ answers }: { readonly answers: boolean }) {
  const relays = { acknowledged: false };
  const object: { status?: Status } = {};
  const writes: Status[] = [];
  const waits: number[] = [];
  const onEarlyStatus = vi.fn<() => void>();
  const enforcement: Enforcement = {
    view: () => UNKNOWN_VIEW,
    onChange: () => () => {},
    reached: async (revision, timeoutMs) => {
      waits.push(revision);
      expect(timeoutMs).toBeGreaterThan(0);
      relays.acknowledged ||= answers;
    },
  };
  const reconcile = createReconcile(
    {
      observe: async () => ({ object, enforced: undefined }),
      plan: (): Plan<never, Status> => ({
        steps: [],
        status: { enforced: relays.acknowledged },
        ...(relays.acknowledged ? {} : { await: 7, pending: true }),
        outcome: { kind: 'done' },
      }),
      apply: () => expect.fail('there is nothing to do'),
      writeStatus: async (_, status) => {
        writes.push(status);
        object.status = status;
      },
      onEarlyStatus,
    },
    enforcement,
    new PendingKeys(enforcement),
  );
  const run = () =>
    reconcile('shop/checkout', {
      signal: new AbortController().signal,
      log: pino({ level: 'silent' }),
      reconcileId: 'one',
    });
  return { relays, writes, waits, onEarlyStatus, run };
}

describe('a status', () => {
  test('waits for the relays, so that one write says everything', async () => {
    const { writes, waits, onEarlyStatus, run } = installation({ answers: true });
    expect(await run()).toEqual({ kind: 'done' });
    expect(waits).toEqual([7]);
    expect(writes).toEqual([{ enforced: true }]);
    expect(onEarlyStatus).not.toHaveBeenCalled();
  });

  test('that waited in vain is written, counted, and written again when all have answered', async () => {
    const { relays, writes, waits, onEarlyStatus, run } = installation({ answers: false });
    await run();
    expect(waits).toEqual([7]);
    expect(writes).toEqual([{ enforced: false }]);
    expect(onEarlyStatus).toHaveBeenCalledOnce();
    relays.acknowledged = true;
    await run();
    expect(writes).toEqual([{ enforced: false }, { enforced: true }]);
    expect(onEarlyStatus).toHaveBeenCalledOnce();
  });

  test('that says what it said before is not written', async () => {
    const { relays, writes, onEarlyStatus, run } = installation({ answers: false });
    await run();
    await run();
    relays.acknowledged = true;
    await run();
    await run();
    expect(writes).toEqual([{ enforced: false }, { enforced: true }]);
    expect(onEarlyStatus).toHaveBeenCalledOnce();
  });
});
