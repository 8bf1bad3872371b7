import { startProcess } from './process.ts';
import type { Command, RunningProcess } from './process.ts';

/** A server process that fault tests stop, kill and freeze, and start again with the same command. */
export type RestartableProcess = AsyncDisposable & {
  /** Of the process that runs now, or ran last. */
  readonly pid: number;
  /** The polite way; resolves when it has ended. */
  stop(): Promise<void>;
  /** SIGKILL; resolves when it has ended. */
  kill9(): Promise<void>;
  /** Starts it again after stop or kill9. Resolves when it is ready. Rejects if it still runs or does not get ready. */
  start(): Promise<void>;
  /** stop, then start. */
  restart(): Promise<void>;
  /** SIGSTOP: connections stay open and nobody answers. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
  /** What the process that runs now, or ran last, has printed. */
  output(): string;
};

export type RestartableOptions = {
  /** Resolves when the process serves. */
  readonly ready: (started: RunningProcess) => Promise<unknown>;
  /** What the program takes as "stop politely" (default SIGTERM) and as "stop, nothing is kept" (default the same). */
  readonly stopSignal?: NodeJS.Signals;
  readonly disposeSignal?: NodeJS.Signals;
};

/** Starts `command` and resolves when it is ready; if it does not get ready it is stopped, and this rejects. */
export async function startRestartable(
  command: Command,
  { ready, stopSignal = 'SIGTERM', disposeSignal = stopSignal }: RestartableOptions,
): Promise<RestartableProcess> {
  const launch = async (): Promise<RunningProcess> => {
    const started = await startProcess(command);
    try {
      await ready(started);
    } catch (error) {
      await started.stop({ signal: disposeSignal });
      throw error;
    }
    return started;
  };
  let current = await launch();
  const stop = async (): Promise<void> => {
    await current.stop({ signal: stopSignal, graceMs: 20_000 });
  };
  const start = async (): Promise<void> => {
    if (!current.ended) throw new Error(`${command.command} already runs as process ${current.pid}`);
    current = await launch();
  };
  return {
    get pid() {
      return current.pid;
    },
    stop,
    kill9: async () => {
      await current.stop({ signal: 'SIGKILL' });
    },
    start,
    restart: async () => {
      await stop();
      await start();
    },
    pause: () => current.signal('SIGSTOP'),
    resume: () => current.signal('SIGCONT'),
    output: () => current.output(),
    [Symbol.asyncDispose]: async () => {
      await current.stop({ signal: disposeSignal });
    },
  };
}
