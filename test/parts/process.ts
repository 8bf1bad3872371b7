import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { leashProcess } from './leash.ts';

export type Command = {
  readonly command: string;
  readonly args: readonly string[];
  /** Added to the environment of this process; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Run as this user; needs root. */
  readonly user?: { readonly uid: number; readonly gid: number };
};

export type Exit = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

/** A child process that ends when this process ends, however that happens. */
export type RunningProcess = AsyncDisposable & {
  readonly pid: number;
  /** Resolves when the process has ended and its output has been read. Never rejects. */
  readonly exited: Promise<Exit>;
  /** Has it ended? */
  readonly ended: boolean;
  /** Everything written to stdout and stderr so far, in order of arrival (the last 256 KiB or so). */
  output(): string;
  /** The first line of output, past or future, that matches. Rejects with the output if the process ends first. */
  waitForLine(pattern: RegExp, timeoutMs?: number): Promise<string>;
  /** Sends a signal; SIGSTOP and SIGCONT freeze and thaw it. */
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM (or `signal`), then SIGKILL after `graceMs`; resolves when it has ended. Idempotent. */
  stop(options?: { readonly signal?: NodeJS.Signals; readonly graceMs?: number }): Promise<Exit>;
};

const KEPT_LINES = 4_000;

/** Starts a long-running process. Rejects if the command cannot be started. */
export async function startProcess({ command, args, env, cwd, user }: Command): Promise<RunningProcess> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
    ...user,
  });
  const lines: string[] = [];
  const listeners = new Set<(line: string) => void>();
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      if (lines.length > KEPT_LINES) lines.shift();
      for (const listener of listeners) listener(line);
    });
  }
  let ended = false;
  const { promise: exited, resolve: resolveExited } = Promise.withResolvers<Exit>();
  child.once('close', (code, signal) => {
    ended = true;
    resolveExited({ code, signal });
  });
  await once(child, 'spawn');
  const { pid } = child;
  if (pid === undefined) throw new Error(`${command} has no process id`);
  const leash = leashProcess(pid);
  child.once('exit', () => leash.release());

  const stop: RunningProcess['stop'] = async ({ signal = 'SIGTERM', graceMs = 5_000 } = {}) => {
    if (ended) return exited;
    child.kill(signal);
    // A frozen process only sees the signal once it runs again.
    child.kill('SIGCONT');
    const timer = new AbortController();
    const late = delay(graceMs, 'late' as const, { signal: timer.signal }).catch(() => 'late' as const);
    if ((await Promise.race([exited, late])) === 'late') child.kill('SIGKILL');
    timer.abort();
    return exited;
  };

  return {
    pid,
    exited,
    get ended() {
      return ended;
    },
    output: () => lines.join('\n'),
    waitForLine: async (pattern, timeoutMs = 30_000) => {
      const known = lines.find((line) => pattern.test(line));
      if (known !== undefined) return known;
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const listener = (line: string): void => {
        if (pattern.test(line)) resolve(line);
      };
      const fail = (what: string): void =>
        reject(new Error(`${command} ${what} without a line like ${pattern}\n${lines.slice(-40).join('\n')}`));
      const timer = setTimeout(() => fail(`ran for ${timeoutMs} ms`), timeoutMs);
      listeners.add(listener);
      void exited.then(({ code, signal }) => fail(`ended (${signal ?? code})`));
      try {
        return await promise;
      } finally {
        clearTimeout(timer);
        listeners.delete(listener);
      }
    },
    signal: (signal) => {
      child.kill(signal);
    },
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
    },
  };
}

export type Finished = Exit & { readonly stdout: string; readonly stderr: string };

/**
 * Runs a command to its end and returns its output; a non-zero exit is a result, not an error. Rejects if the command
 * cannot be started. `onLine` sees each line of stderr as it comes; `timeoutMs` kills it.
 */
export async function runProcess(
  { command, args, env, cwd, user }: Command,
  options: {
    readonly input?: string;
    readonly timeoutMs?: number;
    readonly onLine?: (line: string) => void;
  } = {},
): Promise<Finished> {
  const child = spawn(command, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
    ...user,
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs, killSignal: 'SIGKILL' as const }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  if (options.onLine !== undefined) createInterface({ input: child.stderr }).on('line', options.onLine);
  const { promise: closed, resolve, reject } = Promise.withResolvers<Exit>();
  child.once('error', reject);
  child.once('close', (code, signal) => resolve({ code, signal }));
  const leash = child.pid === undefined ? undefined : leashProcess(child.pid);
  // A command that never reads its input closes it early; its exit code tells more than the broken pipe.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  try {
    return { ...(await closed), stdout, stderr };
  } finally {
    leash?.release();
  }
}
