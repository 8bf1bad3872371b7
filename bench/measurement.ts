import { startProcess } from '#test/parts/process.ts';
import { isClean, runLoad, type LoadResult } from './load.ts';
import type { Figure, Scenario } from './scenarios.ts';
import { servers, type Server, type ServerName } from './servers.ts';

/** Server and generator each have a core of their own, so that what one costs is not what the other one lost. */
const SERVER_CORE = '0';
const GENERATOR_CORE = ['taskset', '-c', '1'];

/** A server of several processes says which they are; a server of one is the process that was started. */
const LISTENING = /^listening (\d+)(?: ([\d,]+))?$/;

export type Length = { readonly warmupSeconds: number; readonly seconds: number };

/** One scenario against one fresh server. Rejects when an event was lost, came twice or went astray: such a figure means nothing. */
export async function measure(scenario: Scenario, name: ServerName, length: Length): Promise<LoadResult> {
  const { cores = SERVER_CORE, command, args }: Server = await servers[name]();
  await using server = await startProcess({ command: 'taskset', args: ['-c', cores, command, ...args] });
  const [, port, pids = String(server.pid)] = LISTENING.exec(await server.waitForLine(LISTENING)) ?? [];
  const result = await runLoad(
    { port: Number(port), pids: pids.split(',').map(Number) },
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
