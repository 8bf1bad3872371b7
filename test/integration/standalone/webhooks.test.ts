import { expect, test } from 'vitest';
import { TestClient } from '../relay/test-client.ts';
import { readBySdk, WebhookEndpoint } from '../relay/webhook-endpoint.ts';
import { APP, createStandalone } from './standalone-process.ts';

test('webhooks reach a backend on the same machine, with headers from a Secret of the folder', async () => {
  await using endpoint = await WebhookEndpoint.start();
  await using standalone = await createStandalone();
  await standalone.write(
    'hook-headers.yaml',
    `apiVersion: v1
kind: Secret
metadata: { name: hook-headers, namespace: default, labels: { relay-operator.dev/referable: "true" } }
stringData: { X-From: folder }
`,
  );
  const hook = `{ name: local, url: "${endpoint.url}", events: [channel_occupied], headersFrom: { name: hook-headers } }`;
  await standalone.write('app.yaml', APP.replace('spec:\n', `spec:\n  webhooks: [${hook}]\n`));
  const { port } = await standalone.start();
  const { PUSHER_APP_KEY = '', PUSHER_APP_SECRET = '' } = await standalone.secret('demo-relay');
  await using client = await TestClient.connected(port, PUSHER_APP_KEY);
  await client.subscribe('orders');
  const post = await endpoint.told({ name: 'channel_occupied', channel: 'orders' });
  expect(post.headers['x-from']).toBe('folder');
  expect(readBySdk(post, PUSHER_APP_KEY, PUSHER_APP_SECRET).isValid()).toBe(true);
});
