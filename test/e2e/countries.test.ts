import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { installFor, type Installation } from '#test/parts/installation.ts';
import { describeOnControlPlane } from '#test/parts/shared-control-plane.ts';
import { temporaryDirectory } from '#test/parts/temporary-directory.ts';
import { Tenant, type Declared } from '#test/parts/tenant.ts';

const NAMESPACE = 'countries';
const DATABASE = fileURLToPath(new URL('../integration/relay/geoip/countries.mmdb', import.meta.url));

describeOnControlPlane('access.countries where relays have no database', (cluster) => {
  const tenant = new Tenant(cluster, NAMESPACE);
  const stack = new AsyncDisposableStack();
  let installation: Installation;
  /** Where the relays look for their database; there is none at first. */
  let path = '';

  beforeAll(async () => {
    const directory = stack.use(await temporaryDirectory('countries'));
    path = join(directory.path, 'countries.mmdb');
    installation = stack.use(
      await installFor(cluster, NAMESPACE, {
        operators: 1,
        relayEnv: { GEOIP_DATABASE: path },
      }),
    );
  });
  afterAll(() => stack.disposeAsync());

  const found = async (name: string): Promise<Declared> =>
    (await tenant.get('RelayApp', name)) ?? expect.fail(`no ${name}`);
  const warning = async (name: string): Promise<string | undefined> =>
    (await found(name)).status?.conditions?.find(({ type }) => type === 'Warning')?.message;
  const versions = async (): Promise<string[]> =>
    Promise.all(['allowing', 'blocking', 'open'].map(async (name) => (await found(name)).metadata.resourceVersion));

  test('the author is warned, once, and not any more when the database is there', async () => {
    await tenant.apply(
      tenant.app('allowing', { access: { countries: { mode: 'Allow', codes: ['DE'] } } }),
      tenant.app('blocking', { access: { countries: { mode: 'Block', codes: ['DE'] } } }),
      tenant.app('open', {}),
    );
    await tenant.settled(3);
    const wanted = { status: 'True', reason: 'GeoIpDatabaseMissing' };
    for (const name of ['allowing', 'blocking']) await tenant.condition('RelayApp', name, 'Warning', wanted);
    expect(await warning('allowing')).toContain('no relay has a database of countries, so that Allow lets nobody in');
    expect(await warning('blocking')).toContain('so that Block keeps nobody out');
    expect(await warning('blocking')).toContain('GEOIP_DATABASE');
    expect(await warning('open')).toBeUndefined();

    // A rollout: another relay comes, one goes and comes back, and another operator leads. All are as they were.
    const before = await versions();
    await installation.startRelay('relay-later');
    const [first] = installation.relays;
    await first?.process[Symbol.asyncDispose]();
    await installation.startRelay(first?.id ?? '');
    const [operator] = installation.operators;
    await operator?.process[Symbol.asyncDispose]();
    await installation.startOperator('operator-later');
    // Through the whole of it: what comes after these has been written by the operator that leads now.
    await tenant.apply(tenant.app('later', { access: { countries: { mode: 'Allow', codes: ['FR'] } } }));
    await tenant.condition('RelayApp', 'later', 'Warning', wanted);
    await tenant.settled(4);
    expect(await versions()).toEqual(before);

    // One relay of its own has a database: the others are named.
    await installation.startRelay('relay-equipped', { GEOIP_DATABASE: DATABASE });
    await tenant.until('the warning names the relays without', async () =>
      (await warning('allowing'))?.includes('there: relay-0, relay-1, relay-later; '),
    );

    await copyFile(DATABASE, path);
    await tenant.until('nobody is warned', async () => {
      const said = await Promise.all(['allowing', 'blocking', 'later'].map(warning));
      return said.every((message) => message === undefined);
    });
    const after = await versions();
    await installation.startRelay('relay-last');
    await tenant.apply(tenant.app('last', {}));
    await tenant.settled(5);
    expect(await versions()).toEqual(after);
  });
});
