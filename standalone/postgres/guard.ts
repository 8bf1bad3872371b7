import { spawn } from 'node:child_process';
import { Socket } from 'node:net';

/**
 * Stops PostgreSQL when this process ends in a way that leaves it no time to do so (kill -9): a small shell waits for the end of a pipe
 * that only we hold open. `release` lets go without acting.
 */
export function guardProcess(pid: number): { release(): void } {
  const guard = spawn('/bin/sh', ['-c', 'cat >/dev/null; kill -INT "$1" 2>/dev/null', 'guard', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // Outside our process group: Ctrl-C in a terminal must not end it before us.
    detached: true,
    cwd: '/',
  });
  guard.on('error', () => {});
  guard.unref();
  if (guard.stdin instanceof Socket) guard.stdin.unref();
  return {
    release: () => {
      if (guard.pid === undefined || guard.exitCode !== null) return;
      try {
        // The whole group: the shell and the `cat` that it waits for.
        process.kill(-guard.pid, 'SIGKILL');
      } catch {
        // It has ended already.
      }
    },
  };
}
