import { afterAll, beforeAll, expect, test } from 'vitest';
import { installFor, type Installation } from '#test/parts/installation.ts';
import { revokeUnderLoad } from '#test/parts/revoke-load.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';
import { Tenant } from '#test/parts/tenant.ts';
import { adminConfig, countingClient } from './engine/cluster-client.ts';

// What `kubectl wait --for=condition=Enforced` after a revoke promises: three relays under load, and from the moment of that condition none
// of them accepts the token. How long a revoke takes is measured by bench/revoke.ts, not asserted here.

const NAMESPACE = 'revoke-load';
const TOKENS = ['first', 'second', 'third'];

describeOnControlPlane('a revoke under load', (cluster) => {
  const tenant = new Tenant(cluster, NAMESPACE);
  let installation: Installation;

  beforeAll(async () => {
    installation = await installFor(cluster, NAMESPACE, { relays: 3 });
    await tenant.apply(tenant.app('shop'), ...TOKENS.map((name) => tenant.token(name, 'shop')));
    await tenant.settled(TOKENS.length + 1);
  });

  afterAll(async () => {
    await installation?.[Symbol.asyncDispose]();
  });

  test.each(TOKENS)('no relay accepts a request that was sent after Enforced: %s', async (name) => {
    await using counting = countingClient(adminConfig(cluster));
    const revocation = await revokeUnderLoad({
      client: counting.client,
      namespace: NAMESPACE,
      relays: installation.relays.map(({ url }) => url),
      appId: await tenant.value('shop-relay', 'PUSHER_APP_ID'),
      name,
      token: await tenant.value(`${name}-token`, 'RELAY_TOKEN'),
      lanes: 2,
    });

    expect(revocation.acceptedAfterEnforced).toEqual([]);
    expect(revocation.acceptedBefore).toBeGreaterThanOrEqual(3);
    expect(revocation.refusedAfterEnforced).toBeGreaterThanOrEqual(6 * 5);
  });
});
