import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import { eventually } from '#test/parts/eventually.ts';
import { runProcess } from '#test/parts/process.ts';
import { PusherClient, relayAt } from '#test/parts/pusher-js.ts';
import { APP, createStandalone, isRunning, publish, spawnStandalone, TOKEN } from './standalone-process.ts';

test('the printed curl publishes, and pusher-js receives it', async () => {
  await using standalone = await createStandalone();
  const { process: run, port } = await standalone.start();
  const { PUSHER_APP_KEY = '' } = await standalone.secret('demo-relay');
  const client = new PusherClient(PUSHER_APP_KEY, {
    ...relayAt(port),
  });
  try {
    const channel = client.subscribe('my-channel');
    await new Promise((resolve) => channel.bind('pusher:subscription_succeeded', resolve));
    const received = new Promise((resolve) => channel.bind('my-event', resolve));

    const curl = await run.waitForLine(/^curl /);
    const { code, stdout, stderr } = await runProcess({ command: '/bin/sh', args: ['-c', `${curl} --silent --fail`] });

    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '{}', stderr: '' });
    expect(await received).toEqual({ text: 'Hello' });
  } finally {
    client.disconnect();
  }
  const { RELAY_TOKEN = '' } = await standalone.secret('demo-publisher-token');
  expect(RELAY_TOKEN).toMatch(/^rly_live_/);
  expect(run.output()).not.toContain(RELAY_TOKEN);
});

test('the page brings its scripts along, under a policy that allows nothing else, and holds no secret', async () => {
  await using standalone = await createStandalone();
  const { url } = await standalone.start();
  const page = await fetch(`${url}/`);
  expect(page.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'");
  const html = await page.text();
  const references = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '');
  expect(references).toEqual(['data:,', '/page/page.css', '/page/pusher.js', '/page/page.js']);
  const { PUSHER_APP_SECRET = '?', PUSHER_APP_KEY = '?' } = await standalone.secret('demo-relay');
  const { RELAY_TOKEN = '?' } = await standalone.secret('demo-publisher-token');
  let all = html;
  for (const path of [...references.slice(1), '/page/apps.json']) {
    const response = await fetch(url + path);
    expect({ path, status: response.status }).toEqual({ path, status: 200 });
    all += await response.text();
  }
  expect(all).toContain(PUSHER_APP_KEY);
  expect(all).not.toContain(PUSHER_APP_SECRET);
  expect(all).not.toContain(RELAY_TOKEN);
});

test('credentials are readable by their owner alone', async () => {
  await using standalone = await createStandalone();
  await standalone.start();
  for (const [path, mode] of [
    ['keys.env', 0o600],
    ['secrets', 0o700],
    ['secrets/default', 0o700],
    ['secrets/default/demo-relay.env', 0o600],
    ['secrets/default/demo-publisher-token.env', 0o600],
  ] as const) {
    expect({ path, mode: (await stat(join(standalone.data, path))).mode & 0o777 }).toEqual({ path, mode });
  }
});

test('an edit takes effect and the status says so; a mistake is told with line and field, and changes nothing', async () => {
  await using standalone = await createStandalone();
  const { process: run, url } = await standalone.start();
  const credentials = await standalone.secret('demo-publisher-token');

  await standalone.write('app.yaml', APP.replace('connections: 100', 'eventBytes: 4'));
  await eventually(async () => (await publish(url, credentials, 'too long')) === 413);
  const edited = await eventually(async () => {
    const found = await standalone.status('RelayApp', 'demo');
    return found.status.observedGeneration === 2 && found;
  });
  expect(edited.status.conditions).toContainEqual(
    expect.objectContaining({ type: 'Enforced', status: 'True', observedGeneration: 2 }),
  );

  await standalone.write('app.yaml', APP.replace('connections: 100', 'conections: 100'));
  const told = await run.waitForLine(/conections/);
  expect(told).toMatch(/app\.yaml:8: spec\.limits\.conections: unknown field, did you mean connections\?/);
  await standalone.write('token.yaml', `${TOKEN}  revoked: true\n`);
  await eventually(async () => (await publish(url, credentials)) === 401);
  expect((await standalone.status('RelayApp', 'demo')).metadata).toEqual(edited.metadata);

  await standalone.write('app.yaml', APP);
  await run.waitForLine(/app\.yaml: is right again/);
  await eventually(async () => (await standalone.status('RelayApp', 'demo')).status.observedGeneration === 3);
});

test('a deleted manifest deletes: at once, and when it was deleted while nothing was running', async () => {
  await using standalone = await createStandalone();
  const first = await standalone.start();
  const credentials = await standalone.secret('demo-publisher-token');
  const app = await standalone.secret('demo-relay');
  expect(await publish(first.url, credentials)).toBe(200);

  await rm(join(standalone.folder, 'token.yaml'));
  await eventually(async () => (await publish(first.url, credentials)) === 401);
  await eventually(async () => {
    await expect(standalone.secret('demo-publisher-token')).rejects.toThrow('ENOENT');
    await expect(standalone.status('RelayToken', 'demo-publisher')).rejects.toThrow('ENOENT');
    return true;
  });
  await first.process.stop();

  await rm(join(standalone.folder, 'app.yaml'));
  const second = await standalone.start();
  await eventually(async () => {
    await expect(standalone.secret('demo-relay')).rejects.toThrow('ENOENT');
    await expect(standalone.status('RelayApp', 'demo')).rejects.toThrow('ENOENT');
    return true;
  });
  const response = await fetch(`${second.url}/apps/${app['PUSHER_APP_ID']}/channels`, {
    headers: { 'x-relay-key': app['PUSHER_APP_KEY'] ?? '', 'x-relay-secret': app['PUSHER_APP_SECRET'] ?? '' },
  });
  expect(response.status).toBe(404);
});

test('Ctrl-C ends everything with exit code 0, and a second start keeps every credential', async () => {
  await using standalone = await createStandalone();
  const first = await standalone.start();
  const app = await standalone.secret('demo-relay');
  const token = await standalone.secret('demo-publisher-token');
  const pid = await standalone.postgresPid();
  expect(await first.process.stop({ signal: 'SIGINT', graceMs: 20_000 })).toEqual({ code: 0, signal: null });
  expect(await isRunning(pid)).toBe(false);

  const second = await standalone.start();
  const { PUSHER_APP_ID, PUSHER_APP_KEY, PUSHER_APP_SECRET } = await standalone.secret('demo-relay');
  expect(app).toMatchObject({ PUSHER_APP_ID, PUSHER_APP_KEY, PUSHER_APP_SECRET });
  expect((await standalone.secret('demo-publisher-token'))['RELAY_TOKEN']).toBe(token['RELAY_TOKEN']);
  expect(await publish(second.url, token)).toBe(200);
});

test('after kill -9 nothing is left behind, and the next start has everything', async () => {
  await using standalone = await createStandalone();
  const first = await standalone.start();
  const token = await standalone.secret('demo-publisher-token');
  const pid = await standalone.postgresPid();
  await first.process.stop({ signal: 'SIGKILL' });
  await eventually(async () => !(await isRunning(pid)));
  const second = await standalone.start();
  expect(await publish(second.url, token)).toBe(200);
});

test('PostgreSQL is started again when it dies', async () => {
  await using standalone = await createStandalone();
  const { url } = await standalone.start();
  const token = await standalone.secret('demo-publisher-token');
  const pid = await standalone.postgresPid();
  // No outgoing connection can be given its port while it is away.
  expect(await standalone.postgresPort()).toBeLessThan(32_768);
  process.kill(pid, 'SIGKILL');
  // The relay needs no database.
  expect(await publish(url, token)).toBe(200);
  await eventually(async () => (await standalone.postgresPid()) !== pid);
  await standalone.write('token.yaml', `${TOKEN}  revoked: true\n`);
  await eventually(async () => (await publish(url, token)) === 401, { timeout: 30_000 });
});

test('a second process on the same data directory says so and leaves', async () => {
  await using standalone = await createStandalone();
  const { url } = await standalone.start();
  await using second = await spawnStandalone([standalone.folder, '--port', '0', '--data', standalone.data]);
  expect(await second.exited).toEqual({ code: 1, signal: null });
  expect(second.output()).toMatch(
    /^another one is running on .*: stop it first, or choose another data directory with --data$/,
  );
  expect(await publish(url, await standalone.secret('demo-publisher-token'))).toBe(200);
});

test('a port that is taken is named', async () => {
  await using standalone = await createStandalone();
  const { port } = await standalone.start();
  await using other = await createStandalone();
  await using second = await spawnStandalone([other.folder, '--port', String(port), '--data', other.data]);
  expect(await second.exited).toEqual({ code: 1, signal: null });
  expect(second.output()).toContain(`port ${port} is taken by another program: choose another one with --port`);
});

test('an edited or deleted credential file is repaired; one that is not ours is left alone', async () => {
  await using standalone = await createStandalone();
  const { process: run, url } = await standalone.start();
  const app = await standalone.secret('demo-relay');
  const path = join(standalone.data, 'secrets/default/demo-relay.env');

  await rm(path);
  await eventually(async () => isDeepStrictEqual(await standalone.secret('demo-relay'), app));
  await writeFile(path, 'PUSHER_APP_KEY=mine\n');
  await eventually(async () => isDeepStrictEqual(await standalone.secret('demo-relay'), app));

  const foreign = join(standalone.data, 'secrets/default/second-relay.env');
  await writeFile(foreign, 'MINE=1\n');
  await standalone.write('second.yaml', APP.replace('name: demo', 'name: second'));
  await run.waitForLine(/RelayApp default\/second: not ready: Conflict/);
  expect(await standalone.secret('second-relay')).toEqual({ MINE: '1' });
  expect(await publish(url, await standalone.secret('demo-publisher-token'))).toBe(200);
});

test('--help and wrong arguments', async () => {
  await using help = await spawnStandalone(['--help']);
  expect(await help.exited).toEqual({ code: 0, signal: null });
  expect(help.output()).toContain('npm start -- [DIR] [options]');
  await using wrong = await spawnStandalone(['/no/such/folder']);
  expect(await wrong.exited).toEqual({ code: 2, signal: null });
  expect(wrong.output()).toContain('/no/such/folder: there is no such folder');
});
