import { connect } from 'node:net';
import { eventually } from './eventually.ts';
import type { RunningProcess } from './process.ts';

/** Waits until the process listens on the port of 127.0.0.1. Rejects with its output if it ends or takes too long. */
export async function untilListening(process: RunningProcess, port: number): Promise<void> {
  await eventually(async () => process.ended || (await listens(port)), { describe: `port ${port}` });
  if (process.ended) throw new Error(process.output());
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
