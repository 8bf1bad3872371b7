import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { eventually } from '#test/parts/eventually.ts';
import { runProcess, startProcess } from '#test/parts/process.ts';

test('output is collected, lines are awaited, an early end is an error that shows the output', async () => {
  await using running = await startProcess({ command: 'sh', args: ['-c', 'echo ready; echo oops >&2; exec sleep 60'] });
  await running.waitForLine(/ready/);
  await running.waitForLine(/oops/);
  expect(await running.stop()).toEqual({ code: null, signal: 'SIGTERM' });
  await using failing = await startProcess({ command: 'sh', args: ['-c', 'echo no such luck; exit 3'] });
  await expect(failing.waitForLine(/ready/)).rejects.toThrow(/ended \(3\)[^]*no such luck/);
  expect(await runProcess({ command: 'cat', args: [] }, { input: 'hello' })).toMatchObject({
    code: 0,
    stdout: 'hello',
  });
});

test('a child does not outlive the process that started it, even if that is killed', async () => {
  const script = `
    import { startProcess } from '${new URL('../../parts/process.ts', import.meta.url).href}';
    console.log((await startProcess({ command: 'sleep', args: ['600'] })).pid);`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(createInterface({ input: parent.stdout }), 'line');
  const pid = Number(line);
  expect(isAlive(pid)).toBe(true);
  parent.kill('SIGKILL');
  await eventually(() => !isAlive(pid), { describe: 'the child is gone' });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
