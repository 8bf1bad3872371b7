import { z } from 'zod';

const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };
/** A pattern for both languages. */
export const DURATION_FORM = '^([0-9]{1,9}([.][0-9]{1,9})?(h|ms|m|s))+$';
const FORM = new RegExp(DURATION_FORM);
const PART = /([0-9.]+)(h|ms|m|s)/g;

const SHAPE =
  'must be a duration in hours, minutes and seconds, such as 2160h or 1h30m: there are no days, so write 2160h instead of 90d';

/**
 * A duration as Go writes it (https://pkg.go.dev/time#ParseDuration), as cert-manager and Kubernetes take it, without signs and without the units
 * below a millisecond. For both languages: zod for the folder, CEL for the API server, whose own format `duration` lets `90d` in.
 */
export const duration = z
  .string()
  .max(32)
  .refine((text) => FORM.test(text), SHAPE)
  .meta({
    'x-kubernetes-validations': [{ rule: `self.matches('${DURATION_FORM}')`, message: SHAPE }],
  });

/** Milliseconds of a duration that passed {@link duration}. */
export function durationMs(text: string): number {
  let sum = 0;
  for (const [, count, unit] of text.matchAll(PART)) sum += Number(count) * (UNIT_MS[unit ?? ''] ?? 0);
  return Math.round(sum);
}

/** As Go prints it, e.g. `2160h0m0s`; {@link durationMs} reads it back. */
export function formatDuration(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  return `${Math.floor(minutes / 60)}h${minutes % 60}m${(ms % 60_000) / 1_000}s`;
}
