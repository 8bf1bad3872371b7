import type { z } from 'zod';

/** One rule of a field in both of its languages: CEL for the API server, a predicate for the standalone folder. They must agree. */
export type Rule<T> = {
  /** CEL expression over `self`, as in `x-kubernetes-validations`. */
  readonly cel: string;
  /** Says what to write instead; shown by kubectl and by the folder alike. */
  readonly message: string;
  readonly check: (self: T) => boolean;
};

/** A rule that compares with the stored object: CEL over `self` and `oldSelf`. The folder checks it on every edit of a file. */
export type TransitionRule<Spec> = {
  readonly cel: string;
  readonly message: string;
  /** Where an error is shown, e.g. `spec.appRef`. */
  readonly field: string;
  readonly check: (self: Spec, oldSelf: Spec) => boolean;
};

/** Attaches rules to a schema, so that zod and the generated CRD refuse the same values with the same words. */
export function withRules<S extends z.ZodType>(schema: S, rules: readonly Rule<z.output<S>>[]): S {
  let result: S = schema;
  for (const rule of rules) {
    result = result.refine((value: unknown) => rule.check(value as z.output<S>), { error: rule.message });
  }
  return result.meta({
    ...schema.meta(),
    'x-kubernetes-validations': rules.map(({ cel, message }) => ({ rule: cel, message })),
  });
}
