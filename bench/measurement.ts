import { startProcess, type Command } from '#test/parts/process.ts';
import { isClean, runLoad, type LoadResult } from './load.ts';
import type { Figure, Scenario } from './scenarios.ts';
import { servers, type ServerName } from './servers.ts';

/** Server and generator each have a core of their own, so that what one costs is not what the other one lost. */
const SERVER_CORE = ['taskset', '-c', '0'];
const GENERATOR_CORE = ['taskset', '-c', '1'];

export type Length = { readonly warmupSeconds: number; readonly seconds: number };

/** One scenario against one fresh server. Rejects when an event was lost, came twice or went astray: such a figure means nothing. */
export async function measure(scenario: Scenario, name: ServerName, length: Length): Promise<LoadResult> {
  await using server = await startProcess(pinned(await servers[name](), SERVER_CORE));
  const port = Number(/^listening (\d+)$/.exec(await server.waitForLine(/^listening \d+$/))?.[1]);
  const result = await runLoad(
    { port, pids: [server.pid] },
    [...scenario.load, '--warmup', String(length.warmupSeconds), '--seconds', String(length.seconds)],
    GENERATOR_CORE,
  );
  if (!isClean(result)) throw new Error(`${scenario.name} on ${name} was not clean: ${JSON.stringify(result)}`);
  return result;
}

/** The scenario's number: microseconds of server CPU per delivery or publish, or KiB per socket. */
export function figureOf(figure: Figure, result: LoadResult): number {
  switch (figure) {
    case 'cpuPerDelivery':
      return result.serverCpuMicroseconds / result.delivered;
    case 'cpuPerPublish':
      return result.serverCpuMicroseconds / result.published;
    case 'memoryPerSocket':
      return (result.memoryKibAfter - result.memoryKibBefore) / result.sockets;
  }
}

function pinned({ command, args, ...rest }: Command, [taskset = '', ...options]: readonly string[]): Command {
  return { ...rest, command: taskset, args: [...options, command, ...args] };
}
