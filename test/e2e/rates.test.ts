import { afterAll, beforeAll, expect, test } from 'vitest';
import { installFor, type Installation } from '#test/parts/installation.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';
import { isSettled, publish, Tenant, type Declared } from '#test/parts/tenant.ts';

type Credentials = Parameters<typeof publish>[2];

const NAMESPACE = 'rates';

describeOnControlPlane('limits.rate', (cluster) => {
  const tenant = new Tenant(cluster, NAMESPACE);
  let installation: Installation;

  beforeAll(async () => {
    installation = await installFor(cluster, NAMESPACE);
  });

  afterAll(async () => {
    await installation?.[Symbol.asyncDispose]();
  });

  const found = async (name: string): Promise<Declared> =>
    (await tenant.get('RelayApp', name)) ?? expect.fail(`no ${name}`);

  const EITHER = 'set either profile, or requestsPerMinute and burst';
  test.each([
    [{}, EITHER],
    [{ burst: 5 }, EITHER],
    [{ requestsPerMinute: 5 }, EITHER],
    [{ profile: 'Restricted', burst: 5 }, EITHER],
    [{ profile: 'Fast' }, 'supported values: "BurstFriendly", "SteadyStream", "ApiHeavy", "Restricted"'],
    [{ requestsPerMinute: 0, burst: 5 }, 'should be greater than or equal to 1'],
  ])('the API server refuses %j of an app and of a token', async (rate, why) => {
    for (const object of [tenant.app('wrong', { limits: { rate } }), tenant.token('wrong', 'x', { limits: { rate } })])
      await expect(tenant.apply(object)).rejects.toThrow(why);
  });

  test('one budget over the relays, from the manifest; a change holds as soon as it is enforced; a token with a rate has its own', async () => {
    // Slow enough that nothing comes back meanwhile: one request in a minute.
    const few = { rate: { requestsPerMinute: 1, burst: 4 } };
    await tenant.apply(tenant.app('shop', { limits: few }), tenant.token('ci', 'shop', { limits: few }));
    await tenant.settled(2);
    const app = await tenant.get('RelayApp', 'shop');
    const appId = app?.status?.appId ?? expect.fail('no id');
    const [key, secret] = await Promise.all(
      ['PUSHER_APP_KEY', 'PUSHER_APP_SECRET'].map((name) => tenant.value('shop-relay', name)),
    );
    const token = await tenant.value('ci-token', 'RELAY_TOKEN');
    const relayUrl = (turn: number): string =>
      installation.relays[turn % installation.relays.length]?.url ?? expect.fail('no relay');
    const codes = async (credentials: Credentials, requests: number): Promise<(string | undefined)[]> => {
      const answers: (string | undefined)[] = [];
      for (let turn = 0; turn < requests; turn += 1)
        answers.push((await publish(relayUrl(turn), appId, credentials)).code);
      return answers;
    };
    const ofApp = { key: key ?? '', secret: secret ?? '' };
    const exhausted = [undefined, undefined, undefined, undefined, 'rate_limited', 'rate_limited'];
    expect(await codes(ofApp, 6)).toEqual(exhausted);
    expect(await codes({ token }, 6)).toEqual(exhausted);

    await tenant.patch('relayapp/shop', { spec: { limits: { rate: null } } });
    await tenant.until('the app is enforced without a rate', async () => isSettled(await found('shop')));
    expect(await codes(ofApp, 6)).toEqual(Array.from({ length: 6 }, () => undefined));
    expect(await codes({ token }, 1)).toEqual(['rate_limited']);
  });
});
