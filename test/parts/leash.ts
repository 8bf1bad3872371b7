import { spawn } from 'node:child_process';
import { Socket } from 'node:net';

/**
 * Ties a child process, or a temporary directory, to the life of this process: a small shell outside our process group
 * waits for the end of a pipe that only we hold open, so it acts even if this process is killed with SIGKILL or the
 * terminal sends Ctrl-C. `release` lets go without acting.
 */
export type Leash = { release(): void };

/** Kills `pid` when this process ends. */
export function leashProcess(pid: number): Leash {
  return leash('kill -KILL "$1" 2>/dev/null', String(pid));
}

/** Removes `directory` when this process ends, after the processes that wrote to it had a moment to die. */
export function leashDirectory(directory: string): Leash {
  return leash('sleep 1; rm -rf "$1"', directory);
}

function leash(action: string, argument: string): Leash {
  const guard = spawn('/bin/sh', ['-c', `cat >/dev/null; ${action}`, 'leash', argument], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
  });
  guard.on('error', () => {});
  guard.unref();
  if (guard.stdin instanceof Socket) guard.stdin.unref();
  return {
    release: () => {
      // The whole group: the shell and the `cat` it waits for.
      if (guard.pid === undefined || guard.exitCode !== null) return;
      try {
        process.kill(-guard.pid, 'SIGKILL');
      } catch {
        // Already gone.
      }
    },
  };
}
