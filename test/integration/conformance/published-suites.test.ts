import { afterAll, beforeAll, beforeEach, describe, expect, inject, test, vi, type Mock } from 'vitest';
import { PusherClient } from '#test/parts/pusher-js.ts';
import { startRoundRobin, type RoundRobin } from '#test/parts/round-robin.ts';
import { serverSdk, startRelayInstallation } from '../relay/relay-installation.ts';
import { runUnmodified } from './published-suite.ts';

// The suites that the SDKs' authors publish in their packages and run against Pusher itself, run against three relays behind one
// address. Their files are not touched. Around them stands what their own surroundings give: assertions, the test runner's words, and
// the small backend of pusher-js that signs subscriptions and sends events.

const APP = { appId: '101', key: '101key', secret: '101secret' };
const stack = new AsyncDisposableStack();
let three: RoundRobin;

beforeAll(async () => {
  const installation = stack.use(await startRelayInstallation(inject('postgresUrl')));
  await installation.app(APP);
  const relays = await installation.relays('relay-1', 'relay-2', 'relay-3');
  three = stack.use(await startRoundRobin(relays.map(({ port }) => port)));
  vi.stubEnv('PUSHER_URL', `http://${APP.key}:${APP.secret}@127.0.0.1:${three.port}/apps/${APP.appId}`);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await stack.disposeAsync();
});

describe('pusher (npm), tests/remote', () => {
  // As much of expect.js as these files use.
  const expectJs = (actual: unknown): unknown => {
    const is = (kind: unknown): void =>
      typeof kind === 'string'
        ? expect(typeof actual).toBe(kind)
        : expect(actual).toBeInstanceOf(kind as new () => unknown);
    return {
      to: {
        equal: (wanted: unknown) => expect(actual).toBe(wanted),
        eql: (wanted: unknown) => expect(actual).toEqual(wanted),
        be: { a: is, an: is },
      },
    };
  };
  // Mocha's way to end a test.
  const it = (name: string, body: (done: (error?: unknown) => void) => void): void =>
    test(
      name,
      () => new Promise<void>((resolve, reject) => body((error) => (error === undefined ? resolve() : reject(error)))),
    );
  for (const file of ['get', 'trigger'])
    runUnmodified(
      `../../../node_modules/pusher/tests/remote/pusher/${file}.js`,
      { 'expect.js': expectJs },
      { describe, it, beforeEach },
    );
});

describe('pusher-js, spec/javascripts/integration', () => {
  const sdk = () => serverSdk({ port: three.port }, APP);

  /** The class under test with the address of the relay and the app of this test; what the spec sets besides stays. */
  class PusherOfThisTest extends PusherClient {
    constructor(_key: string, options: ConstructorParameters<typeof PusherClient>[1]) {
      super(APP.key, {
        ...options,
        wsHost: '127.0.0.1',
        wsPort: three.port,
        enabledTransports: ['ws'],
        channelAuthorization: {
          transport: 'ajax',
          endpoint: '',
          // integration_tests_server/index.js of the package: a member for every channel, private ones included.
          customHandler: ({ socketId, channelName }, callback) => {
            const user_info = { name: `Integration ${socketId}`, email: `integration-${socketId}@example.com` };
            callback(null, sdk().authorizeChannel(socketId, channelName, { user_id: socketId, user_info }));
          },
        },
      });
    }
  }

  type Spy = Mock & { calls: { count: () => number }; and: { returnValue: (value: unknown) => void } };
  const createSpy = (): Spy => {
    const spy = vi.fn<(...parameters: unknown[]) => unknown>();
    return Object.assign(spy, {
      calls: { count: () => spy.mock.calls.length },
      and: { returnValue: (value: unknown) => void spy.mockReturnValue(value) },
    });
  };
  const spyOn = (object: Record<string, unknown>, name: string): Spy => {
    const spy = createSpy();
    object[name] = spy;
    return spy;
  };
  let names = 0;
  const provided = {
    pusher_integration: PusherOfThisTest,
    integration: {
      API_URL: '',
      getRandomName: (prefix: string) => `${prefix}_${(names += 1)}`,
      sendAPIMessage: ({ channel, event, data }: { channel: string; event: string; data: unknown }) =>
        void sdk().trigger(channel, event, data),
    },
    'core/utils/collections': {
      objectApply: (object: Record<string, unknown>, apply: (value: unknown, key: string) => void) => {
        for (const [key, value] of Object.entries(object)) apply(value, key);
      },
    },
    runtime: { default: { Transports: { ws: { isSupported: () => true } } } },
  };
  const it = (name: string, body: () => void | Promise<void>): void => test(name, body, 41_000);
  const globals = {
    describe,
    it,
    beforeAll,
    afterAll,
    beforeEach,
    expect,
    spyOn,
    jasmine: { createSpy, DEFAULT_TIMEOUT_INTERVAL: 0 },
  };
  const { build } = runUnmodified(
    '../../../node_modules/pusher-js/spec/javascripts/integration/core/pusher_spec/test_builder.js',
    provided,
    globals,
  ) as { build: (config: { transport: string; forceTLS: boolean }) => void };
  build({ transport: 'ws', forceTLS: false });
});
