import { access, constants, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { cacheDirectory } from './cache-directory.ts';
import { withFileLock } from './file-lock.ts';
import { runProcess } from './process.ts';
import { say } from './say.ts';

/** The absolute path of a command on PATH. */
export async function onPath(command: string): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, command);
    if (folder !== '' && (await isExecutable(path))) return path;
  }
  return undefined;
}

/** Is there a file at this path that we may execute? */
export async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/**
 * The path of a command that Debian has in a package of its own name, and may put where only the PATH of root looks: the one that is there,
 * else, as root on a system with apt, the package's. Rejects with what to do if there is none.
 */
export async function systemCommand(name: string): Promise<string> {
  const system = `/usr/sbin/${name}`;
  const find = async (): Promise<string | undefined> =>
    (await onPath(name)) ?? ((await isExecutable(system)) ? system : undefined);
  const found = await find();
  if (found !== undefined) return found;
  if (!(await canInstallPackages())) throw new Error(`No ${name} on PATH. Install it and run again.`);
  await installPackage(name, async () => (await find()) !== undefined);
  const installed = await find();
  if (installed === undefined) throw new Error(`apt-get installed ${name}, but there is none`);
  return installed;
}

/** Can this process install system packages: is it root, on a system with apt? */
export async function canInstallPackages(): Promise<boolean> {
  return process.getuid?.() === 0 && (await onPath('apt-get')) !== undefined;
}

/** The version that apt would install, e.g. `2:1.26~1`; undefined if it knows no such package. Refreshes the lists. */
export async function packageCandidate(name: string): Promise<string | undefined> {
  return exclusively(async () => {
    await apt('update');
    const { stdout } = await runProcess({ command: 'apt-cache', args: ['policy', name], env: { LC_ALL: 'C' } });
    const version = /Candidate: (\S+)/.exec(stdout)?.[1];
    return version === '(none)' ? undefined : version;
  });
}

/**
 * Installs a system package with apt, without starting its system services, unless `present` becomes true first: another
 * process may have installed it. Rejects with apt's words.
 */
export async function installPackage(name: string, present: () => Promise<boolean>): Promise<void> {
  await exclusively(async () => {
    if (await present()) return;
    say(`installing ${name} with apt-get, about 20 seconds, once per machine`);
    await withoutSystemServices(async () => {
      await apt('update');
      await apt('install', '-y', '--no-install-recommends', name);
    });
  });
}

function exclusively<T>(work: () => Promise<T>): Promise<T> {
  const path = join(cacheDirectory(), 'apt.lock');
  return withFileLock(path, () => say('waiting for another process that installs packages'), work);
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
