import type { z } from 'zod';
import { duration, DURATION_FORM, durationMs } from './duration.ts';

const HOUR_MS = 3_600_000;
const DEFAULT_INTERVAL = '2160h';
const LONGEST_MS = 87_600 * HOUR_MS;
const USUAL_OVERLAP_MS = 168 * HOUR_MS;
/** An old credential that is still used gets that many overlaps. */
const USUAL_PATIENCE = 4;

/** A rule over the fields of `rotation`, for both languages: zod for the folder, CEL for the API server. */
type Rule = {
  readonly field: 'interval' | 'overlap' | 'deadline';
  readonly check: (times: Declared) => boolean;
  readonly cel: string;
  readonly message: string;
};
type Declared = {
  readonly interval?: string | undefined;
  readonly overlap?: string | undefined;
  readonly deadline?: string | undefined;
};

const interval = `duration(has(self.interval) ? self.interval : '${DEFAULT_INTERVAL}')`;
const within = (field: string, least: string): string =>
  `!has(self.${field}) || (duration(self.${field}) >= duration('${least}') && duration(self.${field}) <= duration('87600h'))`;
const between = (text: string | undefined, least: number): boolean =>
  text === undefined || (durationMs(text) >= least && durationMs(text) <= LONGEST_MS);

const RULES: readonly Rule[] = [
  {
    field: 'interval',
    check: (times) => between(times.interval, HOUR_MS),
    cel: within('interval', '1h'),
    message: 'interval must be at least 1h and at most 87600h (10 years), such as 2160h for 90 days',
  },
  {
    field: 'overlap',
    check: (times) => between(times.overlap, 1_000),
    cel: within('overlap', '1s'),
    message: 'overlap must be at least 1s: without one, whoever has not read the Secret again would be refused',
  },
  {
    field: 'overlap',
    check: (times) =>
      times.overlap === undefined || durationMs(times.overlap) < durationMs(times.interval ?? DEFAULT_INTERVAL),
    cel: `!has(self.overlap) || duration(self.overlap) < ${interval}`,
    message:
      'overlap must be shorter than interval (2160h unless it is set): write a shorter overlap, such as 168h, or a longer interval',
  },
  {
    field: 'deadline',
    check: (times) => between(times.deadline, 1_000),
    cel: within('deadline', '1s'),
    message: 'deadline must be at least 1s and at most 87600h (10 years), such as 672h for four weeks',
  },
  {
    field: 'deadline',
    check: ({ overlap, deadline }) =>
      overlap === undefined || deadline === undefined || durationMs(deadline) >= durationMs(overlap),
    cel: '!has(self.deadline) || !has(self.overlap) || duration(self.deadline) >= duration(self.overlap)',
    message:
      'deadline must not be shorter than overlap: it is when an old credential goes that is still used after the overlap',
  },
];

/** What is no duration at all has its message already, and what cannot be compared is no second mistake. */
const readable = (times: Declared): boolean =>
  [times.interval, times.overlap, times.deadline].every(
    (text) => text === undefined || duration.safeParse(text).success,
  );
const unreadable = (cel: string): string =>
  ['interval', 'overlap', 'deadline']
    .filter((field) => cel.includes(`duration(self.${field})`) || cel.includes(`? self.${field} :`))
    .map((field) => `(has(self.${field}) && !self.${field}.matches('${DURATION_FORM}'))`)
    .join(' || ');

/** The fields of `spec.rotation` that all kinds have. */
export const rotationFields = {
  interval: duration
    .optional()
    .describe(
      'How long a credential is handed out before the next one takes its place. At least 1h. Default 2160h (90 days).',
    ),
  overlap: duration
    .optional()
    .describe(
      'How long the old and the new one both work. Shorter than interval. Default 168h (7 days), or half the interval if that is less.',
    ),
  deadline: duration
    .optional()
    .describe(
      'When an old credential goes at the latest, counted like the overlap, if somebody still uses it after the overlap. Default 4 times the overlap.',
    ),
};

/** Holds an object with these fields to what they mean together. */
export function withRotationRules<T extends z.ZodType<Declared>>(schema: T) {
  return schema
    .superRefine((times: Declared, context) => {
      if (!readable(times)) return;
      for (const { field, check, message } of RULES) {
        if (!check(times)) context.addIssue({ code: 'custom', path: [field], message, input: times[field] });
      }
    })
    .meta({
      'x-kubernetes-validations': RULES.map(({ field, cel, message }) => ({
        rule: `${unreadable(cel)} || ${cel}`,
        message,
        fieldPath: `.${field}`,
      })),
    });
}

/** How a replaced credential ends, in ms since its successor was handed out. */
export type RetirementTimes = { readonly overlap: number; readonly deadline: number };
/** All in ms. */
export type RotationTimes = RetirementTimes & { readonly interval: number };

/** With the defaults. `{}` is what is usual: 90 days, 7 days, 28 days. */
export function rotationTimes({ interval = DEFAULT_INTERVAL, overlap, deadline }: Declared): RotationTimes {
  const intervalMs = durationMs(interval);
  const deadlineMs = deadline === undefined ? Number.POSITIVE_INFINITY : durationMs(deadline);
  const overlapMs =
    overlap === undefined ? Math.min(USUAL_OVERLAP_MS, intervalMs / 2, deadlineMs) : durationMs(overlap);
  return {
    interval: intervalMs,
    overlap: overlapMs,
    deadline: deadline === undefined ? USUAL_PATIENCE * overlapMs : deadlineMs,
  };
}
