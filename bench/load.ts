import { z } from 'zod';
import { runProcess } from '#test/parts/process.ts';
import { nativeProgram } from './native.ts';

const latency = z.object({
  count: z.number(),
  p50: z.number(),
  p90: z.number(),
  p99: z.number(),
  max: z.number(),
});

/** What the generator prints. Without `InAll`: within the measured window only. Times in microseconds, memory (resident) in KiB. */
const result = z.object({
  published: z.number(),
  delivered: z.number(),
  publishedInAll: z.number(),
  deliveredInAll: z.number(),
  lost: z.number(),
  duplicated: z.number(),
  misrouted: z.number(),
  closed: z.number(),
  refused: z.number(),
  sockets: z.number(),
  seconds: z.number(),
  serverCpuMicroseconds: z.number(),
  generatorCpuMicroseconds: z.number(),
  memoryKibBefore: z.number(),
  memoryKibAfter: z.number(),
  deliveryMicroseconds: latency,
  publishMicroseconds: latency,
});

export type LoadResult = z.output<typeof result>;

/** Whether every event arrived once, where it belongs, and nothing was refused or closed. */
export function isClean({ lost, duplicated, misrouted, closed, refused }: LoadResult): boolean {
  return lost + duplicated + misrouted + closed + refused === 0;
}

/** A hard end for one measurement, whatever the server does. */
const DEADLINE_SECONDS = 180;

/**
 * Runs the load generator against 127.0.0.1:`port`. A run with lost or repeated events is a result ({@link isClean}); rejects when the
 * generator could not do its work. `prefix`: a command before it, such as `taskset -c 1`.
 */
export async function runLoad(
  { port, pids }: { readonly port: number; readonly pids: readonly number[] },
  args: readonly string[],
  prefix: readonly string[] = [],
): Promise<LoadResult> {
  const target = ['--port', String(port), ...(pids.length === 0 ? [] : ['--pid', pids.join(',')])];
  const line = [...prefix, await nativeProgram('load'), ...target, '--deadline', String(DEADLINE_SECONDS), ...args];
  const [command = '', ...rest] = line;
  const { code, signal, stdout, stderr } = await runProcess(
    { command, args: rest },
    { timeoutMs: (DEADLINE_SECONDS + 5) * 1000 },
  );
  if (stdout === '') throw new Error(`${line.join(' ')} ended with ${signal ?? code}:\n${stderr}`);
  return result.parse(JSON.parse(stdout));
}
