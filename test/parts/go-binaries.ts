import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirectory } from './cache-directory.ts';
import { withFileLock } from './file-lock.ts';
import { goToolchain } from './go-toolchain.ts';
import { isExecutable } from './package-manager.ts';
import { runProcess } from './process.ts';
import { say } from './say.ts';

export type GoTool = {
  /** The file name of the binary. */
  readonly name: string;
  /** The import path of its main package. */
  readonly package: string;
  /** Roughly, on two cores with an empty build cache; for the progress message. */
  readonly minutes: number;
};

export type GoTools = {
  /** The subfolder of the cache, e.g. `control-plane`. */
  readonly name: string;
  /** The folder of go.mod and go.sum. */
  readonly folder: string;
  readonly ldflags: string;
  readonly tools: readonly GoTool[];
};

/** Where the binaries of this module are kept: a folder of the cache named by the hash of go.sum. */
export async function goBinariesDirectory({ name, folder }: Pick<GoTools, 'name' | 'folder'>): Promise<string> {
  const sum = await readFile(join(folder, 'go.sum'));
  return join(cacheDirectory(), name, createHash('sha256').update(sum).digest('hex').slice(0, 16));
}

/**
 * Makes sure that the binaries named `wanted` are in the cache: builds what is missing, one process of this machine at a
 * time. A binary appears whole or not at all. Rejects if Go is missing or too old, or with the words of `go build`.
 */
export async function buildGoBinaries(module: GoTools, wanted: readonly string[]): Promise<void> {
  const directory = await goBinariesDirectory(module);
  const missing = async (): Promise<GoTool[]> => {
    const tools: GoTool[] = [];
    for (const tool of module.tools) {
      if (wanted.includes(tool.name) && !(await isExecutable(join(directory, tool.name)))) tools.push(tool);
    }
    return tools;
  };
  if ((await missing()).length === 0) return;
  const onWait = (): void => say(`waiting for another process that builds ${module.name} into ${directory}`);
  await withFileLock(join(cacheDirectory(), `${module.name}.lock`), onWait, async () => {
    const tools = await missing();
    if (tools.length === 0) return;
    const go = await goToolchain(module.folder);
    await mkdir(directory, { recursive: true });
    for (const [index, tool] of tools.entries()) {
      const which = `${tool.name} (${index + 1} of ${tools.length})`;
      say(`building ${which}, about ${tool.minutes} min the first time, once per machine`);
      const began = performance.now();
      await build(go, module, tool, join(directory, tool.name));
      say(`built ${which} in ${Math.round((performance.now() - began) / 1_000)} s`);
    }
  });
}

async function build(go: string, { folder, ldflags }: GoTools, tool: GoTool, target: string): Promise<void> {
  const staged = `${target}.building`;
  await rm(staged, { force: true });
  const { code, signal, stderr } = await runProcess({
    command: go,
    args: ['build', '-trimpath', '-buildvcs=false', '-ldflags', ldflags, '-o', staged, tool.package],
    cwd: folder,
    env: { CGO_ENABLED: '0', GOWORK: 'off' },
  });
  if (code !== 0) throw new Error(`go build ${tool.package} failed (${signal ?? code}): ${stderr.trim()}`);
  await rename(staged, target);
}
