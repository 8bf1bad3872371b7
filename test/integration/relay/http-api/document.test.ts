import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { mintToken, MINT_BYTES } from '#crds/token-format.ts';
import { runProcess } from '#test/parts/process.ts';
import { MemoryWorld } from '../memory-relay.ts';
import { TestClient } from '../test-client.ts';

const document = readFileSync(new URL('../../../../docs/http-api.md', import.meta.url), 'utf8');
const operation = z.object({
  'x-required-scope': z.string(),
  responses: z.record(
    z.string(),
    z.object({ content: z.object({ 'application/json': z.object({ schema: z.json() }) }).optional() }),
  ),
});
const schemaOf = z.record(z.string(), z.json());
const paths = z.object({ paths: z.record(z.string(), z.record(z.string(), operation)) });

/** The examples of docs/http-api.md as they stand there, and its table of scopes. */
test('every example runs and is answered as openapi.json says; every endpoint has one, and its scope', async () => {
  const world = new MemoryWorld();
  const token = mintToken('Live', new Uint8Array(MINT_BYTES).fill(7));
  await world.directory.setApp();
  await world.directory.setToken(token.sha256);
  await using relay = await world.relay();
  await using client = await TestClient.connected(relay.port);
  await client.subscribe('orders');
  const url = `http://127.0.0.1:${relay.port}`;

  const script = [...document.matchAll(/```sh\n(.*?)```/gs)].map(([, block]) => block).join('\n');
  const { code, stdout, stderr } = await runProcess({
    command: 'sh',
    args: ['-ec', script.replaceAll('curl -f', "curl -sS -f -w '\\n%{method} %{url}\\n'")],
    env: { RELAY_URL: url, RELAY_APP_ID: '101', RELAY_TOKEN: token.token, SOCKET_ID: client.socketId, NO_PROXY: '*' },
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });

  // Body, then method and URL, a line each.
  const lines = stdout.split('\n');
  const called = lines.filter((line) => line.includes(url));
  const bodyOf = (call: string): string => lines[lines.indexOf(call) - 1] ?? '';
  const openApi = paths.parse(await (await fetch(`${url}/openapi.json`)).json());
  for (const [path, methods] of Object.entries(openApi.paths)) {
    const tail = /^\/api\/v1\/apps\/\{appId\}(.*)$/.exec(path)?.[1];
    if (tail === undefined) continue;
    const pattern = new RegExp(`/apps/101${tail.replaceAll(/\{\w+\}/g, '[^/?]+')}(\\?.*)?$`);
    for (const [method, { 'x-required-scope': scope, responses }] of Object.entries(methods)) {
      const call = called.find((line) => line.startsWith(`${method.toUpperCase()} `) && pattern.test(line));
      expect({ method, path, example: call !== undefined }).toEqual({ method, path, example: true });
      const schema = responses['200']?.content?.['application/json'].schema;
      if (schema !== undefined) {
        const told = z.fromJSONSchema(schemaOf.parse(schema)).safeParse(JSON.parse(bodyOf(call ?? '')));
        expect({ method, path, error: told.error }).toEqual({ method, path, error: undefined });
      }
      const written = tail.replace('{socketId}', '{socket_id}');
      const row = document.split('\n').find((line) => line.startsWith('|') && line.includes(`${written}\``));
      expect({ path, row }).toEqual({ path, row: expect.stringContaining(`\`${scope}\``) as string });
    }
  }
});
