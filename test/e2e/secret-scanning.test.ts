import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { installFor, type Installation } from '#test/parts/installation.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';
import { eventually } from '#test/parts/eventually.ts';
import { isSettled, Tenant, type Declared } from '#test/parts/tenant.ts';

const NAMESPACE = 'scanning';
/** As people write it: `Off` without quotes is a boolean for kubectl. */
const manifest = (secretScanning: string): string => `
apiVersion: relay-operator.dev/v1alpha1
kind: RelayApp
metadata: { name: shop, namespace: ${NAMESPACE} }
spec:
  secretScanning: ${secretScanning}
`;

describeOnControlPlane('secretScanning', (cluster) => {
  const tenant = new Tenant(cluster, NAMESPACE);
  let installation: Installation;

  beforeAll(async () => {
    installation = await installFor(cluster, NAMESPACE);
  });

  afterAll(async () => {
    await installation?.[Symbol.asyncDispose]();
  });

  const found = async (): Promise<Declared> => (await tenant.get('RelayApp', 'shop')) ?? expect.fail('no app');

  test.each(['{ mode: Sometimes }', '{ mode: On }', '{ mode: Warn, detectors: { email: 1 } }'])(
    'the API server refuses %s',
    async (scanning) => {
      await expect(cluster.apply(manifest(scanning))).rejects.toThrow(
        'supported values: "Off", "Warn", "Redact", "Reject", "false"',
      );
    },
  );

  test('from the manifest to every relay, and to the activity of the app', async () => {
    await cluster.apply(manifest('{ mode: Reject, detectors: { email: Off, ssn: Warn } }'));
    await tenant.settled(1);
    const appId = (await found()).status?.appId ?? expect.fail('no id');
    const key = await tenant.value('shop-relay', 'PUSHER_APP_KEY');
    const secret = await tenant.value('shop-relay', 'PUSHER_APP_SECRET');
    const statuses = (data: string): Promise<number[]> =>
      Promise.all(
        installation.relays.map(async ({ url }) => {
          const response = await fetch(`${url}/apps/${appId}/events`, {
            method: 'POST',
            headers: { 'x-relay-key': key, 'x-relay-secret': secret, 'content-type': 'application/json' },
            body: JSON.stringify({ name: 'e', channel: 'orders', data }),
          });
          return response.status;
        }),
      );
    const each = (status: number): number[] => installation.relays.map(() => status);
    expect(await statuses('ada@example.com')).toEqual(each(200));
    expect(await statuses('219-09-9999')).toEqual(each(200));
    expect(await statuses('4111 1111 1111 1111')).toEqual(each(422));

    const redis = new Redis(installation.redis.url);
    const told = await eventually(async () => {
      const entries = await redis.xrange(`{rly:app:${appId}}:events`, '-', '+');
      return entries.length >= 2 * installation.relays.length ? entries : undefined;
    });
    redis.disconnect();
    const details = told.map(([, [, type, , , , detail]]) => [type, JSON.parse(detail ?? '') as unknown]);
    expect(details).toContainEqual([
      'secret_found',
      { detector: 'cardNumber', mode: 'Reject', payload: 'event', place: '', count: 1 },
    ]);
    // Whole, because four digits stand by chance in the ids and times of entries, too.
    expect(JSON.stringify(told)).not.toMatch(/4111 ?1111|219-?09-?9999/);

    await cluster.apply(manifest('{ mode: Off }'));
    await tenant.until('the app is enforced without scanning', async () => isSettled(await found()));
    expect(await statuses('4111 1111 1111 1111')).toEqual(each(200));
  });
});
