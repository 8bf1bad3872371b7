import type { RefusalCode } from '../gate/refusals.ts';

export interface Drainable {
  refuse(code: RefusalCode): void;
  closed(): Promise<void>;
}

/** How often a batch of sockets is closed. */
const STEP_MS = 100;

/**
 * Closes all sockets with 4200 (reconnect at once), spread evenly over `durationMs`, so that the replicas that take them over are not hit
 * by all of them in one moment. Resolves when the last one is gone.
 */
export async function drain(
  sockets: readonly Drainable[],
  durationMs: number,
  sleep: (ms: number) => Promise<void>,
): Promise<void> {
  const steps = Math.max(1, Math.floor(durationMs / STEP_MS));
  const perStep = Math.ceil(sockets.length / steps);
  const closed: Promise<void>[] = [];
  for (let at = 0; at < sockets.length; at += perStep) {
    if (at > 0) await sleep(STEP_MS);
    for (const socket of sockets.slice(at, at + perStep)) {
      closed.push(socket.closed());
      socket.refuse('draining');
    }
  }
  await Promise.all(closed);
}
