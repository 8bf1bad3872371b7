import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { SCOPES } from '#crds/scopes.ts';
import { refusals } from '#relay/gate/refusals.ts';
import type { Relay } from '#relay/relay.ts';
import { MemoryWorld } from './memory-relay.ts';

const operation = z.object({
  operationId: z.string(),
  'x-required-scope': z.enum(SCOPES),
  responses: z.record(z.string(), z.unknown()),
});
const document = z.object({
  openapi: z.literal('3.1.0'),
  security: z.array(z.record(z.string(), z.array(z.string()))),
  paths: z.record(z.string(), z.record(z.string(), operation)),
  components: z.object({
    schemas: z.object({
      Error: z.object({
        properties: z.object({
          error: z.object({ properties: z.object({ code: z.object({ enum: z.array(z.string()) }) }) }),
        }),
      }),
    }),
  }),
});

let relay: Relay;
let raw: Record<string, unknown>;
let parsed: z.infer<typeof document>;
/** Every route that fastify knows, `GET /x/{y}`. */
const routes: string[] = [];

beforeAll(async () => {
  const world = new MemoryWorld();
  relay = await world.relay(
    {},
    {
      routes: (app) =>
        app.addHook('onRoute', ({ method, url }) => {
          for (const one of [method].flat()) routes.push(`${one} ${url.replaceAll(/:(\w+)/g, '{$1}')}`);
        }),
    },
  );
  raw = (await (await fetch(`http://127.0.0.1:${relay.port}/openapi.json`)).json()) as Record<string, unknown>;
  parsed = document.parse(raw);
});
afterAll(() => relay[Symbol.asyncDispose]());

const operations = (): [name: string, operation: z.infer<typeof operation>][] =>
  Object.entries(parsed.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]): [string, z.infer<typeof operation>] => [
      `${method.toUpperCase()} ${path}`,
      one,
    ]),
  );

describe('openapi.json', () => {
  test('is valid OpenAPI 3.1', async () => {
    const { valid, errors } = await new Validator().validate(structuredClone(raw));
    expect({ valid, errors }).toEqual({ valid: true, errors: undefined });
  });

  test('has every route that is served, and no other', () => {
    const open = new Set(['GET /openapi.json']);
    expect(
      operations()
        .map(([name]) => name)
        .sort(),
    ).toEqual(routes.filter((route) => !open.has(route)).sort());
  });

  test('operation ids are unique', () => {
    const ids = operations().map(([, { operationId }]) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('lists every error code, and three ways to authenticate', () => {
    const { enum: codes } = parsed.components.schemas.Error.properties.error.properties.code;
    expect(codes).toEqual(Object.keys(refusals));
    expect(parsed.security.map((scheme) => Object.keys(scheme))).toEqual([
      ['bearer'],
      ['relayKey', 'relaySecret'],
      ['signatureKey', 'signature'],
    ]);
  });

  test('what it asks of a token (docs/http-api.md)', () => {
    const scopes = operations()
      .filter(([name]) => name.includes('/api/v1/'))
      .map(([name, one]) => `${name.replace('/api/v1/apps/{appId}', '')}: ${one['x-required-scope']}`);
    expect(scopes.sort()).toEqual(
      [
        'POST /events: events:publish',
        'POST /batch_events: events:batch',
        'GET /channels: channels:read',
        'GET /channels/{channel}: channels:read',
        'GET /channels/{channel}/users: presence:read',
        'POST /users/{user}/terminate_connections: connections:manage',
        'POST /auth/channel: channels:manage',
        'POST /auth/user: channels:manage',
        'GET /connections: connections:read',
        'DELETE /connections/{socketId}: connections:manage',
        'GET /analytics: analytics:read',
        'GET /encryption/keys: encryption:manage',
        'PUT /encryption/keys/{participant}: encryption:manage',
        'GET /encryption/keys/{participant}: encryption:manage',
        'DELETE /encryption/keys/{participant}: encryption:manage',
      ].sort(),
    );
  });
});
