import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { OldCredentials } from './old-credentials.ts';

const ci = { namespace: 'shop', name: 'ci' };
const old = (credential: string, requests: number, client: string | null = 'pusher-http-node 5.3.4') => ({
  credential,
  requests,
  client,
});

async function scrape(register: Registry): Promise<string[]> {
  return (await register.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

test('which credential, how many requests and by which client; nothing once it is gone', async () => {
  const register = new Registry();
  const credentials = new OldCredentials(register);
  credentials.set('RelayToken', ci, [old('aaaaaaaaaa', 734), old('bbbbbbbbbb', 1, null)]);
  credentials.set('RelayApp', { namespace: 'shop', name: 'checkout' }, [old('k1', 5)]);
  const NODE = 'client="pusher-http-node 5.3.4"';
  const app = `relay_operator_old_credential_requests{kind="RelayApp",namespace="shop",name="checkout",credential="k1",${NODE}} 5`;
  expect(await scrape(register)).toEqual([
    'relay_operator_old_credentials_in_use{kind="RelayToken"} 2',
    'relay_operator_old_credentials_in_use{kind="RelayApp"} 1',
    `relay_operator_old_credential_requests{kind="RelayToken",namespace="shop",name="ci",credential="aaaaaaaaaa",${NODE}} 734`,
    'relay_operator_old_credential_requests{kind="RelayToken",namespace="shop",name="ci",credential="bbbbbbbbbb",client=""} 1',
    app,
  ]);

  credentials.set('RelayToken', ci, [old('aaaaaaaaaa', 735, 'curl 8.5.0')]);
  expect(await scrape(register)).toContain(
    'relay_operator_old_credential_requests{kind="RelayToken",namespace="shop",name="ci",credential="aaaaaaaaaa",client="curl 8.5.0"} 735',
  );
  credentials.set('RelayToken', ci, []);
  expect(await scrape(register)).toEqual([
    'relay_operator_old_credentials_in_use{kind="RelayToken"} 0',
    'relay_operator_old_credentials_in_use{kind="RelayApp"} 1',
    app,
  ]);
  credentials.clear();
  expect((await scrape(register)).join()).not.toContain('k1');
});

test('of very many the first five hundred are named, and all are counted', async () => {
  const register = new Registry();
  const credentials = new OldCredentials(register);
  for (let index = 0; index < 700; index += 1)
    credentials.set('RelayToken', { namespace: 'shop', name: `t-${index}` }, [old(`c${index}`, 1)]);
  const lines = await scrape(register);
  expect(lines[0]).toBe('relay_operator_old_credentials_in_use{kind="RelayToken"} 700');
  expect(lines.filter((line) => line.includes('credential='))).toHaveLength(500);
  // As those are gone, others take their place at their next look.
  for (let index = 0; index < 10; index += 1)
    credentials.set('RelayToken', { namespace: 'shop', name: `t-${index}` }, []);
  credentials.set('RelayToken', { namespace: 'shop', name: 't-699' }, [old('c699', 2)]);
  expect((await scrape(register)).at(-1)).toContain('credential="c699"');
});
