import { access, constants, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { withFileLock } from './file-lock.ts';
import { cacheDirectory } from './cache-directory.ts';
import { runProcess } from './process.ts';

/**
 * The path of a real Redis (or Valkey) server: the one on PATH, else, as root on a system with apt, the package
 * `redis-server`, installed without starting its system service. Rejects with what to do if there is none.
 */
export async function redisServerBinary(): Promise<string> {
  const found = await findServer();
  if (found !== undefined) return found;
  if (process.getuid?.() !== 0 || (await onPath('apt-get')) === undefined) {
    throw new Error('No redis-server or valkey-server on PATH. Install Redis 7 or later, or Valkey, and run again.');
  }
  return withFileLock(
    join(cacheDirectory(), 'apt.lock'),
    () => say('waiting for another process that installs redis-server'),
    async () => {
      const meanwhile = await findServer();
      if (meanwhile !== undefined) return meanwhile;
      say('no redis-server on PATH: installing it with apt-get, about 20 seconds, once per machine');
      await withoutSystemServices(async () => {
        await apt('update');
        await apt('install', '-y', '--no-install-recommends', 'redis-server');
      });
      const installed = await findServer();
      if (installed === undefined) throw new Error('apt-get installed redis-server, but it is not on PATH');
      return installed;
    },
  );
}

async function findServer(): Promise<string | undefined> {
  return (await onPath('redis-server')) ?? (await onPath('valkey-server'));
}

/** The absolute path of a command on PATH. */
export async function onPath(command: string): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, command);
    if (folder !== '' && (await isExecutable(path))) return path;
  }
  return undefined;
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** Debian's own way to keep a package from starting its service: policy-rc.d that answers 101, "forbidden". */
async function withoutSystemServices(work: () => Promise<void>): Promise<void> {
  const policy = '/usr/sbin/policy-rc.d';
  const ours = await writeFile(policy, '#!/bin/sh\nexit 101\n', { flag: 'wx', mode: 0o755 }).then(
    () => true,
    () => false,
  );
  try {
    await work();
  } finally {
    if (ours) await rm(policy, { force: true });
  }
}

async function apt(...args: string[]): Promise<void> {
  const { code, stderr } = await runProcess({
    command: 'apt-get',
    args,
    env: { DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (code !== 0) throw new Error(`apt-get ${args.join(' ')} failed (${code}): ${stderr.trim()}`);
}

function say(message: string): void {
  process.stderr.write(`[test parts] ${message}\n`);
}
