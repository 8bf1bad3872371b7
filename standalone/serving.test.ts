import { expect, test } from 'vitest';
import type { RelayApp } from '#crds/relay-app.ts';
import type { RelayToken } from '#crds/relay-token.ts';
import { servedApps } from './serving.ts';

const metadata = (name: string) => ({ name, namespace: 'default', uid: `uid-${name}`, generation: 1 });
const app = (name: string, status?: RelayApp['status']): RelayApp => ({
  apiVersion: 'relay-operator.dev/v1alpha1',
  kind: 'RelayApp',
  metadata: metadata(name),
  spec: {},
  ...(status === undefined ? {} : { status }),
});
const token = (name: string, appName: string, spec: object = {}): RelayToken => ({
  apiVersion: 'relay-operator.dev/v1alpha1',
  kind: 'RelayToken',
  metadata: metadata(name),
  spec: { appRef: { name: appName }, ...spec },
  status: { tokenId: 'abc' },
});
const place = { url: 'http://127.0.0.1:6001', secrets: '/home/me/project/.relay/secrets', cwd: '/home/me/project' };

test('the app with a token that works comes first, with a curl that reads it from its file', () => {
  const objects = [
    app('waiting'),
    app('plain', { appId: '1', key: 'a' }),
    app('revoked', { appId: '2', key: 'b' }),
    token('dead', 'revoked', { revoked: true }),
    app('demo', { appId: '3', key: 'c' }),
    token('ci', 'demo', { secretName: 'mine' }),
  ];
  const served = servedApps(objects, place);
  expect(served.map(({ name, curl }) => [name, curl !== undefined])).toEqual([
    ['demo', true],
    ['plain', false],
    ['revoked', false],
  ]);
  expect(served[0]?.curl).toMatch(
    /^curl http:\/\/127\.0\.0\.1:6001\/apps\/3\/events -H "Authorization: Bearer \$\(\. \.relay\/secrets\/default\/mine\.env; echo "\$RELAY_TOKEN"\)"/,
  );
});

test('a path with a space is one word for the shell', () => {
  const objects = [app('demo', { appId: '3', key: 'c' }), token('ci', 'demo')];
  const [first] = servedApps(objects, { ...place, secrets: "/data/it's here/secrets" });
  expect(first?.curl).toContain(String.raw`$(. '/data/it'\''s here/secrets/default/ci-token.env'; echo`);
});
