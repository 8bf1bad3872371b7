import { access, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { copyAsDocker, entryPoint, lastStage, valuesOf } from '#test/parts/dockerfile.ts';
import { runProcess } from '#test/parts/process.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';

// Images cannot be built everywhere. What matters of them can be had without: these files and packages alone are enough to start.

const ROOT = join(import.meta.dirname, '../..');

describe.each([
  { name: 'operator', settings: ['DATABASE_URL', 'REDIS_URL', 'ENCRYPTION_KEYS', 'DIRECTORY_KEYS'] },
  { name: 'relay', settings: ['REDIS_URL', 'DIRECTORY_KEYS', 'RELAY_DRAIN_SECONDS'] },
])('Dockerfile.$name', ({ name, settings }) => {
  const read = async () => lastStage(await readFile(join(ROOT, `Dockerfile.${name}`), 'utf8'));

  test('copies all that its entry point needs, and nothing of the other process', async () => {
    const stage = await read();
    await using image = await temporaryDirectory(`image-${name}`);
    await copyAsDocker(ROOT, stage, image.path);
    expect((await readdir(image.path)).toSorted()).toEqual(
      ['LICENSE', 'crds', name, 'node_modules', 'package.json'].toSorted(),
    );
    const ours = await Promise.all(
      ['crds', name].map((folder) => readdir(join(image.path, folder), { recursive: true })),
    );
    expect(ours.flat().filter((file) => file.endsWith('.test.ts') || file.includes('testdata'))).toEqual([]);

    const [command = '', ...args] = entryPoint(stage);
    expect(command).toBe('node');
    await access(join(image.path, args[0] ?? ''));
    const run = (...more: string[]) =>
      runProcess(
        { command: process.execPath, args: [...args, ...more], cwd: image.path, env: nothingOf(settings) },
        { timeoutMs: 30_000 },
      );
    const help = await run('--help');
    expect({ code: help.code, stderr: help.stderr }).toEqual({ code: 0, stderr: '' });
    for (const setting of settings) expect(help.stdout).toContain(setting);

    const unconfigured = await run();
    expect(unconfigured.code).toBe(2);
    expect(unconfigured.stderr).toContain('REDIS_URL');
    expect(unconfigured.stderr).not.toContain('    at ');
  });

  test('runs as the user that the chart demands, without a shell between', async () => {
    const stage = await read();
    const helpers = await readFile(join(ROOT, 'charts/relay-operator/templates/_helpers.tpl'), 'utf8');
    const [, uid = ''] = /runAsUser: (\d+)/.exec(helpers) ?? [];
    const [, gid = ''] = /runAsGroup: (\d+)/.exec(helpers) ?? [];
    expect(Number(uid)).toBeGreaterThan(0);
    expect(valuesOf(stage, 'USER')).toEqual([`${uid}:${gid}`]);
    expect(valuesOf(stage, 'CMD')).toEqual([]);
  });

  test('pins its base image, and is built on the Node of the tests', async () => {
    const dockerfile = await readFile(join(ROOT, `Dockerfile.${name}`), 'utf8');
    const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, base]) => base);
    expect(new Set(bases)).toEqual(new Set([`node:${process.versions.node}-slim`]));
  });
});

/** The settings are not to come from the environment of the tests. */
function nothingOf(settings: readonly string[]): Record<string, undefined> {
  return Object.fromEntries(settings.map((setting) => [setting, undefined]));
}
