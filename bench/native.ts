import { createHash } from 'node:crypto';
import { mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheDirectory } from '#test/parts/cache-directory.ts';
import { runProcess } from '#test/parts/process.ts';

const COMPILE_MS = 60_000;
const FLAGS = ['-std=gnu17', '-O2', '-Wall', '-Wextra', '-Werror'];

/** Path of a program of bench/native, compiled with `cc` when its source is new. Rejects with the compiler's words. Linux only (epoll). */
export async function nativeProgram(name: 'load' | 'reference'): Promise<string> {
  const source = fileURLToPath(new URL(`native/${name}.c`, import.meta.url));
  const hash = createHash('sha256').update(FLAGS.join(' '));
  for (const file of [source, fileURLToPath(new URL('native/digests.h', import.meta.url))]) {
    hash.update(await readFile(file));
  }
  const directory = join(cacheDirectory(), 'bench');
  const program = join(directory, `${name}-${hash.digest('hex').slice(0, 16)}`);
  if (await isThere(program)) return program;
  await mkdir(directory, { recursive: true });
  // Under another name first: who finds the program finds it whole.
  const unfinished = `${program}.${process.pid}`;
  const { code, stderr } = await runProcess(
    { command: 'cc', args: [...FLAGS, '-o', unfinished, source] },
    { timeoutMs: COMPILE_MS },
  );
  if (code !== 0) throw new Error(`cc ${name}.c failed:\n${stderr}`);
  await rename(unfinished, program);
  return program;
}

async function isThere(path: string): Promise<boolean> {
  return readFile(path).then(
    () => true,
    () => false,
  );
}
