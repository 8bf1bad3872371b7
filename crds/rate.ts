import { z } from 'zod';

/** A token bucket: so many requests per minute in the long run, and so many at once when nothing was used for a while. */
export type Rate = { readonly requestsPerMinute: number; readonly burst: number };

/** Requests per minute and burst of the profiles (mission.md, R6). */
export const RATE_PROFILES = {
  BurstFriendly: { requestsPerMinute: 120, burst: 200 },
  SteadyStream: { requestsPerMinute: 60, burst: 30 },
  ApiHeavy: { requestsPerMinute: 300, burst: 500 },
  Restricted: { requestsPerMinute: 10, burst: 5 },
} as const satisfies Record<string, Rate>;

export const RATE_PROFILE_NAMES = ['BurstFriendly', 'SteadyStream', 'ApiHeavy', 'Restricted'] as const;

const EITHER = 'set either profile, or requestsPerMinute and burst';
const count = z.int().min(1).max(1_000_000);

/** What a user declares: a profile, or own numbers. In both languages, zod for the folder and CEL for the API server. */
export const rateSpec = z
  .strictObject({
    profile: z
      .enum(RATE_PROFILE_NAMES)
      .optional()
      .describe(
        'BurstFriendly: 120 per minute, 200 at once. SteadyStream: 60 and 30. ApiHeavy: 300 and 500. Restricted: 10 and 5.',
      ),
    requestsPerMinute: count.optional().describe('Requests per minute in the long run.'),
    burst: count.optional().describe('Requests at once, after a pause.'),
  })
  .refine(
    ({ profile, requestsPerMinute, burst }) =>
      profile === undefined
        ? requestsPerMinute !== undefined && burst !== undefined
        : requestsPerMinute === undefined && burst === undefined,
    EITHER,
  )
  .meta({
    'x-kubernetes-validations': [
      {
        rule: 'has(self.profile) ? !has(self.requestsPerMinute) && !has(self.burst) : has(self.requestsPerMinute) && has(self.burst)',
        message: EITHER,
      },
    ],
  });
export type RateSpec = z.infer<typeof rateSpec>;

/** The numbers of what was declared; null: no limit of its own. */
export function rateOf(spec: RateSpec | undefined): Rate | null {
  if (spec === undefined) return null;
  if (spec.profile !== undefined) return RATE_PROFILES[spec.profile];
  const { requestsPerMinute, burst } = spec;
  return requestsPerMinute === undefined || burst === undefined ? null : { requestsPerMinute, burst };
}

const FORM = /^([0-9]{1,7})\/([0-9]{1,7})$/;

/** Reads `60/30`, requests per minute and burst, as settings have it; `none` is null: no limit. Throws an Error that says the form. */
export function parseRate(text: string): Rate | null {
  if (text === 'none') return null;
  const [, requestsPerMinute, burst] = (FORM.exec(text) ?? []).map(Number);
  if (!count.safeParse(requestsPerMinute).success || !count.safeParse(burst).success) {
    throw new Error('must be requests per minute and burst, such as 60/30, each from 1 to 1000000, or none');
  }
  return { requestsPerMinute: requestsPerMinute ?? 1, burst: burst ?? 1 };
}

/** The lower one of both, number by number. */
export function lowerRate(one: Rate, other: Rate): Rate {
  return {
    requestsPerMinute: Math.min(one.requestsPerMinute, other.requestsPerMinute),
    burst: Math.min(one.burst, other.burst),
  };
}
