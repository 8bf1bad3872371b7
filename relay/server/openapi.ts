import { z } from 'zod';
import { gate } from '../gate/gate.ts';
import { refusals, refusalOf, type RefusalCode } from '../gate/refusals.ts';
import { NOTHING, type Endpoint } from './endpoint.ts';
import { pathsOf } from './endpoints.ts';

type Json = Record<string, unknown>;

/** What every request may meet, whatever the endpoint, besides the refusals of the gate. */
const ANYWHERE = ['path_unknown', 'request_malformed', 'request_timeout', 'headers_too_large', 'internal'] as const;
const SECURITY_SCHEMES: Json = {
  bearer: { type: 'http', scheme: 'bearer', description: 'A RelayToken: rly_live_… or rly_test_…' },
  relayKey: { type: 'apiKey', in: 'header', name: 'X-Relay-Key' },
  relaySecret: { type: 'apiKey', in: 'header', name: 'X-Relay-Secret' },
  signatureKey: { type: 'apiKey', in: 'query', name: 'auth_key' },
  signature: {
    type: 'apiKey',
    in: 'query',
    name: 'auth_signature',
    description:
      'Pusher: HMAC-SHA256, hex, over METHOD, path and sorted query (auth_key, auth_timestamp, auth_version=1.0, body_md5 with a body), with the secret of auth_key.',
  },
};

/**
 * OpenAPI 3.1 of the endpoints, from the schemas that validate. Scopes stand in `x-required-scope` and not in `security`: the roles of a
 * security requirement would read as if key and secret, and signatures, had scopes too.
 */
export function openApiDocument(endpoints: readonly Endpoint[]): Json {
  const paths: Record<string, Json> = {};
  for (const endpoint of endpoints) {
    for (const { url } of pathsOf(endpoint)) {
      const path = url.replaceAll(/:(\w+)/g, '{$1}');
      paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: operation(endpoint, url) };
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Relay',
      version: 'v1',
      description: 'The Pusher Channels HTTP API and what the relay adds to it. Every answer has X-Request-Id.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }, { relayKey: [], relaySecret: [] }, { signatureKey: [], signature: [] }],
    paths,
    components: { securitySchemes: SECURITY_SCHEMES, schemas: { Error: errorSchema(codesOfHttp()) } },
  };
}

function operation(endpoint: Endpoint, url: string): Json {
  const main = pathsOf(endpoint)[0]?.url === url;
  const suffix = url.startsWith('/apps/') ? 'Pusher' : 'ByKey';
  return {
    operationId: main ? endpoint.id : `${endpoint.id}${suffix}`,
    summary: endpoint.summary,
    ...(endpoint.description === undefined ? {} : { description: endpoint.description }),
    'x-required-scope': endpoint.scope,
    parameters: [...pathParameters(endpoint, url), ...queryParameters(endpoint)],
    ...(endpoint.body === NOTHING ? {} : { requestBody: requestBody(endpoint) }),
    responses: { ...answer(endpoint), ...refused(endpoint) },
  };
}

function pathParameters(endpoint: Endpoint, url: string): Json[] {
  const properties = propertiesOf(endpoint.params);
  return [...url.matchAll(/:(\w+)/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: properties[name] ?? { type: 'string' },
  }));
}

function queryParameters({ query }: Endpoint): Json[] {
  return Object.entries(propertiesOf(query)).map(([name, schema]) => ({ name, in: 'query', required: false, schema }));
}

function requestBody({ body, form }: Endpoint): Json {
  const schema = schemaOf(body, 'input');
  const types = form ? ['application/json', 'application/x-www-form-urlencoded'] : ['application/json'];
  return { required: true, content: Object.fromEntries(types.map((type) => [type, { schema }])) };
}

function answer({ answer: schema }: Endpoint): Json {
  if (schema === null) return { 204: { description: 'Done' } };
  return { 200: { description: 'OK', content: { 'application/json': { schema: schemaOf(schema, 'output') } } } };
}

/** One response per status, with the codes that it may carry. */
function refused(endpoint: Endpoint): Json {
  const byStatus = Map.groupBy(codesOf(endpoint), (code) => refusalOf(code).status);
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      status,
      {
        description: codes.map((code) => `\`${code}\`: ${refusalOf(code).message}`).join('\n\n'),
        content: { 'application/json': { schema: errorSchema(codes) } },
      },
    ]),
  );
}

function codesOf(endpoint: Endpoint): RefusalCode[] {
  const fromSchemas: RefusalCode[] = endpoint.body === NOTHING ? [] : ['body_invalid'];
  if (endpoint.params !== NOTHING || endpoint.query !== NOTHING) fromSchemas.push('parameter_invalid');
  return [...new Set([...ANYWHERE, ...codesOfGate(), ...fromSchemas, ...endpoint.refusals])];
}

const codesOfGate = (): RefusalCode[] =>
  gate.filter(({ doors }) => doors.includes('http')).flatMap(({ refuses }) => refuses);

/** The whole list: also what only sockets get, so that a client may use one type for both. */
const codesOfHttp = (): RefusalCode[] => Object.keys(refusals).filter((code): code is RefusalCode => code in refusals);

function errorSchema(codes: readonly RefusalCode[]): Json {
  return {
    type: 'object',
    required: ['error'],
    properties: {
      error: {
        type: 'object',
        required: ['code', 'message'],
        properties: { code: { type: 'string', enum: [...codes] }, message: { type: 'string' } },
      },
    },
  };
}

function propertiesOf(schema: z.ZodType): Record<string, Json> {
  const { properties } = schemaOf(schema, 'input');
  return z.record(z.string(), z.record(z.string(), z.unknown())).catch({}).parse(properties);
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _dialect, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return json;
}
