import { z } from 'zod';
import { CATEGORY, GROUP, VERSION } from './api-group.ts';
import type { KindDefinition } from './kinds.ts';

type Json = { [key: string]: unknown };

/**
 * The CustomResourceDefinition of a kind, generated from its zod schemas (apiextensions.k8s.io/v1, structural as
 * https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/ asks). No defaults are in it: they
 * would show as a permanent diff in GitOps tools.
 */
export function customResourceDefinition(definition: KindDefinition): Json {
  const spec = structural(definition.spec);
  if (definition.transitions.length > 0) {
    spec['x-kubernetes-validations'] = [
      ...((spec['x-kubernetes-validations'] as unknown[] | undefined) ?? []),
      ...definition.transitions.map(({ cel, message, field }) => ({
        rule: cel,
        message,
        ...(fieldPath(field) === '' ? {} : { fieldPath: fieldPath(field) }),
      })),
    ];
  }
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${definition.plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: {
        kind: definition.kind,
        listKind: `${definition.kind}List`,
        plural: definition.plural,
        singular: definition.kind.toLowerCase(),
        shortNames: [definition.shortName],
        categories: [CATEGORY],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: definition.columns.map(({ name, type, jsonPath, description, priority }) => ({
            name,
            type,
            jsonPath,
            description,
            ...(priority === undefined || priority === 0 ? {} : { priority }),
          })),
          schema: {
            openAPIV3Schema: {
              type: 'object',
              description: definition.description,
              required: ['spec'],
              properties: {
                apiVersion: { type: 'string' },
                kind: { type: 'string' },
                metadata: { type: 'object' },
                spec,
                status: structural(definition.status),
              },
            },
          },
        },
      ],
    },
  };
}

/** `spec.appRef.name` → `.appRef.name`, relative to the schema that carries the rule. */
function fieldPath(field: string): string {
  return field.replace(/^spec/, '');
}

function structural(schema: z.ZodType): Json {
  return clean(
    z.toJSONSchema(schema, {
      target: 'openapi-3.0',
      io: 'input',
      override: ({ zodSchema, jsonSchema }) => sayPattern(zodSchema, jsonSchema),
    }),
  );
}

/** Nothing that a pattern of ours takes. */
const NO_MATCH = '\0';

/**
 * A pattern becomes a rule with the message that zod has for it: of a `pattern` the API server repeats the expression and does not say what to
 * write. A date-time loses its format with it. That would be checked first, and in the API server's own words; besides, it takes times that
 * JavaScript cannot read (`+99:99`, `,5Z`, a small `t`), which the pattern does not.
 */
function sayPattern(schema: z.core.$ZodType, node: Json): void {
  const { pattern } = node;
  if (typeof pattern !== 'string') return;
  const message = z.safeParse(schema, NO_MATCH).error?.issues.find(({ code }) => code === 'invalid_format')?.message;
  if (message === undefined) throw new Error(`a pattern without a message: ${pattern}`);
  delete node['pattern'];
  delete node['format'];
  // A string of CEL is written as one of JSON.
  node['x-kubernetes-validations'] = [{ rule: `self.matches(${JSON.stringify(pattern)})`, message }];
}

/**
 * What zod writes and a structural schema forbids: `additionalProperties: false` beside properties (unknown fields are pruned, kubectl
 * reports them), the safe-integer bounds of z.int(), and `propertyNames`.
 */
function clean(node: Json): Json {
  const result: Json = {};
  for (const [key, value] of Object.entries(node)) {
    if (key === '$schema' || key === 'propertyNames') continue;
    if (key === 'additionalProperties' && value === false) continue;
    if (key === 'minimum' && value === Number.MIN_SAFE_INTEGER) continue;
    if (key === 'maximum' && value === Number.MAX_SAFE_INTEGER) continue;
    if (key === 'properties') {
      result[key] = Object.fromEntries(
        Object.entries(value as Json).map(([name, child]) => [name, clean(child as Json)]),
      );
    } else if (key === 'items' || (key === 'additionalProperties' && typeof value === 'object')) {
      result[key] = clean(value as Json);
    } else {
      result[key] = value;
    }
  }
  if (result['type'] === 'integer' && result['format'] === undefined) result['format'] = 'int64';
  return result;
}
