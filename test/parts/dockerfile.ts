import { cp, mkdir, readFile, symlink } from 'node:fs/promises';
import { basename, dirname, join, matchesGlob, relative } from 'node:path';
import { z } from 'zod';

export type Instruction = { readonly name: string; readonly value: string };

/** The last stage of a Dockerfile, in order; comments are gone and continued lines are one. */
export function lastStage(dockerfile: string): Instruction[] {
  const lines = dockerfile
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const instructions = lines.map((line) => {
    const [, name = '', value = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
    return { name: name.toUpperCase(), value };
  });
  return instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));
}

/** The values of all instructions of this name. */
export function valuesOf(stage: readonly Instruction[], name: string): string[] {
  return stage.filter((instruction) => instruction.name === name).map(({ value }) => value);
}

const stringArray = z.array(z.string()).min(1);

/** The words of an ENTRYPOINT in its JSON form; the shell form is refused, because a shell does not pass signals on. */
export function entryPoint(stage: readonly Instruction[]): string[] {
  const [value = ''] = valuesOf(stage, 'ENTRYPOINT');
  const parsed: unknown = JSON.parse(value);
  return stringArray.parse(parsed);
}

/**
 * Does what the stage's COPY instructions do, from the repository's root into `target`, with .dockerignore. A copy of node_modules from an
 * earlier stage is taken from the installed packages: those that `npm ci --omit=dev` installs, as the lock file says, so that no network
 * is needed. Any other copy from a stage is refused.
 */
export async function copyAsDocker(root: string, stage: readonly Instruction[], target: string): Promise<void> {
  const ignored = ignoredBy(await readFile(join(root, '.dockerignore'), 'utf8'));
  for (const value of valuesOf(stage, 'COPY')) {
    const words = value.split(/\s+/);
    const paths = words.filter((word) => !word.startsWith('--'));
    const to = paths.at(-1) ?? '';
    if (words.some((word) => word.startsWith('--from='))) {
      if (to !== './node_modules') throw new Error(`cannot copy from another stage: ${value}`);
      await linkRuntimeDependencies(root, target);
      continue;
    }
    for (const from of paths.slice(0, -1)) {
      if (ignored(from)) throw new Error(`.dockerignore leaves out ${from}, which a COPY names`);
      // A COPY of a folder copies what is in it; of a file into a folder, the file.
      const into = to.endsWith('/') ? join(target, to, basename(from)) : join(target, to);
      await cp(join(root, from), into, { recursive: true, filter: (path) => !ignored(relative(root, path)) });
    }
  }
}

/** As Docker: the last pattern that matches the path or a folder above it decides. */
function ignoredBy(dockerignore: string): (path: string) => boolean {
  const patterns = dockerignore
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({ keeps: line.startsWith('!'), glob: line.replace(/^!/, '') }));
  return (path) => {
    const parts = path.split('/');
    const prefixes = parts.map((_, index) => parts.slice(0, index + 1).join('/'));
    const last = patterns.findLast(({ glob }) => prefixes.some((prefix) => matchesGlob(prefix, glob)));
    return last !== undefined && !last.keeps;
  };
}

const lockFile = z.object({
  packages: z.record(z.string(), z.looseObject({ dev: z.boolean().optional() })),
});

/** Links, because copying takes long: a package's own dependencies are then found beside the original, ours only in `target`. */
async function linkRuntimeDependencies(root: string, target: string): Promise<void> {
  const parsed: unknown = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8'));
  for (const [path, { dev }] of Object.entries(lockFile.parse(parsed).packages)) {
    const nested = path.lastIndexOf('node_modules/') > 0;
    if (path === '' || dev === true || nested) continue;
    await mkdir(dirname(join(target, path)), { recursive: true });
    await symlink(join(root, path), join(target, path));
  }
}
