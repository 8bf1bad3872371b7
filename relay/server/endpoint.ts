import { z } from 'zod';
import type { Scope } from '#crds/scopes.ts';
import type { App } from '../directory/directory.ts';
import type { RefusalCode } from '../gate/refusals.ts';
import type { HttpVisit } from '../gate/visit.ts';
import type { Answer } from './answer.ts';
import { Refused } from './refuse.ts';

/** Where an endpoint is served: `pusher` under /apps/{id} and /api/v1/apps/{id}, `relay` (what Pusher does not have) under the latter only. */
export type Surface = 'pusher' | 'relay';

/** What a handler gets: parsed, and admitted by the gate. */
export type Call<P, Q, B> = {
  readonly app: App;
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly visit: HttpVisit;
  /** For headers; the body is what the handler returns. */
  readonly reply: Pick<Answer, 'header'>;
};

type Described = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below the app, in Fastify's notation: `/channels/:channel`. */
  readonly path: string;
  readonly surface: Surface;
  /** What a bearer token needs (crds/scopes.ts); key and secret, and signatures, may do everything. */
  readonly scope: Scope;
  /** operationId of the OpenAPI document; unique. */
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  /** The shape of a 2xx answer; null: no body (204). */
  readonly answer: z.ZodType | null;
  /** Codes that it may refuse with besides the gate's, and besides those that its schemas imply. */
  readonly refusals: readonly RefusalCode[];
};

type Spec<P, Q, B> = Described & {
  readonly params: z.ZodType<P>;
  readonly query: z.ZodType<Q>;
  readonly body: z.ZodType<B>;
  /** What `body` makes of the bodies that nearly everybody sends, found with less work; undefined: ask `body`. */
  readonly usualBody?: (value: unknown) => B | undefined;
  /** A form (application/x-www-form-urlencoded) is taken besides JSON. */
  readonly form?: boolean;
  /** A text is JSON and sent as it is. Throws {@link Refused}. */
  readonly handle: (call: Call<P, Q, B>) => string | object | Promise<string | object>;
};

/** One row of the table that routes, gate and OpenAPI document are made from. */
export type Endpoint = Described & {
  readonly params: z.ZodType;
  readonly query: z.ZodType;
  readonly body: z.ZodType;
  readonly form: boolean;
  readonly respond: (
    visit: HttpVisit,
    params: unknown,
    reply: Pick<Answer, 'header'>,
  ) => string | object | Promise<string | object>;
};

/** What a signed request has in its query besides. */
const SIGNATURE_PARAMETERS: ReadonlySet<string> = new Set([
  'auth_key',
  'auth_timestamp',
  'auth_version',
  'auth_signature',
  'body_md5',
]);

/** For endpoints that have no parameters, no query or no body. */
export const NOTHING = z.unknown();

export function endpoint<P, Q, B>(spec: Spec<P, Q, B>): Endpoint {
  const { handle, usualBody, form = false, ...described } = spec;
  const bodyOf = (visit: HttpVisit): B => {
    const value = spec.body === NOTHING ? undefined : content(visit, form);
    return usualBody?.(value) ?? parsed(spec.body, value, 'body_invalid');
  };
  return {
    ...described,
    form,
    respond: (visit, params, reply) => {
      const { app } = visit;
      if (app === undefined) throw new Error('this endpoint is not behind the gate');
      return handle({
        app,
        params: parsed(spec.params, params, 'parameter_invalid'),
        query: parsed(spec.query, spec.query === NOTHING ? undefined : queryOf(spec, visit), 'parameter_invalid'),
        body: bodyOf(visit),
        visit,
        reply,
      });
    },
  };
}

/** Pusher's parameters may be followed by what only Pusher knows. A misspelt filter of our own would show everything instead of a mistake. */
function queryOf({ surface, query }: Pick<Endpoint, 'surface' | 'query'>, { parameters }: HttpVisit): object {
  if (surface === 'relay' && query instanceof z.ZodObject) {
    const known = Object.keys(query.shape);
    const unknown = parameters.find(([name]) => !known.includes(name) && !SIGNATURE_PARAMETERS.has(name))?.[0];
    if (unknown !== undefined) {
      throw new Refused('parameter_invalid', `${unknown}: unknown parameter. Known ones here: ${known.join(', ')}`);
    }
  }
  return Object.fromEntries(parameters);
}

function parsed<T>(schema: z.ZodType<T>, value: unknown, code: 'parameter_invalid' | 'body_invalid'): T {
  if (schema === NOTHING) return value as T;
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue === undefined ? '' : placeOf(issue.path);
  const fallback = code === 'body_invalid' ? 'the body' : 'the query';
  throw new Refused(code, `${where === '' ? fallback : where}: ${issue === undefined ? 'not valid' : told(issue)}`);
}

/** What is not there is said to be missing, and a text that is no number not to be one, where zod would speak of `undefined` and `NaN`. */
function told(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'invalid_type') return issue.message;
  if (issue.message.endsWith('received undefined')) return `is required: expected ${issue.expected}`;
  return issue.message.endsWith('received NaN') ? `expected ${issue.expected}` : issue.message;
}

/** `batch[2].name` */
function placeOf(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
}

function content({ body, contentType }: HttpVisit, form: boolean): unknown {
  // A field's name is never `{`; JSON with the type of a form is what curl sends when nobody says otherwise.
  const isForm = form && contentType?.startsWith('application/x-www-form-urlencoded') === true && body[0] !== BRACE;
  if (isForm) {
    return Object.fromEntries(new URLSearchParams(body.toString()));
  }
  try {
    return JSON.parse(body.toString());
  } catch {
    throw new Refused('body_invalid', 'The body is not valid JSON.');
  }
}

const BRACE = 0x7b;
