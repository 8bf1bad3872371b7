import { z } from 'zod';
import { duration, DURATION_FORM, durationMs } from './duration.ts';
import { rotationFields, rotationTimes, withRotationRules, type RotationTimes } from './rotation.ts';

const USUAL_GRACE_MS = 86_400_000;
const SHORTEST_OVERLAP_MS = 1_000;

const NEVER = 'mode Never excludes interval, overlap, grace and deadline: leave them out, or write mode: Automatic';
const GRACE_FITS =
  'deadline must be at least overlap and grace together, because the grace ends with it: write a later deadline or a shorter grace';

type Declared = {
  readonly mode?: 'Automatic' | 'Never' | undefined;
  readonly interval?: string | undefined;
  readonly overlap?: string | undefined;
  readonly grace?: string | undefined;
  readonly deadline?: string | undefined;
};

const readable = (text: string | undefined): text is string => text !== undefined && duration.safeParse(text).success;

/** What is no duration has its message already. */
function graceFits({ overlap, grace, deadline }: Declared): boolean {
  if (!readable(grace) || !readable(deadline) || (overlap !== undefined && !readable(overlap))) return true;
  const least = overlap === undefined ? SHORTEST_OVERLAP_MS : durationMs(overlap);
  return durationMs(deadline) >= least + durationMs(grace);
}

const GRACE_FITS_CEL =
  "!has(self.grace) || !has(self.deadline) || duration(self.deadline) >= duration(has(self.overlap) ? self.overlap : '1s') + duration(self.grace)";
const UNREADABLE_CEL = ['overlap', 'grace', 'deadline']
  .map((field) => `(has(self.${field}) && !self.${field}.matches('${DURATION_FORM}'))`)
  .join(' || ');

const rules = z
  .strictObject({
    mode: z
      .enum(['Automatic', 'Never'])
      .optional()
      .describe(
        'Automatic (default): a new token after each interval. Never: only when the annotation relay-operator.dev/rotate asks.',
      ),
    ...rotationFields,
    grace: duration
      .optional()
      .describe(
        'How long a replaced token is still accepted after its end, with a response header that says so. Default 24h, or what the deadline leaves of it.',
      ),
  })
  .superRefine((rotation, context) => {
    const { mode, ...times } = rotation;
    if (mode === 'Never' && Object.values(times).some((time) => time !== undefined))
      context.addIssue({ code: 'custom', path: ['mode'], message: NEVER, input: mode });
    if (!graceFits(rotation))
      context.addIssue({ code: 'custom', path: ['grace'], message: GRACE_FITS, input: rotation.grace });
  });

const common = withRotationRules(rules);
const commonRules: unknown = common.meta()?.['x-kubernetes-validations'];

/** `spec.rotation` of a RelayToken. */
export const tokenRotation = common.meta({
  'x-kubernetes-validations': [
    ...(Array.isArray(commonRules) ? (commonRules as readonly unknown[]) : []),
    {
      rule: "!has(self.mode) || self.mode != 'Never' || !(has(self.interval) || has(self.overlap) || has(self.grace) || has(self.deadline))",
      message: NEVER,
      fieldPath: '.mode',
    },
    { rule: `${UNREADABLE_CEL} || ${GRACE_FITS_CEL}`, message: GRACE_FITS, fieldPath: '.grace' },
  ],
});

/** All in ms. `grace` ends at the deadline at the latest; `automatic` false: `interval` says nothing. */
export type TokenRotation = RotationTimes & { readonly automatic: boolean; readonly grace: number };

/** With the defaults. Of what is left out, each fits what was written. */
export function tokenRotationTimes({ mode, grace, ...declared }: Declared = {}): TokenRotation {
  const times = rotationTimes(declared);
  const graceMs = grace === undefined ? undefined : durationMs(grace);
  const room = declared.deadline === undefined ? Number.POSITIVE_INFINITY : times.deadline - (graceMs ?? 0);
  const overlap = declared.overlap === undefined ? Math.min(times.overlap, room) : times.overlap;
  const deadline =
    declared.deadline === undefined ? Math.max(times.deadline, overlap + (graceMs ?? 0)) : times.deadline;
  return {
    automatic: mode !== 'Never',
    interval: times.interval,
    overlap,
    grace: graceMs ?? Math.min(USUAL_GRACE_MS, deadline - overlap),
    deadline,
  };
}
