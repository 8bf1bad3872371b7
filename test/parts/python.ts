import { createHash } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirectory } from './cache-directory.ts';
import { withFileLock } from './file-lock.ts';
import { canInstallPackages, installPackage, isExecutable, onPath } from './package-manager.ts';
import { runProcess } from './process.ts';
import { say } from './say.ts';

/**
 * The path of a Python interpreter that can import these packages, given as pip wants them (`pusher==3.3.4`). They are installed once
 * per machine, into a virtual environment in the per-user cache. Rejects with the reason where there is no Python 3 and none can be
 * installed, or where pip fails.
 */
export async function pythonWith(...requirements: readonly string[]): Promise<string> {
  const system = await systemPython();
  const version = (await python(system, ['-c', 'import sys; print(sys.version)'])).trim();
  const id = createHash('sha256')
    .update([version, ...requirements].join('\n'))
    .digest('hex')
    .slice(0, 16);
  const home = join(cacheDirectory(), 'python', id);
  const interpreter = join(home, 'bin', 'python');
  if (await isExecutable(interpreter)) return interpreter;
  const waiting = (): void => say('waiting for another process that installs Python packages');
  return withFileLock(join(cacheDirectory(), 'python.lock'), waiting, async () => {
    if (await isExecutable(interpreter)) return interpreter;
    say(`installing ${requirements.join(', ')} with pip, about 20 seconds, once per machine`);
    // Moved to its place when it is complete. Only its scripts know where it was made; the interpreter does not care.
    const unfinished = `${home}.unfinished`;
    await rm(unfinished, { recursive: true, force: true });
    await python(system, ['-m', 'venv', unfinished]);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...requirements];
    await python(join(unfinished, 'bin', 'python'), pip);
    await rename(unfinished, home);
    return interpreter;
  });
}

async function systemPython(): Promise<string> {
  const found = await onPath('python3');
  if (found !== undefined) return found;
  if (!(await canInstallPackages()))
    throw new Error('There is no python3 on PATH, and it cannot be installed from here.');
  await installPackage('python3-venv', async () => (await onPath('python3')) !== undefined);
  const installed = await onPath('python3');
  if (installed === undefined) throw new Error('python3-venv was installed, and there is still no python3 on PATH.');
  return installed;
}

async function python(interpreter: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runProcess({ command: interpreter, args });
  if (code !== 0) throw new Error(`${interpreter} ${args.join(' ')} failed (${code}): ${stderr.trim()}`);
  return stdout;
}
