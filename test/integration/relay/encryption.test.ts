import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { foundInMemory } from '#test/parts/process-memory.ts';
import { runProcess, startProcess, type RunningProcess } from '#test/parts/process.ts';
import { pythonWith } from '#test/parts/python.ts';
import { startRecordingProxy, type RecordingProxy } from '#test/parts/recording-proxy.ts';
import { withUser } from '#test/parts/redis-users.ts';
import { isReady, startRelayInstallation, type RelayInstallation, type RelayProcess } from './relay-installation.ts';

/** The recipes of docs/encryption.md, run as they stand there, and what somebody sees who can see everything but the participants. */
const APP = '101';
const CHANNEL = 'private-encrypted-orders-ada';
const CANARY = `plaintext-canary-${randomBytes(8).toString('hex')}`;
const keys = { browser: randomBytes(32), backend: randomBytes(32) };

const document = readFileSync(new URL('../../../docs/encryption.md', import.meta.url), 'utf8');
/** The code block of the document whose first line names it. */
function recipe(name: string): string {
  const [, block] =
    new RegExp(`\`\`\`\\w+\\n(?:// |# )${name.replace('.', '\\.')}\\n(.*?)\`\`\``, 's').exec(document) ?? [];
  if (block === undefined) throw new Error(`docs/encryption.md has no ${name}`);
  return block;
}

const stack = new AsyncDisposableStack();
let installation: RelayInstallation;
let relays: RelayProcess[];
let toRedis: RecordingProxy;
let toRelays: RecordingProxy[];
let token: string;
let python: string;

beforeAll(async () => {
  python = await pythonWith('pynacl==1.6.2');
  installation = stack.use(await startRelayInstallation(inject('postgresUrl')));
  await installation.app({ appId: APP });
  token = await installation.token(APP, ['events:publish', 'channels:manage', 'encryption:manage']);
  toRedis = stack.use(await startRecordingProxy(installation.redis.port));
  const url = new URL(withUser(installation.redis.url, 'relay'));
  url.port = String(toRedis.port);
  relays = await Promise.all(['relay-1', 'relay-2'].map((id) => installation.launch(id, { REDIS_URL: url.href })));
  await Promise.all(relays.map(isReady));
  toRelays = await Promise.all(relays.map(async ({ port }) => stack.use(await startRecordingProxy(port))));
});
afterAll(() => stack.disposeAsync());

const portOf = (index: number): number => toRelays[index]?.port ?? 0;
const appUrl = (index: number): string => `http://127.0.0.1:${portOf(index)}/api/v1/apps/${APP}`;
const literal = JSON.stringify;

/** What every driver below knows: where the app is, its token, and its own private key. */
const javaScript = (index: number, me: 'browser' | 'backend', driver: string): string[] => [
  '--input-type=module',
  '--eval',
  `${recipe('agree.mjs')}\n${recipe('publish.mjs')}\n${driver.includes('connect(') ? recipe('subscribe.mjs').replace('pusher-js/with-encryption', 'pusher-js') : ''}
   const app = ${literal(appUrl(index))}; const token = ${literal(token)};
   const secretKey = decode(${literal(keys[me].toString('base64'))});
   ${driver}`,
];
const pythonScript = (index: number, me: 'browser' | 'backend', driver: string): string[] => [
  '-c',
  `${recipe('agree.py')}\n${recipe('publish.py')}
app = ${literal(appUrl(index))}; token = ${literal(token)}
private_key = PrivateKey(base64.b64decode(${literal(keys[me].toString('base64'))}))
${driver}`,
];

async function ran(command: string, args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runProcess({ command, args }, { timeoutMs: 60_000 });
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
}

/** pusher-js as the browser's participant; prints what it can read. */
const startSubscriber = (): Promise<RunningProcess> =>
  startProcess({
    command: process.execPath,
    args: javaScript(
      0,
      'browser',
      `const secret = await sharedSecret(app, token, 'backend', secretKey);
       const authorize = (socket_id, channel_name) => ask(app, token, '/auth/channel', 'POST', { socket_id, channel_name });
       const options = { wsHost: '127.0.0.1', wsPort: ${portOf(0)}, forceTLS: false, enabledTransports: ['ws'], disableStats: true, cluster: 'relay' };
       const channel = connect('${APP}key', options, secret, authorize).subscribe('${CHANNEL}');
       channel.bind('pusher:subscription_succeeded', () => console.log('subscribed'));
       channel.bind('told', (data) => console.log('read ' + JSON.stringify(data)));`,
    ),
  });

describe('the recipes of docs/encryption.md', () => {
  test('JavaScript and Python agree on the same 32 bytes', async () => {
    await ran(process.execPath, javaScript(0, 'browser', `await register(app, token, 'browser', secretKey);`));
    await ran(python, pythonScript(1, 'backend', `register(app, token, "backend", private_key)`));
    const ours = await ran(
      process.execPath,
      javaScript(0, 'browser', `console.log(encode(await sharedSecret(app, token, 'backend', secretKey)));`),
    );
    const theirs = await ran(
      python,
      pythonScript(1, 'backend', `print(encode(shared_secret(app, token, "browser", private_key)))`),
    );
    expect(Buffer.from(ours, 'base64')).toHaveLength(32);
    expect(theirs).toBe(ours);
  });

  test('pusher-js reads what Python and JavaScript seal; memory, Redis and traffic show neither it nor any key', async () => {
    await using subscriber = await startSubscriber();
    await subscriber.waitForLine(/^subscribed$/, 20_000);
    await ran(
      python,
      pythonScript(
        1,
        'backend',
        `secret = shared_secret(app, token, "browser", private_key)
publish(app, token, secret, "${CHANNEL}", "told", {"from": "python", "text": "${CANARY}"})`,
      ),
    );
    await ran(
      process.execPath,
      javaScript(
        1,
        'backend',
        `const secret = await sharedSecret(app, token, 'browser', secretKey);
         await publish(app, token, secret, '${CHANNEL}', 'told', { from: 'javascript', text: '${CANARY}' });`,
      ),
    );
    for (const from of ['python', 'javascript']) {
      expect(await subscriber.waitForLine(new RegExp(`^read .*${from}`), 20_000)).toContain(CANARY);
    }

    const secret = await ran(
      process.execPath,
      javaScript(0, 'browser', `console.log(encode(await sharedSecret(app, token, 'backend', secretKey)));`),
    );
    const hidden = {
      plaintext: Buffer.from(CANARY),
      ...spelled('shared secret', Buffer.from(secret, 'base64')),
      ...spelled('key of the browser', keys.browser),
      ...spelled('key of the backend', keys.backend),
    };
    // What must be there shows that the search would have found the rest.
    const visible = { 'app secret': Buffer.from(`${APP}secret`) };
    for (const { process: relay } of relays) {
      expect(await foundInMemory(relay.pid, { ...hidden, ...visible })).toEqual(['app secret']);
    }
    const publicKey = { 'public key': Buffer.from(publicKeyOf(keys.backend)) };
    expect(foundIn(await everythingInRedis(), { ...hidden, ...publicKey })).toEqual(['public key']);
    const traffic = Buffer.concat([toRedis, ...toRelays].map((proxy) => proxy.recorded()));
    const ciphertext = { ciphertext: Buffer.from('\\"ciphertext\\"') };
    expect(foundIn(traffic, { ...hidden, ...publicKey, ...ciphertext })).toEqual(['ciphertext', 'public key']);
  });

  test('the very same search finds what is sent in the clear', async () => {
    const clear = `in-the-clear-${randomBytes(8).toString('hex')}`;
    await ran(
      process.execPath,
      javaScript(
        1,
        'backend',
        `await ask(app, token, '/events', 'POST', { name: 'told', channel: 'cache-open', data: '${clear}' });`,
      ),
    );
    const needle = { clear: Buffer.from(clear) };
    expect(foundIn(await everythingInRedis(), needle)).toEqual(['clear']);
    expect(foundIn(Buffer.concat([toRedis, ...toRelays].map((proxy) => proxy.recorded())), needle)).toEqual(['clear']);
  });
});

/** Bytes as they are, and as texts usually spell them. */
const spelled = (name: string, bytes: Buffer): Record<string, Buffer> => ({
  [name]: bytes,
  [`${name} in base64`]: Buffer.from(bytes.toString('base64').replace(/=+$/, '')),
  [`${name} in hex`]: Buffer.from(bytes.toString('hex')),
});

const foundIn = (bytes: Buffer, needles: Readonly<Record<string, Buffer>>): string[] =>
  Object.entries(needles)
    .filter(([, needle]) => bytes.includes(needle))
    .map(([name]) => name)
    .sort();

/** Every key with its content, in the clear: what `redis-cli --rdb` would carry away, without its compression. */
async function everythingInRedis(): Promise<Buffer> {
  const script = `
    local all = {}
    for _, key in ipairs(redis.call('KEYS', '*')) do
      local kind = redis.call('TYPE', key).ok
      all[#all + 1] = key
      local content = kind == 'hash' and redis.call('HGETALL', key) or kind == 'string' and { redis.call('GET', key) }
        or kind == 'set' and redis.call('SMEMBERS', key) or kind == 'zset' and redis.call('ZRANGE', key, 0, -1)
        or kind == 'stream' and { cjson.encode(redis.call('XRANGE', key, '-', '+')) } or redis.call('LRANGE', key, 0, -1)
      for _, value in ipairs(content) do all[#all + 1] = value end
    end
    return all`;
  const all = await installation.redis.command('EVAL', script, 0);
  return Buffer.from(Array.isArray(all) ? all.join('\n') : '');
}

/** In base64, by OpenSSL and not by what is tested. */
function publicKeyOf(secretKey: Buffer): string {
  const prefix = Buffer.from('302e020100300506032b656e04220420', 'hex');
  const key = createPrivateKey({ key: Buffer.concat([prefix, secretKey]), format: 'der', type: 'pkcs8' });
  return Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64');
}
